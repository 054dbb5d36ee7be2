import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { Authenticator, Connections, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn } from "../../../support/waiting.js"
import { quiet } from "../../support/gateway.js"

const sync = { protocols: ["stratix.sync.v1"] }

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWith({ drainTimeout: "5 seconds", ...settings }), quiet)

const publish = (count: number) =>
  Effect.gen(function* () {
    const { broadcastUnknown } = yield* StatusSync.StatusSync
    for (let n = 0; n < count; n++) {
      yield* broadcastUnknown({ eventType: "stratix:n", payload: { n, pad: "x".repeat(100) } })
    }
  })

const numbers = (messages: ReadonlyArray<{ readonly eventType: string; readonly payload: object }>) =>
  messages.flatMap(({ eventType, payload }) => (eventType === "stratix:n" && "n" in payload ? [payload.n] : []))

const drain = Effect.flatMap(Connections.Connections, (connections) => connections.drain)

describe("a drain, to the millisecond", () => {
  it.effect("refuses one who came before it and was recognised only after it: it takes no place in the pool", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const known = yield* Deferred.make<Authenticator.Principal>()
      const slow = Layer.scoped(
        Authenticator.Authenticator,
        Authenticator.make({
          verifiers: [{ verify: () => Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(known)) }]
        })
      )
      yield* Effect.gen(function* () {
        const { count } = yield* Connections.Connections
        const late = yield* Effect.fork(Effect.flip(TestClients.connect()))
        yield* Deferred.await(asked)
        yield* drain
        yield* Deferred.succeed(known, Authenticator.anonymous)
        const refusal = yield* Fiber.join(late)
        assert.deepStrictEqual([refusal.status, refusal.reason], [503, "closing"])
        assert.strictEqual(yield* count, 0)
      }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layerWith({ drainTimeout: "5 seconds" }, slow), quiet)))
    })
  )

  it.effect("ends at once where everybody reads: what was published before, then closing, then 1001", () =>
    Effect.gen(function* () {
      const plain = yield* TestClients.connect()
      const synced = yield* TestClients.connect(sync)
      yield* synced.takeN(2)
      yield* publish(3)
      yield* drain
      assert.deepStrictEqual(numbers(yield* plain.received), [0, 1, 2])
      assert.strictEqual((yield* plain.received).length, 4)
      const told = yield* synced.received
      assert.deepStrictEqual(numbers(told), [0, 1, 2])
      assert.strictEqual(told.at(-1)?.eventType, "stratix:closing")
      for (const client of [plain, synced]) assert.strictEqual((yield* client.closed).code, 1001)
      assert.strictEqual((yield* Effect.flip(TestClients.connect())).status, 503)
    }).pipe(Effect.provide(over()))
  )

  it.effect("asks its clients to come back at different times", () =>
    Effect.gen(function* () {
      const clients = yield* Effect.replicateEffect(TestClients.connect(sync), 300)
      yield* drain
      const waits = new Set<number>()
      for (const client of clients) {
        const last = (yield* client.received).at(-1)
        if (last?.eventType !== "stratix:closing") return assert.fail(`the last message is ${last?.eventType}`)
        if (!("retryAfterMs" in last.payload) || typeof last.payload.retryAfterMs !== "number") return assert.fail()
        const { retryAfterMs } = last.payload
        assert.isAtLeast(retryAfterMs, 500)
        assert.isBelow(retryAfterMs, 5000)
        waits.add(Math.floor(retryAfterMs / 500))
      }
      // Nine half seconds: with 300 clients, none of them stays empty but by a chance of one in 10^14.
      assert.strictEqual(waits.size, 9)
    }).pipe(Effect.provide(over()))
  )

  it.effect("waits until the deadline for one who does not answer the close, and terminates it then", () =>
    Effect.gen(function* () {
      const frozen = yield* TestClients.connect()
      const reads = yield* TestClients.connect()
      yield* frozen.freeze
      yield* publish(3)
      const draining = yield* Effect.fork(drain)
      yield* nextTurn
      assert.strictEqual((yield* reads.closed).code, 1001)
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(yield* frozen.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* frozen.closed).code, 1006)
      yield* Fiber.join(draining)
    }).pipe(Effect.provide(over()))
  )

  it.effect("gives a slow one until the deadline: it loses nothing, and is closed with 1001", () =>
    Effect.gen(function* () {
      const slow = yield* TestClients.connect()
      yield* slow.freeze
      yield* publish(3)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("4999 millis")
      yield* slow.thaw
      yield* Fiber.join(draining)
      assert.deepStrictEqual(numbers(yield* slow.received), [0, 1, 2])
      assert.strictEqual((yield* slow.closed).code, 1001)
    }).pipe(Effect.provide(over()))
  )

  it.effect("gives one who fell behind half of the time to catch up, and the others wait with it", () =>
    Effect.gen(function* () {
      const slow = yield* TestClients.connect()
      const other = yield* TestClients.connect()
      yield* slow.freeze
      yield* publish(10)
      yield* StatusSyncTest.settled.pipe(Effect.timeout("1 millis"), Effect.fork)
      yield* TestClock.adjust("1 millis")
      // Above the high-water mark: the rest is in the log only.
      yield* publish(10)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* other.isOpen)
      yield* slow.thaw
      yield* Fiber.join(draining)
      assert.strictEqual(numbers(yield* slow.received).length, 20)
      for (const client of [slow, other]) assert.strictEqual((yield* client.closed).code, 1001)
    }).pipe(Effect.provide(over({ highWaterMark: 500 })))
  )

  it.effect("is over at the deadline for one who fell behind and stays there", () =>
    Effect.gen(function* () {
      const frozen = yield* TestClients.connect()
      const other = yield* TestClients.connect(sync)
      yield* frozen.freeze
      yield* publish(10)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* other.isOpen)
      yield* TestClock.adjust("1 millis")
      yield* nextTurn
      assert.strictEqual((yield* other.closed).code, 1001)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* frozen.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* frozen.closed).code, 1006)
      yield* Fiber.join(draining)
    }).pipe(Effect.provide(over({ highWaterMark: 500 })))
  )
})
