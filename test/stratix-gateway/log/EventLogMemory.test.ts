import { assert, describe, it } from "@effect/vitest"
import { Chunk, Context, Effect, Exit, Layer, Queue, Scope, TestClock } from "effect"
import { EventLog, EventLogMemory, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import * as OwnEvents from "../../../src/stratix-gateway/log/mirror/OwnEvents.js"
import * as Replica from "../../../src/stratix-gateway/log/Replica.js"
import * as EventLoop from "../../../src/stratix-gateway/runtime/EventLoop.js"
import { draft } from "../../support/draft.js"
import { leased } from "./mirrors.js"

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provide(EventLogMemory.layer, StatusSyncConfig.layer(settings))
const seqs = (offsets: ReadonlyArray<string>) => offsets.map((offset) => offset.split("-").slice(1).join("-"))

describe("the log in memory", () => {
  it.effect("gives places without a gap, and counts the events without a key and those it appends", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const offsets = yield* log.append([draft(leased("a", 1000)), draft(), draft({ removes: ["agent:b"] }), draft()])
      assert.deepStrictEqual(seqs(offsets), ["1-0", "2-1", "3-1", "4-2"])
      assert.strictEqual(log.head().offset, offsets[3])
      assert.deepInclude(log.stats().appended, { agent_status_update: 1, other: 3 })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(log.stats().appended, { agent_status_update: 2, other: 3 })
    }).pipe(Effect.provide(over()))
  )

  it.effect("is another log each time: its name and its offsets are those of no other", () =>
    Effect.gen(function* () {
      const made = Effect.scoped(Effect.map(Layer.build(over()), Context.get(EventLog.EventLog)))
      const [one, two] = yield* Effect.all([made, made])
      assert.notStrictEqual(one.id, two.id)
      // Six characters of chance, and the time.
      assert.match(one.id, /^[0-9a-z]{6}0$/)
      assert.isTrue(one.head().offset.startsWith(`${one.id}-`))
    })
  )

  it.effect("pauses while it gathers a large state, which is that of the moment when it was asked for", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const agents = Array.from({ length: 10_000 }, (_, i) => `${i}`)
      const appended = agents.map((agentId) => draft({ agentId, key: `agent:${agentId}` }))
      const offsets = yield* log.append(appended)
      let pauses = 0
      const pause = Effect.suspend(() => {
        pauses++
        return log.append([draft({ agentId: "9999", key: "agent:9999" })])
      })
      const { entries, head } = yield* log.latest(undefined, Effect.orDie(Effect.asVoid(pause)))
      assert.isAtLeast(pauses, 3)
      assert.strictEqual(head, offsets.at(-1))
      assert.deepStrictEqual(
        entries.map(({ agentId }) => agentId),
        agents
      )
      assert.strictEqual(entries.at(-1)?.offset, head)
    }).pipe(Effect.provide(over({ latestCapacity: 20_000 })))
  )

  it.effect("announces what is appended, and then what that asks for, in one order", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const heard = yield* log.subscribe
      yield* log.append(["a", "b", "c"].map((agentId) => draft({ agentId, key: `agent:${agentId}` })))
      const entries = Chunk.toReadonlyArray(yield* Queue.takeAll(heard))
      assert.deepStrictEqual(
        entries.map(({ index, key, removes }) => [index, key ?? removes[0]]),
        [
          [1, "agent:a"],
          [2, "agent:b"],
          [3, "agent:c"],
          [4, "agent:a"]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(over({ latestCapacity: 2 })))
  )

  it.effect("says so at its own time where a lease ran out, without being asked, and says when", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const heard = yield* log.subscribe
      yield* TestClock.adjust("500 millis")
      yield* log.append([draft(leased("a", 1000)), draft(leased("b", 1700))])
      yield* TestClock.adjust("1000 millis")
      const entries = Chunk.toReadonlyArray(yield* Queue.takeAll(heard))
      assert.deepStrictEqual(
        entries.slice(2).map(({ agentId, stamp, status }) => [agentId, status, stamp]),
        [["a", "offline", { timestamp: 1500, requestId: "stratix-req-1500-log-3" }]]
      )
      assert.deepStrictEqual(
        [yield* log.renew("a"), yield* log.renew("b"), yield* log.renew("b", "t")],
        [false, true, false]
      )
      yield* TestClock.adjust("1699 millis")
      assert.strictEqual(log.stats().leases, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(log.stats().leases, 0)
    }).pipe(Effect.scoped, Effect.provide(over()))
  )

  it.effect("ends leases that run out at the same moment in parts, between which others have their turn", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const many = 2 * OwnEvents.AT_ONCE + 50
      yield* log.append(Array.from({ length: many }, (_, i) => draft(leased(`a-${i}`, 1000))))
      const turns = yield* Effect.fork(
        Effect.iterate([many], {
          while: () => log.stats().leases > 0,
          body: (seen) => Effect.map(EventLoop.nextTurn, () => [...seen, log.head().index])
        })
      )
      yield* TestClock.adjust("1 second")
      const heads = new Set(yield* turns)
      assert.deepStrictEqual(
        [...heads].map((head) => head - many),
        [0, OwnEvents.AT_ONCE, 2 * OwnEvents.AT_ONCE, many]
      )
    }).pipe(Effect.provide(over()))
  )

  it.effect("answers every try under one idempotency key with the offsets of the first, for so long", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const append = (idempotencyKey?: string) => log.append([draft()], { idempotencyKey })
      const first = yield* append("k")
      assert.deepStrictEqual(seqs([...(yield* append("k")), ...(yield* append("l"))]), ["1-1", "2-2"])
      assert.deepStrictEqual(seqs([...(yield* append()), ...(yield* append())]), ["3-3", "4-4"])
      assert.deepStrictEqual(seqs(yield* log.append([draft()])), ["5-5"])
      yield* TestClock.adjust("1 minute")
      assert.notDeepEqual(yield* append("k"), first)
    }).pipe(Effect.provide(over({ idempotencyRetention: "1 minute" })))
  )

  it.effect("remembers idempotency keys, however much is published without one", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const first = yield* log.append([draft()], { idempotencyKey: "k" })
      for (let i = 0; i < 5; i++) yield* log.append([draft()])
      assert.deepStrictEqual(yield* log.append([draft()], { idempotencyKey: "k" }), first)
    }).pipe(Effect.provide(over({ idempotencyCapacity: 2 })))
  )

  it.effect("knows how old its events are by a clock that other processes have too", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const log = yield* Effect.map(Layer.build(over()), Context.get(EventLog.EventLog))
      yield* TestClock.adjust("1 second")
      yield* log.append([draft()])
      assert.deepStrictEqual(
        Replica.of(log)
          ?.mirror()
          .recordedAfter(0, 1)
          ?.map(({ now }) => now),
        [1_001_000]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("knows its own places at once, and is always well", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      assert.strictEqual(log.reached("any"), Exit.void)
      assert.strictEqual(log.health(), EventLog.healthy)
    }).pipe(Effect.provide(over()))
  )

  it.effect("takes nothing once it is closed, and says nothing more", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const log = Context.get(yield* Layer.buildWithScope(over(), scope), EventLog.EventLog)
      yield* log.append([draft(leased("a", 1000))])
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(log.append([draft()]))).reason, "Closed")
      assert.strictEqual((yield* Effect.flip(log.renew("a"))).reason, "Closed")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(log.head().index, 1)
    })
  )
})
