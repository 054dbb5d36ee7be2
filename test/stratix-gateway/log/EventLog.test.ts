import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as EventLog from "../../../src/stratix-gateway/log/EventLog.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import { draft } from "../../support/draft.js"

const entry = (rest: Partial<EventLog.LogEntry> = {}): EventLog.LogEntry => ({
  ...draft(rest),
  offset: "e-1-0",
  index: 1,
  departure: undefined,
  ...rest
})

describe("an event as it stands on the wire", () => {
  it("is its four fields, in this order, as JSON", () => {
    const json = EventLog.jsonOf('stratix:"x"', `{"a":1}`, { timestamp: 7, requestId: "r\n7" })
    assert.strictEqual(
      json,
      String.raw`{"eventType":"stratix:\"x\"","payload":{"a":1},"timestamp":7,"requestId":"r\n7"}`
    )
  })

  it("has its offset as fifth field for a sync client, and its key where that is the author's own", () => {
    const json = `{"eventType":"stratix:x"}`
    assert.strictEqual(
      EventLog.withOffset(entry({ json, key: "agent:a" })),
      `{"eventType":"stratix:x","offset":"e-1-0"}`
    )
    assert.strictEqual(
      EventLog.withOffset(entry({ json, key: "stratix:x/k", own: 'k"' })),
      String.raw`{"eventType":"stratix:x","offset":"e-1-0","key":"k\""}`
    )
    // One that ends a key has it in its payload.
    assert.strictEqual(EventLog.withOffset(entry({ json, own: "k" })), `{"eventType":"stratix:x","offset":"e-1-0"}`)
  })
})

describe("what a reader is told of an event", () => {
  const departure = entry({ agentId: "a" })
  const moved = entry({ agentId: "b", departure })
  const told = (event: EventLog.LogEntry, ...agents: ReadonlyArray<string>) =>
    EventLog.toldOf(event, Filter.fromFields({ agents }))

  it("is the event where the filter lets it through, the removal where it lets only that through, or nothing", () => {
    assert.strictEqual(told(moved, "b"), moved)
    assert.strictEqual(told(moved, "a", "b"), moved)
    assert.strictEqual(told(moved, "a"), departure)
    assert.isUndefined(told(moved, "c"))
    assert.isUndefined(told(departure, "b"))
  })
})

describe("a draft as JSON", () => {
  const whole = draft({
    agentId: "a",
    commandId: "c",
    key: "command:c",
    own: "k",
    removes: ["agent:a"],
    status: "running",
    finished: true,
    lease: { millis: 5, endCommands: true }
  })

  it("is read back as it was, with what is absent", () => {
    for (const each of [whole, draft(), draft({ status: "busy" })])
      assert.deepStrictEqual(Schema.decodeUnknownSync(EventLog.Draft)(each), each)
  })

  it("is none without one of its fields, or with one of another kind", () => {
    const isDraft = Schema.is(EventLog.Draft)
    for (const name of ["tenant", "eventType", "removes", "finished", "stamp", "json"])
      assert.isFalse(isDraft({ ...whole, [name]: undefined }), name)
    for (const [name, value] of Object.entries({
      agentId: 1,
      commandId: null,
      key: 1,
      own: 1,
      removes: [1],
      status: "asleep",
      lease: { millis: 5 },
      stamp: { timestamp: 1 }
    }))
      assert.isFalse(isDraft({ ...whole, [name]: value }), name)
  })
})

describe("what a log that did not take events says", () => {
  const message = (reason: EventLog.EventLogError["reason"], detail?: string) =>
    new EventLog.EventLogError({ reason, ...(detail !== undefined && { detail }) }).message

  it("is whether they may have been published, and why", () => {
    assert.strictEqual(message("Closed", "x"), "the log is closed: the gateway is shutting down")
    assert.strictEqual(message("Unavailable"), "the log cannot be reached, and nothing was published")
    assert.strictEqual(message("Unavailable", "no"), "the log cannot be reached, and nothing was published: no")
    assert.strictEqual(message("Uncertain", "no"), "the log did not answer in time, and may have taken the events: no")
  })

  it("names the knob where the gateway cannot start on it", () => {
    const error = new EventLog.EventLogStartError({ reason: "Format", detail: "of another version" })
    assert.strictEqual(error.message, "STRATIX_EVENT_LOG (eventLog): of another version")
    assert.throws(() => Schema.decodeUnknownSync(EventLog.EventLogStartError)({ _tag: error._tag, reason: "Format" }))
  })
})

describe("the health of a log", () => {
  it("says nothing of staleness while its engine is reached, and else whole milliseconds, at least one", () => {
    const stale = (staleMillis: number) => EventLog.staleness({ ...EventLog.healthy, staleMillis })
    assert.deepStrictEqual([stale(0), stale(0.1), stale(1500)], [{}, { staleMs: 1 }, { staleMs: 1500 }])
  })

  it("is good where the engine is this process", () => {
    assert.deepStrictEqual(EventLog.healthy, {
      staleMillis: 0,
      epochChanges: 0,
      rebuilds: 0,
      unread: 0,
      failures: { unavailable: 0, uncertain: 0 }
    })
  })
})
