import { assert, describe, it } from "@effect/vitest"
import type { CatchUp } from "../../../../src/stratix-gateway/log/EventLog.js"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import { agent, command, finished, indexes, keys, removal, world } from "../mirrors.js"

const agents = (...names: ReadonlyArray<string>) => Filter.fromFields({ agents: names })
/** What a reader is told, by indexes. */
const told = ({ entries, ...rest }: CatchUp) => ({ ...rest, entries: indexes(entries) })

describe("a reader within the history", () => {
  it("is told every event after its cursor that its filter lets through, and is then at the head", () => {
    const { apply, mirror } = world()
    const from = apply(agent("a")).offset
    for (const name of ["b", "a", "b"]) apply(agent(name))
    const to = apply({}).offset
    assert.deepStrictEqual(told(mirror.since(from, {})), {
      mode: "resume",
      entries: [2, 3, 4, 5],
      to,
      more: false,
      lost: 0
    })
    assert.deepStrictEqual(told(mirror.since(from, { filter: agents("b") })), {
      mode: "resume",
      entries: [2, 4],
      to,
      more: false,
      lost: 0
    })
  })

  it("at the head is told nothing, and stays where it is", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const offsets = ["a", "b", "c"].map((name) => apply(agent(name)).offset)
    const nothing = (to = ""): CatchUp => ({ mode: "resume", entries: [], to, more: false, lost: 0 })
    assert.deepStrictEqual(mirror.since(offsets[2], {}), nothing(offsets[2]))
    // Likewise where nothing later is asked for, though the history has more, or has it no longer.
    for (const cursor of [offsets[0], offsets[1]]) {
      assert.deepStrictEqual(mirror.since(cursor, { until: offsets[0] ?? "" }), nothing(cursor))
    }
  })

  it("is told nothing from after the place it asked for", () => {
    const { apply, mirror } = world()
    const offsets = ["a", "b", "c"].map((name) => apply(agent(name)).offset)
    assert.deepStrictEqual(told(mirror.since(offsets[0], { until: offsets[1] ?? "" })), {
      mode: "resume",
      entries: [2],
      to: offsets[1],
      more: false,
      lost: 0
    })
    const unknown = told(mirror.since(offsets[0], { until: "junk" }))
    assert.deepStrictEqual([unknown.entries, unknown.to], [[2, 3], offsets[2]])
  })

  it("is told exactly from the place before the oldest event on, and conflated from before that", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    const offsets = [0, 1, 2, 3].map(() => apply(agent("a")).offset)
    assert.deepInclude(told(mirror.since(offsets[1], {})), { mode: "resume", entries: [3, 4] })
    assert.deepInclude(told(mirror.since(offsets[0], {})), { mode: "conflated", entries: [4] })
  })

  it("goes in steps of about so many characters, each of at least one event", () => {
    const { apply, mirror } = world()
    const [start, ...offsets] = ["a", "b", "a", "b", "a"].map((name) => apply(agent(name, "x".repeat(10))).offset)
    const step = (cursor: string | undefined, maxBytes: number, filter = Filter.all) =>
      told(mirror.since(cursor, { maxBytes, filter }))
    const rest = { mode: "resume", lost: 0 }
    assert.deepStrictEqual(step(start, 20), { ...rest, entries: [2, 3], to: offsets[1], more: true })
    assert.deepStrictEqual(step(start, 21), { ...rest, entries: [2, 3, 4], to: offsets[2], more: true })
    assert.deepStrictEqual(step(start, 1), { ...rest, entries: [2], to: offsets[0], more: true })
    assert.deepStrictEqual(step(start, 40), { ...rest, entries: [2, 3, 4, 5], to: offsets[3], more: false })
    // What it is not told takes no room.
    assert.deepStrictEqual(step(start, 20, agents("a")), { ...rest, entries: [3, 5], to: offsets[3], more: false })
  })

  it("looks at so many events in one step, however few it is told", () => {
    const { apply, mirror } = world({ historyCapacity: 10_000 })
    const start = apply(agent("b")).offset
    for (let i = 0; i < 8191; i++) apply(agent("a"))
    const { offset } = apply(agent("b"))
    assert.deepInclude(told(mirror.since(start, { filter: agents("b") })), { entries: [8193], more: false, to: offset })
    const last = apply(agent("b")).offset
    assert.deepInclude(told(mirror.since(start, { filter: agents("b") })), { entries: [8193], more: true, to: offset })
    assert.deepInclude(told(mirror.since(offset, { filter: agents("b") })), { entries: [8194], more: false, to: last })
  })

  it("is told a removal in place of a command that moved away from what it may see", () => {
    const { apply, mirror } = world()
    const start = apply(command("c", "a")).offset
    apply(command("c", "b"))
    const types = (filter: Filter.Filter) =>
      mirror.since(start, { filter }).entries.map(({ eventType, index }) => [eventType, index])
    assert.deepStrictEqual(types(agents("a")), [["stratix:command_remove", 2]])
    assert.deepStrictEqual(types(agents("b")), [["stratix:command_status_update", 2]])
    assert.deepStrictEqual(types(agents("a", "b")), [["stratix:command_status_update", 2]])
    assert.deepStrictEqual(types(agents("c")), [])
  })
})

describe("a reader from before the history", () => {
  it("is told the newest of each key, and the removals since", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    for (const name of ["a", "b", "gone"]) apply(agent(name))
    apply(removal("gone"))
    const from = apply(agent("other")).offset
    apply(agent("b"))
    apply(removal("other"))
    apply(agent("b"))
    const to = apply(agent("c")).offset
    assert.deepStrictEqual(told(mirror.since(from, {})), {
      mode: "conflated",
      entries: [7, 8, 9],
      to,
      more: false,
      lost: 0
    })
    assert.deepInclude(told(mirror.since(from, { filter: agents("b") })), { entries: [8], to })
  })

  it("is told a removal once, the newest", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const from = apply(agent("a")).offset
    for (let i = 0; i < 3; i++) {
      apply(agent("a"))
      apply(removal("a"))
    }
    apply(agent("b"))
    assert.deepStrictEqual(told(mirror.since(from, {})).entries, [7, 8])
    assert.strictEqual(mirror.stats().removalMarks, 1)
  })

  it("is told a removal of each tenant, each agent and each command", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const from = apply({}).offset
    const ends = [
      { tenant: "t", agentId: "a", removes: ["k"] },
      { agentId: "a", removes: ["k"] },
      { agentId: "b", removes: ["k"] },
      { agentId: "b", commandId: "c", removes: ["k"] },
      { agentId: "b", commandId: "c", removes: ["l"] }
    ]
    for (const end of ends) {
      apply({ ...end, removes: [], key: end.removes[0] ?? "" })
      apply(end)
    }
    apply({})
    assert.deepStrictEqual(
      mirror.since(from, { filter: Filter.fromFields({}) }).entries.map(({ index }) => index),
      [5, 7, 9, 11]
    )
    assert.strictEqual(mirror.stats().removalMarks, 5)
  })

  it("is told the removals that are remembered, and starts afresh from before the others", () => {
    const { apply, mirror } = world({ removalMarks: 1, historyCapacity: 1 })
    const before = apply(agent("a")).offset
    apply(agent("b"))
    const third = apply(removal("a")).offset
    assert.deepInclude(mirror.since(before, {}), { mode: "conflated", lost: 0 })
    apply(removal("b"))
    apply(agent("c"))
    assert.strictEqual(mirror.stats().removalMarks, 1)
    assert.deepInclude(told(mirror.since(before, {})), { mode: "snapshot", entries: [5] })
    assert.deepInclude(told(mirror.since(before, { neverSnapshot: true })), { mode: "conflated", entries: [4, 5] })
    // One that knew of the removal itself misses nothing.
    assert.deepInclude(told(mirror.since(third, {})), { mode: "conflated", entries: [4, 5] })
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

  it("in the middle of a snapshot is owed nothing from before it began", () => {
    const { apply, mirror } = world({ historyCapacity: 2, removalMarks: 1 })
    const first = apply(agent("a")).offset
    for (const name of ["b", "c", "d"]) apply(agent(name))
    apply({})
    const third = apply(removal("c")).offset
    const begun = apply(removal("d")).offset
    apply({})
    apply(agent("e"))
    const rest = { entries: [2, 9], more: false, lost: 1 }
    // Neither the removal that it never saw, nor the event without a key, nor another snapshot.
    assert.deepInclude(told(mirror.since(first, { conflateFrom: begun })), { mode: "conflated", ...rest })
    assert.deepInclude(told(mirror.since(third, { conflateFrom: begun })), { mode: "conflated", entries: [9], lost: 1 })
    // What it knew when it began counts, where it has gone on since.
    assert.deepInclude(told(mirror.since(begun, { conflateFrom: first })), { mode: "conflated", entries: [9], lost: 1 })
    assert.strictEqual(mirror.since(first, {}).mode, "snapshot")
  })

  it("goes in steps of about so many characters, and never past what it asked for", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const start = apply(agent("start")).offset
    const offsets = ["a", "b", "c", "d"].map((name) => apply(agent(name, "x".repeat(10))).offset)
    const step = (maxBytes: number, until = offsets[3] ?? "") => told(mirror.since(start, { maxBytes, until }))
    const rest = { mode: "conflated", lost: 0 }
    assert.deepStrictEqual(step(20), { ...rest, entries: [2, 3], to: offsets[1], more: true })
    assert.deepStrictEqual(step(21), { ...rest, entries: [2, 3, 4], to: offsets[2], more: true })
    assert.deepStrictEqual(step(40), { ...rest, entries: [2, 3, 4, 5], to: offsets[3], more: false })
    // Further steps than one at a time are those of the places that the history has.
    apply(agent("e"))
    assert.deepInclude(step(1000, mirror.head.offset), { entries: [2, 3, 4, 5, 6] })
  })

  it("is told nothing from after the place it asked for", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    const start = apply(agent("start")).offset
    const offsets = ["a", "b", "c", "d"].map((name) => apply(agent(name)).offset)
    assert.deepStrictEqual(told(mirror.since(start, { until: offsets[2] ?? "" })), {
      mode: "conflated",
      entries: [2, 3, 4],
      to: offsets[2],
      more: false,
      lost: 0
    })
  })

  it("looks at so many events in one step, superseded ones among them", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const start = apply(agent("start")).offset
    for (let i = 0; i < 8191; i++) apply(agent(`a${i}`))
    const { offset } = apply(agent("b"))
    const step = (cursor: string | undefined) => told(mirror.since(cursor, { filter: agents("b", "c") }))
    assert.deepInclude(step(start), { entries: [8193], more: false, to: offset })
    const last = apply(agent("c")).offset
    assert.deepInclude(step(start), { entries: [8193], more: true, to: offset })
    assert.deepInclude(told(mirror.since(offset, { filter: agents("b", "c"), conflateFrom: start })), {
      entries: [8194],
      more: false,
      to: last
    })
  })

  it("is told of a command that moved, where a step might end between its removal and its event", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    apply(command("c", "x"))
    const start = apply(agent("start")).offset
    for (let i = 0; i < 8191; i++) apply(agent(`a${i}`))
    const moved = apply(command("c", "y")).offset
    apply(agent("last"))
    assert.deepInclude(told(mirror.since(start, { filter: agents("x", "y") })), {
      entries: [8194],
      more: true,
      to: moved
    })
  })

  it("is told the move of a command as a removal where it sees only what the command left", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    const start = apply(command("c", "a")).offset
    apply(command("c", "b"))
    const end = apply(agent("x")).offset
    const types = (filter: Filter.Filter) => mirror.since(start, { filter }).entries.map(({ eventType }) => eventType)
    assert.deepStrictEqual(types(agents("a")), ["stratix:command_remove"])
    assert.deepStrictEqual(types(agents("b")), ["stratix:command_status_update"])
    assert.deepStrictEqual(types(agents("a", "b")), ["stratix:command_status_update"])
    const step = mirror.since(start, { maxBytes: 1, filter: agents("a", "x") })
    assert.deepInclude(told(step), { entries: [2], more: true })
    assert.deepInclude(told(mirror.since(step.to, { conflateFrom: start })), { entries: [3], to: end })
  })

  it("counts the events without a key that it was not told", () => {
    const { apply, mirror } = world({ historyCapacity: 1 })
    apply({})
    const from = apply(agent("a")).offset
    for (let i = 0; i < 3; i++) apply({})
    apply(agent("a"))
    assert.deepInclude(mirror.since(from, {}), { mode: "conflated", lost: 3 })
    assert.strictEqual(mirror.since(from, { filter: Filter.fromFields({ events: ["agent_create"] }) }).lost, 0)
    assert.strictEqual(mirror.since(undefined, {}).lost, 0)
  })
})

describe("a reader that begins, or whose cursor means nothing here", () => {
  it("is given the newest of every key, and no removal", () => {
    const { apply, mirror } = world()
    for (const name of ["a", "b", "gone", "a"]) apply(agent(name))
    apply(removal("gone"))
    const to = apply(finished("c")).offset
    const whole = { mode: "snapshot", entries: [2, 4, 6], to, more: false, lost: 0 }
    assert.deepStrictEqual(told(mirror.since(undefined, {})), whole)
    assert.deepStrictEqual(told(mirror.since(undefined, { filter: agents("b") })).entries, [2])
    assert.deepStrictEqual(keys([...mirror.latest(Filter.all).parts].flat()), ["agent:b", "agent:a", "command:c"])
    assert.deepStrictEqual(keys([...mirror.latest(agents("b")).parts].flat()), ["agent:b"])
    assert.strictEqual(mirror.latest(Filter.all).head, to)
  })

  it("is given what was so at the place it asked for, and what is so now of the rest", () => {
    const { apply, mirror } = world({ historyCapacity: 3 })
    const offsets = ["a", "b", "c", "d"].map((name) => apply(agent(name)).offset)
    assert.deepStrictEqual(told(mirror.since(undefined, { until: offsets[2] ?? "" })), {
      mode: "snapshot",
      entries: [1, 2, 3],
      to: offsets[2],
      more: false,
      lost: 0
    })
  })

  it("is one whose offset this log did not give", () => {
    const { apply, mirror } = world({ historyCapacity: 3 })
    for (let i = 0; i < 3; i++) apply({})
    for (let i = 0; i < 3; i++) apply(agent("a"))
    assert.strictEqual(mirror.head.offset, "e-6-3")
    const modes = (...offsets: ReadonlyArray<string>) => offsets.map((offset) => mirror.since(offset, {}).mode)
    assert.deepStrictEqual(modes("e-3-3", "e-4-3", "e-6-3"), ["resume", "resume", "resume"])
    // Beyond the history it cannot be told from one that it gave.
    assert.deepStrictEqual(modes("e-2-2", "e-2-1"), ["conflated", "conflated"])
    for (const offset of ["f-5-3", "junk", "e-7-3", "e-3-4", "e-2-4", "e-4-2", "e-5-2", "e-6-2"])
      assert.deepStrictEqual(modes(offset), ["snapshot"], offset)
  })

  it("of an older epoch goes on where its place was given before the next one began", () => {
    const epochs = [
      { epoch: "d", start: 0 },
      { epoch: "e", start: 2 }
    ]
    const { apply, mirror } = world({}, { after: { epoch: "d", seq: 2, keyless: 0 }, index: 0, epochs })
    apply(agent("a"))
    assert.deepStrictEqual(
      ["d-2-0", "d-3-0", "e-3-0"].map((offset) => mirror.since(offset, {}).mode),
      ["resume", "snapshot", "resume"]
    )
  })
})

describe("the tail of a mirror", () => {
  it("has every event after an index, or nothing where some have left the history", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    for (const name of ["a", "b", "c"]) apply(agent(name))
    assert.deepStrictEqual(indexes(mirror.tail(1) ?? []), [2, 3])
    assert.deepStrictEqual(mirror.tail(3), [])
    assert.isUndefined(mirror.tail(0))
    assert.deepStrictEqual(
      mirror.recordedAfter(1, 1)?.map(({ place }) => place.seq),
      [2]
    )
    assert.isUndefined(mirror.recordedAfter(0, 1))
  })

  it("has the event at an index while the history has it, and the oldest one", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    assert.isUndefined(mirror.at())
    for (const name of ["a", "b", "c"]) apply(agent(name))
    assert.deepStrictEqual(
      [mirror.at(1), mirror.at(2), mirror.at(3), mirror.at(4), mirror.at()].map((entry) => entry?.agentId),
      [undefined, "b", "c", undefined, "b"]
    )
  })
})

describe("how far a reader is behind", () => {
  it("is how many events, and how old the oldest of them is that is known", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    assert.deepStrictEqual(mirror.lag(undefined, 500), { events: 0, millis: 0 })
    const offsets = [100, 200, 300].map((now) => apply(agent("a"), now).offset)
    const lags = (now: number) => [...offsets, undefined, "junk"].map((cursor) => mirror.lag(cursor, now))
    assert.deepStrictEqual(lags(1000), [
      { events: 2, millis: 800 },
      { events: 1, millis: 700 },
      { events: 0, millis: 0 },
      { events: 3, millis: 800 },
      { events: 3, millis: 800 }
    ])
    // After the clock was set back.
    assert.deepStrictEqual(mirror.lag(offsets[1], 250), { events: 1, millis: 0 })
  })
})
