import { assert, describe, it } from "@effect/vitest"
import type { Settings } from "../../../../src/stratix-gateway/config/StatusSyncConfig.js"
import type { Draft, LogEntry } from "../../../../src/stratix-gateway/log/EventLog.js"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import type { Mirror } from "../../../../src/stratix-gateway/log/mirror/Mirror.js"
import type { Recorded } from "../../../../src/stratix-gateway/log/mirror/Records.js"
import { agent, command, finished, leased, removal, world } from "../mirrors.js"

const settings = { historyCapacity: 3, removalMarks: 3 }

/** Agents and commands that came, moved, ended and went, some of them within the history. */
const script: ReadonlyArray<Partial<Draft>> = [
  agent("a"),
  leased("leased", 1000),
  agent("gone"),
  command("moved", "a"),
  {},
  command("ended", "a"),
  command("moved", "b"),
  removal("gone"),
  finished("ended"),
  agent("b"),
  {},
  agent("a")
]

const told = ({ departure, index, json, key, removes }: LogEntry): ReadonlyArray<unknown> => [
  index,
  json,
  key,
  removes,
  departure && told(departure)
]

/** All that one may see of a mirror. */
const seenOf = (mirror: Mirror) => {
  const { eventTypes: _, ...stats } = mirror.stats()
  const since = [...mirror.retained().older, 5, 8, 9].flatMap((seq) =>
    ["a", "b", undefined].map((agentId) => {
      const filter = agentId === undefined ? Filter.all : Filter.fromFields({ agents: [agentId] })
      const { entries, ...rest } = mirror.since(`e-${seq.toString(36)}-0`, { filter })
      return { ...rest, entries: entries.map(told) }
    })
  )
  const latest = [...mirror.latest(Filter.all).parts].flat().map(told)
  return { head: mirror.head, latest, retained: mirror.retained(), since, stats, tail: mirror.tail(9)?.map(told) }
}

const origin = (after: Recorded["place"]) => ({ after, index: after.seq, epochs: [{ epoch: "e", start: 0 }] })

describe("what the owner of a log must keep", () => {
  it("is the history, and what is older: the newest of each key, and the removals that are remembered", () => {
    const { apply, mirror } = world(settings)
    assert.deepStrictEqual(mirror.retained(), { first: 1, older: [], forgotten: 0 })
    for (const event of script) apply(event)
    // Of the command that moved, the removal and the event have one place.
    assert.deepStrictEqual(mirror.retained(), { first: 10, older: [2, 7, 7, 8, 9], forgotten: 0 })
    for (const name of ["c", "d", "e"]) {
      apply(agent(name))
      apply(removal(name))
    }
    assert.deepStrictEqual(mirror.retained(), { first: 16, older: [2, 7, 9, 10, 12, 14], forgotten: 8 })
  })

  it("is a removal for as long as any other, counted from when it was said last", () => {
    const { apply, mirror } = world({ historyCapacity: 1, removalMarks: 2 })
    for (const name of ["a", "b", "a", "c"]) {
      apply(agent(name))
      apply(removal(name))
    }
    apply({})
    assert.deepStrictEqual(mirror.retained(), { first: 9, older: [6, 8], forgotten: 4 })
  })
})

describe("a mirror made again", () => {
  it("from a copy is the same, and lives its own life from then on", () => {
    const { apply, mirror } = world(settings)
    for (const event of script) apply(event)
    const copy = mirror.copy()
    const other = world(settings, { ...copy, index: copy.after.seq })
    other.mirror.restore(copy)
    assert.deepStrictEqual(seenOf(other.mirror), seenOf(mirror))
    assert.strictEqual(other.mirror.stats().leases, 1)
    assert.strictEqual(other.mirror.nextDue(), 1000)
    other.apply(agent("new"))
    assert.isUndefined(mirror.newestOf("agent:new"))
  })

  it("of a log that forgot removals sends the same readers back to the start", () => {
    const { apply, mirror } = world({ ...settings, removalMarks: 1 })
    for (const event of script) apply(event)
    const copy = mirror.copy()
    assert.strictEqual(copy.forgotten, 7)
    const other = world({ ...settings, removalMarks: 1 }, { ...copy, index: copy.after.seq })
    other.mirror.restore(copy)
    assert.deepStrictEqual(seenOf(other.mirror), seenOf(mirror))
    assert.strictEqual(other.mirror.since("e-6-1", {}).mode, "snapshot")
    assert.strictEqual(other.mirror.since("e-7-1", {}).mode, "conflated")
  })

  it("bit by bit, in any order, is the same", () => {
    const { apply, mirror } = world(settings)
    for (const event of script) apply(event)
    const copy = mirror.copy()
    const other = world(settings, { ...copy, index: copy.after.seq })
    const restoration = other.mirror.restoring(copy.history)
    for (const kept of [...copy.marks].reverse()) restoration.mark(kept)
    for (const kept of [...copy.latest].reverse()) restoration.state(kept)
    restoration.done(copy.forgotten)
    assert.deepStrictEqual(seenOf(other.mirror), seenOf(mirror))
    // What is in the history stands in the state as the same event.
    for (const index of [10, 12]) {
      const event = other.mirror.at(index)
      assert.strictEqual(other.mirror.newestOf(event?.key ?? ""), event)
    }
  })

  /** The events as an owner keeps them, with what each did. */
  const recorded = (more: Partial<Settings> = {}) => {
    const { apply, mirror } = world({ ...settings, ...more, historyCapacity: 100 })
    const removed = new Set([8])
    for (const event of script) apply(event)
    return (mirror.recordedAfter(0, 100) ?? []).map((each) => ({
      ...each,
      effects: { ...each.effects, removed: removed.has(each.place.seq) }
    }))
  }

  it("from all of its events, one after the other, is the same", () => {
    const { apply, mirror } = world(settings)
    for (const event of script) apply(event)
    const other = world(settings, origin({ epoch: "e", seq: 9, keyless: 1 }))
    for (const event of recorded()) other.mirror.replay(event, 0, event.place.seq >= 10)
    assert.deepStrictEqual(seenOf(other.mirror), seenOf(mirror))
  })

  it("from its events remembers no removal from before those that the owner forgot", () => {
    const replayed = (forgotten: number) => {
      const { mirror } = world(settings, origin({ epoch: "e", seq: 9, keyless: 1 }))
      for (const event of recorded()) mirror.replay(event, event.place.seq === 1 ? forgotten : 0, event.place.seq >= 10)
      return mirror
    }
    assert.strictEqual(replayed(7).retained().forgotten, 7)
    assert.deepStrictEqual(
      [0, 7, 8, 9].map((forgotten) => {
        const { mirror } = world(settings, origin({ epoch: "e", seq: 9, keyless: 1 }))
        for (const event of recorded()) mirror.replay(event, forgotten, event.place.seq >= 10)
        return mirror.stats().removalMarks
      }),
      [2, 2, 1, 0]
    )
  })
})
