import { gzipSync } from "node:zlib"
import { expect, it } from "vitest"
import { bundle } from "../project/bundle.js"

/** The promise of the package: bytes, gzipped and minified. */
const MAX_BYTES = 4 * 1024

it(`the publisher needs nothing but itself and the names of the protocol, in at most ${MAX_BYTES} bytes`, async () => {
  const { asked, code, inputs } = await bundle('export * from "stratix-status-sync/publisher"')
  expect(asked).toEqual([])
  expect(inputs.filter((path) => !/^src\/stratix-(publisher|core)\/[A-Za-z-]+\.ts$|^<stdin>$/.test(path))).toEqual([])
  expect(inputs).not.toContain("src/stratix-core/events.ts")
  const size = gzipSync(code, { level: 9 }).length
  expect(size).toBeGreaterThan(1000)
  expect(size).toBeLessThanOrEqual(MAX_BYTES)
})
