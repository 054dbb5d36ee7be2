import { readdir, readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8")

describe("README.md", () => {
  it("links only to files that are there", async () => {
    const readme = await read("README.md")
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, path]) => path ?? "")
    assert.isNotEmpty(links)
    const missing: Array<string> = []
    for (const path of links) await read(path).catch(() => missing.push(path))
    assert.deepStrictEqual(missing, [])
  })

  it("shows no code but what stands in an example, where it is checked", async () => {
    const blocks = [...(await read("README.md")).matchAll(/```(?:ts|html)\n(.+?)```/gs)].map(([, block]) => block ?? "")
    assert.isNotEmpty(blocks)
    const folder = await readdir(new URL("../../examples/", import.meta.url))
    const examples = await Promise.all(folder.map((name) => read(`examples/${name}`)))
    for (const block of blocks)
      assert.isTrue(
        examples.some((example) => example.includes(block)),
        block
      )
  })

  it("installs the Debian packages that CI installs for the tests", async () => {
    const [, named = ""] = /^apt-get install -y (.+?) &&/m.exec(await read("README.md")) ?? []
    const installed = [...(await read(".ci/run")).matchAll(/missing\+=\(([\w-]+)\)/g)].map(([, name]) => name)
    assert.deepStrictEqual(named.split(" ").sort(), installed.sort())
  })

  it("names only npm scripts that exist", async () => {
    const { scripts } = JSON.parse(await read("package.json"))
    const named = [...(await read("README.md")).matchAll(/npm (?:run ([\w:-]+)|(start|test)\b)/g)]
    assert.isNotEmpty(named)
    for (const [, script, short] of named) assert.property(scripts, script ?? short ?? "")
  })
})
