import { assert, describe, it } from "@effect/vitest"
import { AddressBudgets } from "../../../src/stratix-gateway/admission/AddressBudgets.js"

const make = () => new AddressBudgets({ rate: 10, seconds: 2 })
const MINUTE = 60_000

describe("the budget of an address", () => {
  it("counts what it holds, and what of that is under way, until each ends", () => {
    const budgets = make()
    const held = () => [budgets.permits("a"), budgets.underWay("a"), budgets.permits("b")]
    assert.deepStrictEqual(held(), [0, 0, 0])
    budgets.begin("a", 0)
    budgets.begin("a", 0)
    assert.deepStrictEqual(held(), [2, 2, 0])
    budgets.handshakeDone("a")
    assert.deepStrictEqual(held(), [2, 1, 0])
    budgets.release("a", false, 0)
    budgets.handshakeDone("a")
    assert.deepStrictEqual(held(), [1, 0, 0])
    budgets.release("a", false, 0)
    assert.deepStrictEqual(held(), [0, 0, 0])
    for (const end of [() => budgets.handshakeDone("a"), () => budgets.release("a", true, 0)]) end()
    assert.deepStrictEqual(held(), [0, 0, 0])
    assert.isFalse(budgets.knowsAny())
  })

  it("holds nothing of an address that has left", () => {
    const budgets = make()
    budgets.begin("a", 0)
    budgets.begin("a", 0)
    budgets.release("a", false, 0)
    assert.strictEqual(budgets["held"].size, 1)
    budgets.release("a", false, 0)
    assert.strictEqual(budgets["held"].size, 0)
  })

  it("knows it while it is connected, and ten minutes longer", () => {
    const budgets = make()
    const known = (now: number) => budgets.isKnown("a", now)
    budgets.begin("a", 0)
    assert.deepStrictEqual([known(0), budgets.knowsAny()], [false, false])
    budgets.admit("a", 0)
    assert.deepStrictEqual([known(0), known(60 * MINUTE), budgets.knowsAny()], [true, true, true])
    budgets.begin("a", 60 * MINUTE)
    budgets.release("a", false, 60 * MINUTE)
    assert.isTrue(known(90 * MINUTE))
    budgets.release("a", true, 60 * MINUTE)
    assert.deepStrictEqual([known(70 * MINUTE - 1), known(70 * MINUTE)], [true, false])
    assert.isFalse(budgets.isKnown("b", 0))
  })

  it("knows it no longer by a handshake that is still under way when its connections have ended", () => {
    const budgets = make()
    for (let n = 0; n < 2; n++) budgets.begin("a", 0)
    budgets.admit("a", 0)
    budgets.release("a", true, 0)
    assert.strictEqual(budgets.permits("a"), 1)
    assert.isFalse(budgets.isKnown("a", 10 * MINUTE))
  })

  it("knows one that had left by the time it was let in", () => {
    const budgets = make()
    budgets.admit("a", 0)
    assert.isTrue(budgets.isKnown("a", 0))
    assert.strictEqual(budgets.permits("a"), 0)
  })

  it("forgets of 10,000 known addresses the one that was here least lately", () => {
    const budgets = make()
    const come = (address: string, now: number) => {
      budgets.begin(address, now)
      budgets.admit(address, now)
      budgets.release(address, true, now)
    }
    for (let n = 0; n < 10_000; n++) come(`n${n}`, 0)
    assert.isTrue(budgets.isKnown("n0", 1))
    come("n0", 0)
    come("n10000", 0)
    assert.deepStrictEqual(
      ["n0", "n1", "n2", "n9999", "n10000"].map((name) => budgets.isKnown(name, 1)),
      [true, false, true, true, true]
    )
  })

  it("is one handshake for each that begins, and ten for one that was refused", () => {
    const budgets = make()
    for (let n = 0; n < 10; n++) budgets.begin("a", 0)
    assert.strictEqual(budgets.wait("a", 0), 0)
    budgets.refuse("a", 0)
    assert.strictEqual(budgets.wait("a", 0), 0)
    budgets.begin("a", 0)
    assert.deepStrictEqual([budgets.wait("a", 0), budgets.wait("b", 0)], [100, 0])
  })
})
