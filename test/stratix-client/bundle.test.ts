/** What a web page downloads. */
import { builtinModules } from "node:module"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import { expect, it } from "vitest"
import { clientBundle } from "../../scripts/lib/client-bundle.mjs"

/** The promise of the package: bytes, gzipped and minified. */
const MAX_BYTES = 6 * 1024

const bundle = async () => {
  const { metafile, outputFiles } = await build({
    ...clientBundle,
    metafile: true,
    write: false,
    logLevel: "silent"
  })
  return { inputs: metafile.inputs, code: outputFiles[0]?.contents ?? new Uint8Array() }
}

it("the browser client needs nothing but itself and the names of the protocol", async () => {
  const { inputs } = await bundle()
  const files = Object.keys(inputs)
  const imported = Object.values(inputs).flatMap(({ imports }) => imports)
  expect(files.filter((file) => !/^src\/stratix-(client|core)(\/[A-Za-z-]+)+\.ts$/.test(file))).toEqual([])
  expect(files).not.toContain("src/stratix-core/stratix-protocol.ts")
  expect(
    imported.filter(({ external, path }) => external || builtinModules.includes(path.replace("node:", "")))
  ).toEqual([])
})

it(`the browser client is at most ${MAX_BYTES} bytes, minified and gzipped`, async () => {
  const { code } = await bundle()
  const size = gzipSync(code, { level: 9 }).length
  expect(size).toBeGreaterThan(1000)
  expect(size).toBeLessThanOrEqual(MAX_BYTES)
})
