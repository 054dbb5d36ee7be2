import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, TestClock } from "effect"
import { Connections, StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { withTokens } from "../support/authentication.js"
import { bearer, secretOf, token } from "../support/gateway.js"
import { over, overWs } from "../support/gateways.js"

const stream = { stream: true } as const

const types = (messages: ReadonlyArray<{ readonly eventType: string }>) => messages.map(({ eventType }) => eventType)

describe("the heartbeat of a stream, in virtual time", () => {
  it.effect(
    "is a comment and the head at each interval, and the head wherever nothing was sent for long; it answers nothing and lives",
    () =>
      Effect.gen(function* () {
        const client = yield* TestClients.connect(stream)
        yield* client.takeN(2)
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual(types((yield* client.received).slice(2)), ["stratix:heartbeat"])
        yield* TestClock.adjust("25999 millis")
        assert.strictEqual(yield* client.pings, 0)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* client.pings, 1)
        yield* TestClock.adjust("5 minutes")
        assert.isTrue(yield* client.isOpen)
        assert.strictEqual(yield* client.pings, 11)
      }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("finds one dead that takes nothing: 60.000 s after the last ping at which it had taken all", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(stream)
      yield* TestClock.adjust("30 seconds")
      yield* client.freeze
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.clientCount), 1)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
      assert.strictEqual(yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.clientCount), 0)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("takes it for alive again when it reads on", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(stream)
      yield* TestClock.adjust("30 seconds")
      yield* client.freeze
      yield* TestClock.adjust("59 seconds")
      yield* client.thaw
      yield* client.freeze
      // The next ping is a second later, and finds that all was taken.
      yield* TestClock.adjust("60999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

describe("the end of a stream", () => {
  it.effect("in a drain is a closing message after what was pending", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(stream)
      yield* client.takeN(2)
      yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.notifyAgentStatus("a", "busy"))
      yield* Effect.flatMap(Connections.Connections, ({ drain }) => drain)
      assert.deepStrictEqual(types((yield* client.received).slice(2)), [
        "stratix:agent_status_update",
        "stratix:closing"
      ])
      assert.isFalse(yield* client.isOpen)
    }).pipe(Effect.provide(over({ drainTimeout: "5 seconds" })))
  )

  it.effect("is the very moment at which its token expires; nobody comes back with it", () =>
    Effect.gen(function* () {
      const ann = { ...stream, ...bearer(secretOf("ann")) }
      const client = yield* TestClients.connect(ann)
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* client.closed).code, 4401)
      assert.strictEqual((yield* Effect.flip(TestClients.connect(ann))).status, 401)
    }).pipe(Effect.provide(withTokens([token("ann", ["subscribe"], { expiresAt: DateTime.unsafeMake(60_000) })])))
  )

  it.live("over a real socket: what was pending, the closing message, and the end of the body", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(stream)
      yield* client.takeN(2)
      yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.notifyAgentStatus("a", "busy"))
      yield* Effect.flatMap(Connections.Connections, ({ drain }) => drain)
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.deepStrictEqual(types((yield* client.received).slice(2)), [
        "stratix:agent_status_update",
        "stratix:closing"
      ])
    }).pipe(Effect.provide(overWs({ drainTimeout: "30 seconds" })))
  )
})
