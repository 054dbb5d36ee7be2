import { assert, describe, it } from "@effect/vitest"
import type { Draft } from "../../../../src/stratix-gateway/log/EventLog.js"
import { flagsOf, headerOf, pack, readDraft, seqOf, unpack } from "../../../../src/stratix-gateway/log/mirror/Packed.js"
import { NOTHING, type Recorded } from "../../../../src/stratix-gateway/log/mirror/Records.js"
import { draft } from "../../../support/draft.js"

const stamp = { timestamp: 7, requestId: "r7" }
const statusOfCommand = draft({
  tenant: "t",
  eventType: "stratix:command_status_update",
  agentId: "a",
  commandId: "c",
  key: "@t/command:c",
  status: "running",
  stamp,
  json: `{"text":"one\\ntwo"}`
})
const leased = draft({
  eventType: "stratix:agent_status_update",
  agentId: "a",
  key: "agent:a",
  status: "busy",
  lease: { millis: 5000, endCommands: true }
})
const removal = draft({ eventType: "stratix:zone_update", own: "k", removes: ["stratix:zone_update/k", "other"] })
const drafts: ReadonlyArray<Draft> = [
  draft(),
  statusOfCommand,
  { ...statusOfCommand, status: "success", finished: true },
  leased,
  { ...leased, lease: { millis: 1, endCommands: false } },
  removal
]
const recorded = (of: Draft, rest: Partial<Recorded> = {}): Recorded => ({
  draft: of,
  place: { epoch: "e", seq: 12, keyless: 3 },
  now: 1000,
  effects: { moved: undefined, removed: false },
  ...rest
})

describe("the header of an event", () => {
  it("is everything but its JSON, in a fixed order", () => {
    assert.strictEqual(
      headerOf(statusOfCommand),
      `["stratix:command_status_update","a","c","@t/command:c",[],"running",false,null,false,7,"r7","t",null]`
    )
    assert.strictEqual(
      headerOf(leased),
      `["stratix:agent_status_update","a",null,"agent:a",[],"busy",false,5000,true,0,"r","default",null]`
    )
    assert.strictEqual(
      headerOf(removal),
      `["stratix:zone_update",null,null,null,["stratix:zone_update/k","other"],null,false,null,false,0,"r","default","k"]`
    )
  })

  it("is read back, whatever the event", () => {
    for (const each of drafts) assert.deepStrictEqual(readDraft(headerOf(each), each.json), each)
  })

  it("that another version wrote is read as far as it goes", () => {
    const nothing = {
      ...draft({ tenant: "undefined" }),
      stamp: { timestamp: Number.NaN, requestId: "undefined" }
    }
    for (const [header, eventType] of [
      ["[null]", "null"],
      ["{}", "undefined"],
      ["null", "undefined"]
    ] as const) {
      assert.deepStrictEqual(readDraft(header, "{}"), { ...nothing, eventType })
    }
    const odd = readDraft(`["x",1,2,3,"agent:a","asleep",1,"5000",1,0,"r","t",4]`, "{}")
    assert.deepStrictEqual(odd, { ...draft({ tenant: "t", eventType: "x" }) })
    const lease = readDraft(`["x",null,null,null,[],null,false,5000,1,0,"r","t",null]`, "{}").lease
    assert.deepStrictEqual(lease, { millis: 5000, endCommands: false })
  })

  it("that ends no keys shares one list with all others", () => {
    const [one, two] = [readDraft(headerOf(leased), "{}"), readDraft(headerOf(statusOfCommand), "{}")]
    assert.strictEqual(one.removes, two.removes)
  })
})

describe("a packed event", () => {
  it("is a line of numbers, a line of what moved, its header and its JSON", () => {
    const moved = draft({ agentId: "b", commandId: "c", key: "command:c" })
    assert.strictEqual(
      pack(recorded(statusOfCommand, { now: 1000.9, effects: { moved, removed: true } })),
      `12 3 e 1000 ${statusOfCommand.json.length} 2 1\n["b","c"]\n${headerOf(statusOfCommand)}\n${statusOfCommand.json}`
    )
    assert.strictEqual(pack(recorded(leased)), `12 3 e 1000 2 0 0\n\n${headerOf(leased)}\n{}`)
    const unnamed = pack(recorded(leased, { effects: { moved: draft(), removed: false } }))
    assert.strictEqual(unnamed.split("\n")[1], "[null,null]")
  })

  it("says whether it is finished, and whether it is a running command", () => {
    assert.deepStrictEqual(drafts.map(flagsOf), [0, 2, 1, 0, 0, 0])
    assert.strictEqual(flagsOf({ ...statusOfCommand, finished: true }), 3)
    assert.strictEqual(flagsOf({ ...statusOfCommand, commandId: undefined }), 0)
  })

  it("is read back, with what it did to the state", () => {
    for (const each of drafts) {
      for (const removed of [true, false]) {
        const whole = recorded(each, { effects: { moved: undefined, removed } })
        assert.deepStrictEqual(unpack(pack(whole)), whole)
      }
    }
    assert.strictEqual(unpack(pack(recorded(leased)), 5).now, 5)
    assert.strictEqual(unpack(pack(recorded(leased)), 0).now, 0)
  })

  it("tells what its key was before, by the agent and the command that had it", () => {
    const movedOf = (of: Draft, from: Partial<Draft>) =>
      unpack(pack(recorded(of, { effects: { moved: draft(from), removed: false } }))).effects
    const { eventType, key, tenant } = statusOfCommand
    assert.deepStrictEqual(movedOf(statusOfCommand, { agentId: "b", commandId: "d" }), {
      moved: { tenant, eventType, agentId: "b", commandId: "d", key, own: undefined },
      removed: false
    })
    assert.deepStrictEqual(movedOf(removal, {}).moved, {
      tenant: "default",
      eventType: "stratix:zone_update",
      agentId: undefined,
      commandId: undefined,
      key: "stratix:zone_update/k",
      own: "k"
    })
  })

  it("that did nothing to the state shares what says so with all others", () => {
    assert.strictEqual(unpack(pack(recorded(leased))).effects, NOTHING)
  })

  it("has its sequence number where it is found without reading the rest", () => {
    assert.strictEqual(seqOf(pack(recorded(leased))), 12)
  })

  it("of another epoch has that one, and of the same one the same text", () => {
    const epochOf = (epoch: string) =>
      unpack(pack(recorded(leased, { place: { epoch, seq: 1, keyless: 0 } }))).place.epoch
    assert.deepStrictEqual(["one", "two", "two", "one"].map(epochOf), ["one", "two", "two", "one"])
  })

  it("that is none throws, and says what stood there", () => {
    for (const text of [
      "",
      "12 3 e 1000 2 0 0",
      "12 3 e 1000 2 0 0\n\n[]",
      "12 3 e 1000 2 0 0\n[]",
      "12 3\n\n[]\n{}"
    ]) {
      assert.throws(() => unpack(text), `no event: ${text}`)
    }
    assert.throws(() => unpack("x".repeat(1000)), new RegExp(`^no event: ${"x".repeat(200)}$`))
  })
})
