import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { lawsSuite } from "../suites/lawsSuite.js"

lawsSuite("memory", StatusSyncTest.layerWith, {
  runs: 250,
  settings: { historyCapacity: 24, highWaterMark: 400 },
  padding: 0,
  exact: "kept up"
})

// Events so large that every catch-up goes in several steps.
lawsSuite("memory, in steps", StatusSyncTest.layerWith, {
  runs: 60,
  settings: { historyCapacity: 24, highWaterMark: 100_000 },
  padding: 40_000,
  exact: "kept up"
})

// Padding fills the buffers of the operating system, so that clients that stop reading do fall behind.
lawsSuite("ws, short history", StatusSyncTest.layerWs, {
  runs: 20,
  settings: { historyCapacity: 24, highWaterMark: 16_384, maxEventBytes: 1_000_000 },
  padding: 300_000,
  exact: "none"
})

lawsSuite("ws, long history", StatusSyncTest.layerWs, {
  runs: 20,
  settings: { highWaterMark: 16_384, maxEventBytes: 1_000_000, historyBytes: 1_000_000_000 },
  padding: 300_000,
  exact: "all"
})
