import { assert, describe, it } from "@effect/vitest"
import { defaults, type Settings } from "../../../../src/stratix-gateway/config/StatusSyncConfig.js"
import type { Draft } from "../../../../src/stratix-gateway/log/EventLog.js"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import { Mirror } from "../../../../src/stratix-gateway/log/mirror/Mirror.js"
import { emptyLog, isKeyless } from "../../../../src/stratix-gateway/log/mirror/Records.js"
import { draft } from "../../../support/draft.js"

/** A mirror, and how it takes the next event. */
const world = (settings: Partial<Settings> = {}) => {
  const mirror = new Mirror({ ...defaults, ...settings }, emptyLog("e"))
  const apply = (rest: Partial<Draft>, now = 0) => {
    const next = draft(rest)
    const { keyless, seq } = mirror.place
    return mirror.apply(next, { epoch: "e", seq: seq + 1, keyless: keyless + (isKeyless(next) ? 1 : 0) }, now)
  }
  return { mirror, apply, stampOf: () => ({ timestamp: 0, requestId: "r" }) }
}
const agent = (agentId: string, json = "{}"): Partial<Draft> => ({ agentId, key: `agent:${agentId}`, json })

describe("the state of a mirror", () => {
  it("takes memory for its keys, not for its events, and stays in the order of the log", () => {
    const { apply, mirror } = world()
    for (let i = 0; i < 1000; i++) {
      apply(agent(`a${i % 10}`))
      // As many as there are keys, and at most that and the slack beside them.
      assert.isAtMost(mirror["ordered"].length, 10 + 10 + 64 + 1)
    }
    const { entries } = mirror.latest(Filter.all)
    assert.deepStrictEqual(
      entries.map(({ index }) => index),
      [991, 992, 993, 994, 995, 996, 997, 998, 999, 1000]
    )
  })

  it("is swept only when more of it is superseded than not", () => {
    const { apply, mirror } = world()
    for (let i = 0; i < 200; i++) apply(agent(`a${i}`))
    for (let i = 0; i < 200; i++) apply(agent(`a${i}`))
    assert.strictEqual(mirror["ordered"].length, 400)
    for (let i = 0; i < 63; i++) apply(agent(`a${i}`))
    assert.strictEqual(mirror["ordered"].length, 463)
    apply(agent("a63"))
    // The one that is superseded comes before the one that supersedes it.
    assert.strictEqual(mirror["ordered"].length, 200)
    assert.strictEqual(mirror.latest(Filter.all).entries.length, 200)
  })

  it("lets the oldest key go above its number of keys, and above its characters, but never the last", () => {
    const { apply, mirror, stampOf } = world({ latestCapacity: 2, latestBytes: 100 })
    for (const name of ["a", "b"]) apply(agent(name))
    assert.isUndefined(mirror.overdue(0, stampOf))
    apply(agent("c"))
    const first = mirror.overdue(0, stampOf)
    assert.deepStrictEqual(first?.removes.includes("agent:a"), true)
    apply(first ?? {})
    assert.isUndefined(mirror.overdue(0, stampOf))
    apply(agent("b", "x".repeat(98)))
    assert.isUndefined(mirror.overdue(0, stampOf))
    apply(agent("b", "x".repeat(99)))
    const second = mirror.overdue(0, stampOf)
    assert.deepStrictEqual(second?.removes.includes("agent:c"), true)
    apply(second ?? {})
    apply(agent("b", "x".repeat(1000)))
    assert.isUndefined(mirror.overdue(0, stampOf))
    assert.deepInclude(mirror.stats(), { keys: 1, keysDropped: 2 })
  })

  it("counts what its history holds", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    for (const characters of [10, 20, 30]) apply({ json: "x".repeat(characters) })
    assert.deepInclude(mirror.stats(), { historyEvents: 2, historyBytes: 50 })
  })
})

describe("a reader of a mirror", () => {
  it("is told the removals that are remembered, and starts afresh from before the others", () => {
    const { apply, mirror } = world({ removalMarks: 1, historyCapacity: 1 })
    const before = apply(agent("a")).offset
    apply(agent("b"))
    apply({ agentId: "a", removes: ["agent:a"] })
    assert.deepInclude(mirror.since(before, {}), { mode: "conflated", lost: 0 })
    apply({ agentId: "b", removes: ["agent:b"] })
    assert.strictEqual(mirror.stats().removalMarks, 1)
    assert.strictEqual(mirror.since(before, {}).mode, "snapshot")
    const told = mirror.since(before, { neverSnapshot: true })
    assert.deepStrictEqual([told.mode, told.entries.map(({ index }) => index)], ["conflated", [4]])
  })

  it("goes on conflated from where it began, even where history has the rest", () => {
    const { apply, mirror } = world({ historyCapacity: 3 })
    const begun = apply(agent("a")).offset
    apply(agent("b"))
    const third = apply(agent("a")).offset
    apply(agent("b"))
    const last = apply(agent("c")).offset
    const first = mirror.since(begun, { maxBytes: 1 })
    assert.deepInclude(first, { mode: "conflated", to: third, more: true })
    assert.strictEqual(mirror.since(first.to, {}).mode, "resume")
    const second = mirror.since(first.to, { conflateFrom: begun })
    assert.deepInclude(second, { mode: "conflated", to: last, more: false })
    assert.strictEqual(second.entries.length, 2)
  })

  it("counts the events without a key that it was not told", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const from = apply(agent("a")).offset
    for (let i = 0; i < 3; i++) apply({})
    apply(agent("a"))
    assert.deepInclude(mirror.since(from, {}), { mode: "conflated", lost: 3 })
    assert.strictEqual(mirror.since(from, { filter: Filter.fromFields({ events: ["agent_create"] }) }).lost, 0)
    assert.strictEqual(mirror.since(undefined, {}).lost, 0)
  })
})
