import { access, readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const file = (path: string) => new URL(`../../${path}`, import.meta.url)
const manifest = JSON.parse(await readFile(file("package.json"), "utf8"))

describe("package.json", () => {
  it("leads from every export to its source, its types and its build, in this order", async () => {
    const { "./package.json": _, ...exports }: { readonly [path: string]: unknown } = manifest.exports
    assert.isNotEmpty(exports)
    for (const [path, conditions] of Object.entries(exports)) {
      const source = /^\.\/src\/(.+)\.ts$/.exec(Object(conditions)["stratix-source"])?.[1]
      assert.isDefined(source, `${path}: "stratix-source" must be its module in src, or tests would load an old build`)
      // Conditions are tried in the order in which they stand.
      assert.deepStrictEqual(Object.entries(Object(conditions)), [
        ["stratix-source", `./src/${source}.ts`],
        ["types", `./dist/${source}.d.ts`],
        ["default", `./dist/${source}.js`]
      ])
      await access(file(`src/${source}.ts`))
    }
  })

  it("brings nothing that only the command line needs, which is bundled", () => {
    assert.deepStrictEqual(Object.keys(manifest.dependencies), ["jose", "ws"])
  })

  it("has the version of the clients' own package, which brings nothing", async () => {
    const client = JSON.parse(await readFile(file("packages/client/package.json"), "utf8"))
    assert.strictEqual(client.version, manifest.version)
    assert.notProperty(client, "dependencies")
    // Of the frameworks, a page has the one it is made with.
    for (const name of Object.keys(client.peerDependencies)) assert.isTrue(client.peerDependenciesMeta[name].optional)
  })

  it("has every peer dependency among the development dependencies", () => {
    assert.includeMembers(Object.keys(manifest.devDependencies), Object.keys(manifest.peerDependencies))
  })
})
