import { assert, describe, it } from "@effect/vitest"
import { ok, problem } from "../../../../src/stratix-gateway/operations/diagnosis/Finding.js"
import * as Workers from "../../../../src/stratix-gateway/operations/diagnosis/Workers.js"

const log = ok("log", "2 keys in memory")
const failing = problem("events", "writing events fails again and again", "restart the gateway")
const fine = ok("events", "3 of 3 connections have everything")

describe("what workers find", () => {
  it("is told once where it is the same, and otherwise with the workers that find it", () => {
    const all = [
      { worker: 1, findings: [log, fine] },
      { worker: 2, findings: [log, failing] },
      { worker: 4, findings: [log, fine] }
    ]
    assert.deepStrictEqual(Workers.merged(all.map(Workers.encode).map(Workers.decode), 3), [
      ok("workers", "3 of 3 answer"),
      log,
      { ...fine, what: "workers 1, 4: 3 of 3 connections have everything" },
      { ...failing, what: "worker 2: writing events fails again and again" }
    ])
  })

  it("warns of those that do not answer", () => {
    const [first] = Workers.merged([{ worker: 1, findings: [log] }], 4)
    assert.strictEqual(first?.level, "warning")
    assert.match(first?.what ?? "", /^1 of 4 answer/)
  })
})
