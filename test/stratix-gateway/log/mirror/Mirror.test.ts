import { assert, describe, it } from "@effect/vitest"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import { agent, command, finished, indexes, info, keys, leased, removal, stampOf, world } from "../mirrors.js"

const latest = ({ mirror }: Pick<ReturnType<typeof world>, "mirror">) => [...mirror.latest(Filter.all).parts].flat()

describe("the state of a mirror", () => {
  it("takes memory for its keys, not for its events, and stays in the order of the log", () => {
    const { apply, mirror } = world()
    for (let i = 0; i < 1000; i++) {
      apply(agent(`a${i % 10}`))
      // As many as there are keys, and at most that and the slack beside them.
      assert.isAtMost(mirror["ordered"].length, 10 + 10 + 64 + 1)
    }
    assert.deepStrictEqual(indexes(latest({ mirror })), [991, 992, 993, 994, 995, 996, 997, 998, 999, 1000])
  })

  it("is swept only when more of it is superseded than not, and then anew from nothing", () => {
    const { apply, mirror } = world()
    for (let i = 0; i < 200; i++) apply(agent(`a${i}`))
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 200; i++) apply(agent(`a${i}`))
      assert.strictEqual(mirror["ordered"].length, 400)
      for (let i = 0; i < 63; i++) apply(agent(`a${i}`))
      assert.strictEqual(mirror["ordered"].length, 463)
      apply(agent("a63"))
      // The one that is superseded comes before the one that supersedes it.
      assert.strictEqual(mirror["ordered"].length, 200)
      assert.strictEqual(latest({ mirror }).length, 200)
      for (let i = 64; i < 200; i++) apply(agent(`a${i}`))
      for (let i = 0; i < 64; i++) apply(agent(`a${i}`))
      assert.strictEqual(mirror["ordered"].length, 400)
      for (let i = 64; i < 128; i++) apply(agent(`a${i}`))
      assert.strictEqual(mirror["ordered"].length, 200)
    }
  })

  it("is that of the moment when it was asked for, whatever is applied while it is gathered", () => {
    const { apply, mirror } = world({ latestCapacity: 20_000 })
    for (let i = 0; i < 10_000; i++) apply(agent(`a${i}`))
    const { head, parts } = mirror.latest(Filter.all)
    const gathered = []
    for (const part of parts) {
      gathered.push(part)
      // Replaced, removed and new ones, before and after the place where it is: so many that it is swept.
      for (let i = 0; i < 10_000; i += 3) apply(agent(`a${i}`))
      for (let i = 0; i < 10_000; i += 7) apply(removal(`a${i}`))
      apply(agent(`new-${gathered.length}`))
    }
    assert.strictEqual(head, "e-7ps-0")
    assert.deepStrictEqual(
      gathered.map(({ length }) => length),
      [4096, 4096, 1808]
    )
    assert.deepStrictEqual(
      indexes(gathered.flat()),
      Array.from({ length: 10_000 }, (_, i) => i + 1)
    )
  })

  it("takes no memory for what was removed, but for the removals that are remembered", () => {
    const { apply, mirror } = world({ removalMarks: 5 })
    for (let i = 0; i < 300; i++) {
      apply(agent(`a${i}`))
      apply(removal(`a${i}`))
      assert.isAtMost(mirror["ordered"].length, 5 + 5 + 64 + 1 + 1)
    }
    assert.deepInclude(mirror.stats(), { keys: 0, removalMarks: 5 })
  })

  it("tells the newest event of a key", () => {
    const { apply, mirror } = world()
    apply(agent("a", "old"))
    apply(agent("a", "new"))
    assert.deepInclude(mirror.newestOf("agent:a"), { index: 2, json: "new" })
    apply(removal("a"))
    assert.isUndefined(mirror.newestOf("agent:a"))
  })

  it("begins after the events that others had, and counts its own places on", () => {
    const after = { epoch: "e", seq: 10, keyless: 4 }
    const { apply, mirror } = world({}, { after, index: 3, epochs: [{ epoch: "e", start: 0 }] })
    assert.deepStrictEqual(mirror.head, { offset: "e-a-4", index: 3 })
    assert.deepStrictEqual(mirror.stats().historyEvents, 0)
    const entry = apply({})
    assert.deepStrictEqual([entry.offset, entry.index], ["e-b-5", 4])
    assert.deepStrictEqual(mirror.head, { offset: "e-b-5", index: 4 })
    assert.deepStrictEqual(mirror.place.seq, 11)
    assert.deepStrictEqual([mirror.tail(3), mirror.at(), mirror.at(4)], [[entry], entry, entry])
    assert.deepStrictEqual(
      mirror.recordedAfter(3, 1)?.map(({ place }) => place.seq),
      [11]
    )
  })

  it("counts agents and commands by their status, and what its history holds", () => {
    const { apply, mirror } = world({ historyCapacity: 2 })
    for (const characters of [10, 20, 30]) apply({ json: "x".repeat(characters) })
    assert.deepInclude(mirror.stats(), { historyEvents: 2, historyBytes: 50 })
    apply({ ...agent("a"), status: "busy" })
    apply({ ...agent("b"), status: "busy" })
    apply({ ...agent("b"), status: "online" })
    apply(command("c", "a", { status: "running" }))
    apply(command("d", "a", { status: "running" }))
    apply({ agentId: "a", commandId: "d", removes: ["command:d"] })
    const { agents, commands, eventTypes } = mirror.stats()
    assert.deepStrictEqual(
      [...agents],
      [
        ["busy", 1],
        ["online", 1]
      ]
    )
    assert.deepStrictEqual([...commands], [["running", 1]])
    assert.deepStrictEqual(
      [...eventTypes],
      ["stratix:x", "stratix:agent_status_update", "stratix:command_status_update"]
    )
  })
})

describe("the bounds of a mirror's state", () => {
  it("let the oldest key go above its number of keys, and above its characters, but never the last", () => {
    const { apply, due, mirror } = world({ latestCapacity: 2, latestBytes: 100 })
    for (const name of ["a", "b"]) apply(agent(name))
    assert.deepStrictEqual(due(), [])
    apply(agent("c"))
    assert.deepStrictEqual(
      due().map(({ removes }) => removes[0]),
      ["agent:a"]
    )
    apply(agent("b", "x".repeat(98)))
    assert.deepStrictEqual(due(), [])
    apply(agent("b", "x".repeat(99)))
    assert.deepStrictEqual(
      due().map(({ removes }) => removes[0]),
      ["agent:c"]
    )
    apply(agent("b", "x".repeat(1000)))
    assert.deepStrictEqual(due(), [])
    assert.deepInclude(mirror.stats(), { keys: 1, keysDropped: 2 })
  })

  it("hold however often its state was swept, and whatever was removed", () => {
    const { apply, due, mirror } = world({ latestCapacity: 10, latestBytes: 200, removalMarks: 3 })
    for (let i = 0; i < 300; i++) {
      apply(agent(`a${i}`, "x".repeat(30)))
      for (const name of ["often", `once-${i}`]) {
        apply(agent(name))
        apply(removal(name, "x".repeat(90)))
      }
      due()
      assert.isAtMost(
        latest({ mirror }).reduce((sum, { json }) => sum + json.length, 0),
        200
      )
      assert.isAtMost(mirror["ordered"].length, 2 * (10 + 3) + 64 + 2)
    }
    // As many as there is room for.
    assert.deepStrictEqual(
      keys(latest({ mirror })),
      [294, 295, 296, 297, 298, 299].map((i) => `agent:a${i}`)
    )
  })

  it("are held by removing one key after the other, the one unchanged for longest first", () => {
    const { apply, due, mirror } = world({ latestCapacity: 100 })
    for (let i = 0; i < 100; i++) apply(agent(`a${i}`))
    for (let round = 0; round < 5; round++) {
      // Those of an odd number stay: they change, and so are never the oldest.
      for (let i = 1; i < 100; i += 2) apply(agent(`a${i}`))
      for (let i = 0; i < 10; i++) {
        apply(agent(`new-${round}-${i}`))
        assert.deepStrictEqual(
          due().map(({ agentId }) => agentId),
          [`a${20 * round + 2 * i}`]
        )
      }
    }
    assert.deepInclude(mirror.stats(), { keys: 100, keysDropped: 50 })
  })

  it("leave what was said of an agent once until its status goes, or where it has none", () => {
    const { apply, due } = world({ latestCapacity: 3 })
    for (const event of [info("a"), info("b"), agent("c"), agent("a")]) apply(event)
    assert.deepStrictEqual(
      due().map(({ removes }) => removes),
      [["agent:b", "agent-info:b"]]
    )
    apply(agent("d"))
    assert.deepStrictEqual(
      due().map(({ removes }) => removes[0]),
      ["agent:c"]
    )
    apply(agent("d"))
    apply(agent("e"))
    assert.deepStrictEqual(
      due().map(({ removes }) => removes),
      [["agent:a", "agent-info:a"]]
    )
  })

  it("ask for no key twice, and for what came later when its turn comes", () => {
    const { apply, mirror } = world({ latestCapacity: 0 })
    for (const name of ["a", "b"]) apply(agent(name))
    const asked = () => mirror.overdue(0, stampOf)?.agentId
    assert.deepStrictEqual([asked(), asked(), asked(), asked()], ["a", "b", undefined, undefined])
    apply(agent("c"))
    assert.deepStrictEqual([asked(), asked()], ["c", undefined])
  })

  it("let finished commands go above their number, the one that ended first first, and count them", () => {
    const { apply, due, mirror } = world({ finishedCapacity: 2 })
    for (const name of ["one", "two"]) apply(finished(name))
    assert.deepStrictEqual(due(), [])
    for (let i = 0; i < 3; i++) apply(command("runs"))
    assert.deepStrictEqual(due(), [])
    apply(finished("three"))
    assert.deepStrictEqual(
      due().map(({ eventType, removes }) => [eventType, removes]),
      [["stratix:command_remove", ["command:one"]]]
    )
    assert.deepInclude(mirror.stats(), { finishedDropped: 1, keysDropped: 0, keys: 3 })
    // One that runs again, or was removed, is not finished any more.
    apply(command("two"))
    apply(finished("four"))
    apply({ agentId: "a", commandId: "four", removes: ["command:four"] })
    apply(finished("five"))
    assert.deepStrictEqual(due(), [])
  })

  it("let finished commands go once they are as old as the retention time", () => {
    const { apply, due, mirror } = world({ finishedRetention: "1 minute" })
    assert.strictEqual(mirror.nextDue(), Number.POSITIVE_INFINITY)
    apply(finished("one"), 1000)
    apply(finished("two"), 2000)
    assert.strictEqual(mirror.nextDue(), 61_000)
    assert.deepStrictEqual(due(60_999), [])
    assert.deepStrictEqual(
      due(61_000).map(({ commandId }) => commandId),
      ["one"]
    )
    assert.strictEqual(mirror.nextDue(), 62_000)
    apply(leased("a", 100), 2000)
    assert.strictEqual(mirror.nextDue(), 2100)
    apply(leased("a", 100_000), 2000)
    assert.strictEqual(mirror.nextDue(), 62_000)
  })
})

describe("the leases of a mirror's agents", () => {
  it("begin with a status, and end with the next one or with the agent's removal", () => {
    const { apply, mirror } = world()
    const leases = () => mirror.stats().leases
    apply(leased("a", 100))
    apply(leased("b", 100))
    assert.strictEqual(leases(), 2)
    apply(agent("a"))
    assert.strictEqual(leases(), 1)
    assert.isFalse(mirror.renew("agent:a", 0))
    apply(removal("b"))
    assert.strictEqual(leases(), 0)
    // Nothing but the status of an agent has one.
    apply({ ...info("a"), lease: { millis: 100, endCommands: false } })
    apply({ ...command("c"), lease: { millis: 100, endCommands: false } })
    apply({ key: "agent:undefined", lease: { millis: 100, endCommands: false } })
    assert.strictEqual(leases(), 0)
    // Nor does another key of an agent end its lease.
    apply(leased("a", 100))
    apply(info("a"))
    assert.strictEqual(leases(), 1)
  })

  it("that run out end in offline, in the agent's tenant, and are counted", () => {
    const { apply, due, mirror } = world()
    apply({ ...leased("a", 100), tenant: "t", key: "@t/agent:a" })
    apply(command("c", "a", { status: "running" }))
    assert.deepStrictEqual(due(99), [])
    const [offline, ...rest] = due(100)
    assert.deepStrictEqual(rest, [])
    assert.deepInclude(offline, { tenant: "t", agentId: "a", key: "@t/agent:a", status: "offline" })
    assert.deepInclude(mirror.stats(), { leases: 0, leasesExpired: 1 })
  })

  it("fail what the agent runs, where the lease says so, before it is offline", () => {
    const { apply, due, mirror } = world()
    apply(leased("a", 100, true))
    for (const name of ["one", "two"]) apply(command(name, "a", { status: "running" }))
    apply(command("other", "b", { status: "running" }))
    assert.deepStrictEqual(
      due(100).map(({ key, status }) => [key, status]),
      [
        ["command:one", "failed"],
        ["command:two", "failed"],
        ["agent:a", "offline"]
      ]
    )
    assert.strictEqual(mirror.stats().leasesExpired, 1)
  })

  it("run on when they are renewed, and all of them once more after an outage", () => {
    const { apply, due, mirror } = world()
    apply(leased("a", 100))
    apply(leased("b", 100))
    assert.isTrue(mirror.renew("agent:a", 50))
    assert.deepStrictEqual(
      due(100).map(({ agentId }) => agentId),
      ["b"]
    )
    mirror.restartLeases(140)
    assert.deepStrictEqual(due(239), [])
    assert.strictEqual(due(240).length, 1)
  })
})
