import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8")
const page = await read("docs/composition.md")

describe("docs/composition.md", () => {
  it("shows no code but what stands in an example, where it is run", async () => {
    const example = await read("examples/host-layer-router.ts")
    const blocks = [...page.matchAll(/```ts\n(.+?)```/gs)].map(([, block]) => block ?? "")
    assert.isNotEmpty(blocks)
    for (const block of blocks) assert.include(example, block)
  })

  it("links only to files that are there", async () => {
    const missing: Array<string> = []
    for (const [, link = ""] of page.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      await read(`docs/${link}`).catch(() => missing.push(link))
    }
    assert.deepStrictEqual(missing, [])
  })
})
