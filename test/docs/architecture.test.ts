import { readdir, readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8")
const page = await read("docs/architecture.md")

describe("docs/architecture.md", () => {
  it("names a file and a function that exist for each step of the walks", async () => {
    const steps = [...page.matchAll(/^\| [^|]+ \| `([^`]+\.ts)`, `([^`]+)` \|/gm)]
    assert.isAtLeast(steps.length, 25)
    const missing: Array<string> = []
    for (const [, path = "", name = ""] of steps) {
      const source = await read(`src/${path}`).catch(() => "")
      if (!new RegExp(`\\b${name}\\b`).test(source)) missing.push(`${path}, ${name}`)
    }
    assert.deepStrictEqual(missing, [])
  })

  it("has every room of the gateway in its map", async () => {
    const gateway = await readdir(new URL("../../src/stratix-gateway/", import.meta.url), { withFileTypes: true })
    for (const { name } of gateway.filter((entry) => entry.isDirectory() && entry.name !== "api")) {
      assert.include(page, `| \`${name}\` `)
    }
  })
})

for (const path of ["docs/architecture.md", "CONTRIBUTING.md"]) {
  it(`${path} links only to files that are there`, async () => {
    const folder = path.includes("/") ? path.replace(/[^/]+$/, "") : ""
    const missing: Array<string> = []
    for (const [, link = ""] of (await read(path)).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      await read(folder + link).catch(() => missing.push(link))
    }
    assert.deepStrictEqual(missing, [])
  })
}
