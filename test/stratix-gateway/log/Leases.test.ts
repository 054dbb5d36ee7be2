import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope, TestClock } from "effect"
import { EventLog, StatusSync, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Mirror } from "../../../src/stratix-gateway/log/mirror/Mirror.js"
import { emptyLog } from "../../../src/stratix-gateway/log/mirror/Records.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agent } from "../../../src/stratix-testing/suites/drafts.js"

/** The payload of every event so far, the newest last. */
const said = Effect.map(EventLog.EventLog, (log) =>
  (log.tail(0) ?? []).map(({ json }) => {
    const { payload }: { readonly payload: object } = JSON.parse(json)
    return payload
  })
)

/** The newest status of an agent. */
const statusOf = (agentId: string) =>
  Effect.map(said, (payloads) => payloads.findLast((payload) => "agentId" in payload && payload.agentId === agentId))

const offline = (agentId: string) => ({ agentId, status: "offline", reason: "lease expired" })

describe("leases", () => {
  it.effect("a status that is not renewed ends in offline, to the millisecond", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* sync.notifyAgentStatus("a", "busy", { lease: "30 seconds" })
      yield* TestClock.adjust("29999 millis")
      assert.deepStrictEqual(yield* statusOf("a"), { agentId: "a", status: "busy" })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* statusOf("a"), offline("a"))
      const [, , event] = yield* client.takeN(3)
      assert.deepInclude(event, { payload: offline("a"), timestamp: 30_000 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* said).length, 2)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a renewal is no event, and the lease runs its full length from it", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a", "busy", { lease: "30 seconds" })
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("20 seconds")
        assert.isTrue(yield* sync.renewLease("a"))
      }
      yield* TestClock.adjust("29999 millis")
      assert.deepStrictEqual(yield* said, [{ agentId: "a", status: "busy" }])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* statusOf("a"), offline("a"))
      assert.isFalse(yield* sync.renewLease("a"))
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a status replaces the lease before it: by a shorter one, a longer one, or none", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("shorter", "busy", { lease: "30 seconds" })
      yield* sync.notifyAgentStatus("shorter", "online", { lease: "5 seconds" })
      yield* sync.notifyAgentStatus("longer", "busy", { lease: "5 seconds" })
      yield* sync.notifyAgentStatus("longer", "online", { lease: "30 seconds" })
      yield* sync.notifyAgentStatus("none", "busy", { lease: "5 seconds" })
      yield* sync.notifyAgentStatus("none", "online")
      yield* sync.notifyAgentStatus("left", "busy", { lease: "5 seconds" })
      yield* sync.notifyAgentStatus("left", "offline", { lease: "5 seconds", reason: "done" })
      assert.strictEqual((yield* EventLog.EventLog).stats().leases, 2)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* statusOf("shorter"), offline("shorter"))
      assert.deepStrictEqual(yield* statusOf("longer"), { agentId: "longer", status: "online" })
      yield* TestClock.adjust("25 seconds")
      assert.deepStrictEqual(yield* statusOf("longer"), offline("longer"))
      assert.deepStrictEqual(yield* statusOf("none"), { agentId: "none", status: "online" })
      assert.deepStrictEqual(yield* statusOf("left"), { agentId: "left", status: "offline", reason: "done" })
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("where asked, what the agent is running then has failed, and nothing else", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a", "busy", { lease: "30 seconds", endCommands: true })
      yield* sync.notifyAgentStatus("b", "busy", { lease: "30 seconds" })
      yield* sync.notifyCommandStatus("runs", "a", "running", 40)
      yield* sync.notifyCommandStatus("waits", "a", "pending")
      yield* sync.notifyCommandStatus("done", "a", "running")
      yield* sync.notifyCommandStatus("done", "a", "success")
      yield* sync.notifyCommandStatus("moved", "a", "running")
      yield* sync.notifyCommandStatus("moved", "b", "running")
      yield* sync.notifyCommandStatus("too", "a", "running")
      const before = (yield* said).length
      yield* TestClock.adjust("30 seconds")
      const failed = (commandId: string) => ({
        commandId,
        agentId: "a",
        commandStatus: "failed",
        error: "lease expired"
      })
      assert.deepStrictEqual((yield* said).slice(before), [failed("runs"), failed("too"), offline("a"), offline("b")])
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("the removal of an agent ends its lease; one that leaves the state above the cap takes it along", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const log = yield* EventLog.EventLog
      yield* sync.notifyAgentStatus("removed", "busy", { lease: "30 seconds" })
      yield* sync.notifyAgentRemove("removed")
      for (const id of ["a", "b", "c"]) yield* sync.notifyAgentStatus(id, "busy", { lease: "30 seconds" })
      assert.strictEqual(log.stats().leases, 2)
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(log.stats(), { leases: 0, leasesExpired: 2 })
      const statuses = (yield* said).filter((payload) => "status" in payload && payload.status === "offline")
      assert.sameDeepMembers(statuses, [offline("b"), offline("c")])
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ latestCapacity: 2 })))
  )

  it.effect(
    "10,000 leases on one timer: each ends at its own millisecond, or that much after its renewal",
    () =>
      Effect.gen(function* () {
        const COUNT = 10_000
        const lengthOf = (i: number) => 20_000 + (i % 100) * 97
        const sync = yield* StatusSync.StatusSync
        const log = yield* EventLog.EventLog
        for (let i = 0; i < COUNT; i++) yield* sync.notifyAgentStatus(`a${i}`, "busy", { lease: lengthOf(i) })
        assert.strictEqual(log.stats().leases, COUNT)
        yield* TestClock.adjust("10 seconds")
        for (let i = 0; i < COUNT; i += 2) assert.isTrue(yield* sync.renewLease(`a${i}`))
        const { index } = log.head()
        yield* TestClock.adjust("30 seconds")
        const ends = (log.tail(index) ?? []).map(({ agentId, stamp }) => `${agentId} ${stamp.timestamp}`)
        const expected = Array.from({ length: COUNT }, (_, i) => {
          const length = lengthOf(i)
          return `a${i} ${i % 2 === 0 ? 10_000 + length : length}`
        })
        assert.deepStrictEqual(ends.sort(), expected.sort())
        assert.strictEqual(log.stats().leases, 0)
      }).pipe(Effect.provide(StatusSyncTest.layerWith({ historyCapacity: 20_000 }))),
    // Its virtual time takes a second on an idle machine, and many on a busy one.
    120_000
  )

  it.effect("a lease that cannot be is refused, by its field", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const field = (event: StatusSync.UnknownEventInput) =>
        Effect.map(Effect.flip(sync.broadcastUnknown(event)), (error) => error.field)
      const status = { eventType: "stratix:agent_status_update", payload: { agentId: "a", status: "busy" } }
      for (const leaseMs of [0, -1, 1.5, Number.NaN, 3_600_001])
        assert.strictEqual(yield* field({ ...status, leaseMs }), "leaseMs")
      assert.strictEqual(yield* field({ eventType: "stratix:note", payload: {}, leaseMs: 1000 }), "leaseMs")
      assert.strictEqual(yield* field({ ...status, endCommands: true }), "endCommands")
      assert.deepStrictEqual(yield* said, [])
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

describe("a scoped agent", () => {
  it.effect("is online while its scope lives, without a word in between, and offline on release", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const scope = yield* Scope.make()
      const worker = yield* Scope.extend(sync.agent("a", { lease: "30 seconds" }), scope)
      yield* TestClock.adjust("10 minutes")
      yield* worker.report("busy", { reason: "compiling" })
      yield* TestClock.adjust("10 minutes")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* said, [
        { agentId: "a", status: "online" },
        { agentId: "a", status: "busy", reason: "compiling" },
        { agentId: "a", status: "offline" }
      ])
      assert.strictEqual((yield* EventLog.EventLog).stats().leases, 0)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("says again what it is when it was removed, or its lease was ended", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const worker = yield* sync.agent("a", { lease: "30 seconds", status: "busy" })
      yield* sync.notifyAgentRemove("a")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* statusOf("a"), { agentId: "a", status: "busy" })
      yield* worker.report("offline")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* said).length, 4)
    }).pipe(Effect.scoped, Effect.provide(StatusSyncTest.layer))
  )
})

describe("leases of a mirror", () => {
  it.effect("run their full length once more for an owner that was away", () =>
    Effect.gen(function* () {
      const mirror = new Mirror(StatusSyncConfig.defaults, emptyLog("e"))
      const stamp = () => ({ timestamp: 0, requestId: "r" })
      const leased = { ...agent("a"), lease: { millis: 1000, endCommands: false } }
      mirror.apply(leased, { epoch: "e", seq: 1, keyless: 0 }, 0)
      mirror.restartLeases(5000)
      assert.isUndefined(mirror.overdue(5999, stamp))
      assert.strictEqual(mirror.nextDue(), 6000)
      assert.deepInclude(mirror.overdue(6000, stamp), { agentId: "a", key: "agent:a" })
    })
  )
})
