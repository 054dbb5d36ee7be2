import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import { define } from "../../../src/stratix-core/StatusEvent.js"
import { encode } from "../../../src/stratix-gateway/log/EventEncoder.js"
import { draft } from "../../support/draft.js"

const zone = define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, closed: Schema.Boolean }),
  key: ({ zoneId }) => zoneId,
  finished: ({ closed }) => closed
})
const stamp = { timestamp: 7, requestId: "r7" }
const declared = new Map([[zone.eventType, zone]])

const encoded = (input: unknown, { maxEventBytes = 1000, tenant = "default" } = {}) =>
  // biome-ignore lint/suspicious/noExplicitAny: what comes over HTTP may be anything.
  encode(input as any, () => stamp, { maxEventBytes, maxLease: "1 minute" }, declared, tenant)
const draftOf = (...args: Parameters<typeof encoded>) => Either.getOrThrow(encoded(...args))
const refused = (...args: Parameters<typeof encoded>) => {
  const { detail, field, reason } = Either.getOrThrow(Either.flip(encoded(...args)))
  return [reason, field, detail]
}
const json = (eventType: string, payload: object, more: object = {}) =>
  JSON.stringify({ eventType, payload, ...stamp, ...more })

const status = { eventType: "stratix:agent_status_update", payload: { agentId: "a", status: "busy" } }
const command = (commandStatus: string) => ({
  eventType: "stratix:command_status_update",
  payload: { commandId: "c", agentId: "a", commandStatus }
})

describe("an encoded event", () => {
  it("of an agent's status is the newest of its agent", () => {
    assert.deepStrictEqual(
      draftOf(status),
      draft({
        eventType: "stratix:agent_status_update",
        agentId: "a",
        key: "agent:a",
        status: "busy",
        stamp,
        json: json(status.eventType, status.payload)
      })
    )
  })

  it("of a command is the last word on it once it has ended", () => {
    assert.deepStrictEqual(
      draftOf(command("running")),
      draft({
        eventType: "stratix:command_status_update",
        agentId: "a",
        commandId: "c",
        key: "command:c",
        status: "running",
        stamp,
        json: json("stratix:command_status_update", command("running").payload)
      })
    )
    const finished = ["pending", "running", "success", "failed"].map((each) => draftOf(command(each)).finished)
    assert.deepStrictEqual(finished, [false, false, true, true])
  })

  it("that removes an agent or a command ends its keys, and has none itself", () => {
    assert.deepInclude(draftOf({ eventType: "stratix:agent_remove", payload: { agentId: "a" } }), {
      key: undefined,
      removes: ["agent:a", "agent-info:a"]
    })
    assert.deepInclude(draftOf({ eventType: "stratix:command_remove", payload: { agentId: "a", commandId: "c" } }), {
      agentId: "a",
      commandId: "c",
      key: undefined,
      removes: ["command:c"]
    })
  })

  it("of a declared type has the key that its author gives it, and ends as the author says", () => {
    const payload = { zoneId: "north", closed: true }
    assert.deepStrictEqual(
      draftOf({ eventType: zone.eventType, payload }),
      draft({
        eventType: zone.eventType,
        key: "stratix:zone_update/north",
        own: "north",
        finished: true,
        stamp,
        json: json(zone.eventType, payload)
      })
    )
    assert.isFalse(draftOf({ eventType: zone.eventType, payload: { ...payload, closed: false } }).finished)
  })

  it("that ends such a key goes where the events of the key's type go", () => {
    const payload = { eventType: zone.eventType, key: "north" }
    assert.deepStrictEqual(
      draftOf({ eventType: "stratix:key_remove", payload }),
      draft({
        eventType: zone.eventType,
        own: "north",
        removes: ["stratix:zone_update/north"],
        stamp,
        json: json("stratix:key_remove", payload)
      })
    )
  })

  it("of a type that nobody declared has neither key nor status, whatever its payload says", () => {
    const payload = { eventType: "x", key: "k", status: "busy", commandStatus: "success" }
    assert.deepStrictEqual(
      draftOf({ eventType: "stratix:other", payload }),
      draft({ eventType: "stratix:other", stamp, json: json("stratix:other", payload) })
    )
    const named = draftOf({ eventType: "stratix:other", payload: { agentId: "a", commandId: "c" } })
    assert.deepInclude(named, { agentId: "a", commandId: "c", key: undefined })
    const odd = draftOf({ eventType: "stratix:other", payload: { agentId: 1, commandId: {} } })
    assert.deepInclude(odd, { agentId: undefined, commandId: undefined })
  })

  it("has keys of its tenant", () => {
    const of = (input: object) => {
      const { key, removes, tenant } = draftOf(input, { tenant: "t" })
      return [tenant, key, removes]
    }
    assert.deepStrictEqual(of(status), ["t", "@t/agent:a", []])
    const removed = of({ eventType: "stratix:agent_remove", payload: { agentId: "a" } })
    assert.deepStrictEqual(removed, ["t", undefined, ["@t/agent:a", "@t/agent-info:a"]])
    assert.deepStrictEqual(of({ eventType: "stratix:other", payload: {} }), ["t", undefined, []])
    const { tenant } = Either.getOrThrow(encode(status, () => stamp, { maxEventBytes: 1000, maxLease: 1 }, declared))
    assert.strictEqual(tenant, "default")
  })

  it("has the stamps that its publisher gives, one by one, and else the next ones", () => {
    const stampOf = (more: object) => draftOf({ ...status, ...more }).stamp
    assert.deepStrictEqual(stampOf({ timestamp: 1 }), { timestamp: 1, requestId: "r7" })
    assert.deepStrictEqual(stampOf({ timestamp: 0, requestId: "mine" }), { timestamp: 0, requestId: "mine" })
    assert.strictEqual(
      draftOf({ ...status, timestamp: 1 }).json,
      json(status.eventType, status.payload, { timestamp: 1 })
    )
    assert.deepStrictEqual(refused({ ...status, timestamp: -1 }).slice(0, 2), ["InvalidField", "timestamp"])
    assert.deepStrictEqual(refused({ ...status, requestId: "" }).slice(0, 2), ["InvalidField", "requestId"])
  })
})

describe("an event that cannot be published", () => {
  it("is none, and is told what one is", () => {
    for (const none of [undefined, null, 1, "text"])
      assert.deepStrictEqual(refused(none), [
        "InvalidField",
        "",
        "an event must be an object with eventType and payload"
      ])
  })

  it("has a field that no event has, and is told those that it may have", () => {
    assert.deepStrictEqual(refused({ ...status, agentId: "a" }), [
      "InvalidField",
      "agentId",
      "is not a field of an event: those are eventType, payload, extra, timestamp, requestId, leaseMs and endCommands"
    ])
    for (const payload of [{}, { agentId: "a", status: "asleep" }])
      assert.match(refused({ ...status, payload })[1] ?? "", /^payload\./)
    assert.deepStrictEqual(refused({ ...status, eventType: "" }).slice(0, 2), ["InvalidField", "eventType"])
  })

  it("is larger than allowed, as JSON in bytes: the last that fits, fits", () => {
    const noted = (text: string) => ({ eventType: "stratix:other", payload: { text } })
    const bytes = Buffer.byteLength(draftOf(noted("é")).json)
    assert.isTrue(Either.isRight(encoded(noted("é"), { maxEventBytes: bytes })))
    assert.deepStrictEqual(refused(noted("é"), { maxEventBytes: bytes - 1 }), [
      "TooLarge",
      "payload",
      `the event is ${bytes} bytes as JSON, more than the ${bytes - 1} allowed`
    ])
  })

  it("is far larger, in its payload or beside it, and is not even read", () => {
    const large = "x".repeat(1001)
    const expected = ["TooLarge", "payload", "the event is larger than the 1000 bytes allowed"]
    // Their fields are wrong as well.
    assert.deepStrictEqual(refused({ ...status, payload: { large } }), expected)
    assert.deepStrictEqual(refused({ ...status, payload: {}, extra: { large } }), expected)
  })

  it("is no JSON", () => {
    assert.strictEqual(refused({ eventType: "stratix:other", payload: { text: 1n } })[0], "NotJson")
  })
})

describe("the lease of a status", () => {
  const leaseOf = (more: object) => draftOf({ ...status, ...more }).lease

  it("is as long as its publisher says, from a millisecond to the longest allowed", () => {
    assert.isUndefined(leaseOf({}))
    assert.isUndefined(leaseOf({ endCommands: false }))
    assert.deepStrictEqual(leaseOf({ leaseMs: 1 }), { millis: 1, endCommands: false })
    assert.deepStrictEqual(leaseOf({ leaseMs: 60_000, endCommands: true }), { millis: 60_000, endCommands: true })
    assert.deepStrictEqual(leaseOf({ leaseMs: 5, endCommands: false }), { millis: 5, endCommands: false })
    for (const leaseMs of [0, -1, 1.5, 60_001, "5", null, Number.NaN])
      assert.deepStrictEqual(
        refused({ ...status, leaseMs }),
        ["InvalidField", "leaseMs", "must be whole milliseconds from 1 to 60000"],
        String(leaseMs)
      )
  })

  it("is none of an agent that is offline", () => {
    const offline = { ...status, payload: { agentId: "a", status: "offline" } }
    assert.isUndefined(draftOf({ ...offline, leaseMs: 5 }).lease)
    assert.strictEqual(refused({ ...offline, leaseMs: 0 })[1], "leaseMs")
  })

  it("is given to the status of an agent alone", () => {
    assert.deepStrictEqual(refused({ ...command("running"), leaseMs: 5 }), [
      "InvalidField",
      "leaseMs",
      "only the status of an agent has a lease"
    ])
  })

  it("ends commands only where there is one, and where that is true or false", () => {
    assert.deepStrictEqual(refused({ ...status, endCommands: true }), [
      "InvalidField",
      "endCommands",
      "needs a lease: leaseMs is absent"
    ])
    assert.deepStrictEqual(refused({ ...status, leaseMs: 5, endCommands: "yes" }), [
      "InvalidField",
      "endCommands",
      "must be true or false"
    ])
  })
})
