import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, TestClock } from "effect"
import * as StatusSyncConfig from "../../../../src/stratix-gateway/config/StatusSyncConfig.js"
import { StatusSync } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"

describe("heartbeat, in virtual time", () => {
  it.effect("a client is pinged 30.000 s after it opened, not at 29.999 s, and every 30 s from then on", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("7 seconds")
      const client = yield* TestClients.connect()
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* client.pings, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* client.pings, 1)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* client.pings, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* client.pings, 2)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* client.pings, 12)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a silent client is terminated at exactly 60 s", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ answersPings: false })
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
      assert.strictEqual((yield* client.closed).code, 1006)
      assert.strictEqual(yield* client.pings, 1)
      assert.strictEqual(yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.clientCount), 0)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a late pong at 59.999 s gives another 60 s", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ answersPings: false })
      yield* TestClock.adjust("59999 millis")
      yield* client.pong
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("any message is a sign of life, understood or not", () =>
    Effect.gen(function* () {
      const talks = yield* TestClients.connect({ answersPings: false })
      const babbles = yield* TestClients.connect({ answersPings: false })
      const silent = yield* TestClients.connect({ answersPings: false })
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("50 seconds")
        yield* talks.send({ type: "ping" })
        yield* babbles.sendText("?")
      }
      assert.isTrue(yield* talks.isOpen)
      assert.isTrue(yield* babbles.isOpen)
      assert.isFalse(yield* silent.isOpen)
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(yield* talks.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* talks.isOpen)
      assert.isFalse(yield* babbles.isOpen)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("each connection has its own schedule", () =>
    Effect.gen(function* () {
      const first = yield* TestClients.connect()
      yield* TestClock.adjust("10 seconds")
      const second = yield* TestClients.connect()
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual([yield* first.pings, yield* second.pings], [1, 0])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([yield* first.pings, yield* second.pings], [1, 1])
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a client that is frozen is dead after 60 s, one that is only slow is not", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const frozen = yield* TestClients.connect()
      const slow = yield* TestClients.connect()
      yield* frozen.freeze
      yield* slow.freeze
      yield* sync.notifyAgentStatus("a", "busy")
      yield* StatusSyncTest.settled
      yield* TestClock.adjust("40 seconds")
      yield* slow.pong
      yield* TestClock.adjust("30 seconds")
      assert.isFalse(yield* frozen.isOpen)
      assert.isTrue(yield* slow.isOpen)
      yield* slow.thaw
      const [, event] = yield* slow.takeN(2)
      assert.strictEqual(event?.eventType, "stratix:agent_status_update")
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("interval and timeout are configurable", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ answersPings: false })
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* client.pings, 1)
      yield* TestClock.adjust("499 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
    }).pipe(
      Effect.provide(StatusSyncTest.layerWith({ heartbeatInterval: "1 seconds", heartbeatTimeout: "1500 millis" }))
    )
  )

  it.effect("a timeout that is not above the interval is refused at start, with both values named", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        StatusSyncConfig.make({ heartbeatInterval: "30 seconds", heartbeatTimeout: "30 seconds" })
      )
      assert.match(error.message, /STRATIX_HEARTBEAT_TIMEOUT.*above the interval.*30s.*30s/)
    })
  )

  it.effect("10,000 connections for an hour: every ping at its time, only the silent one is lost", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const clients = yield* Effect.replicateEffect(TestClients.connect(), 10_000)
      const silent = yield* TestClients.connect({ answersPings: false })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* sync.clientCount, 10_000)
      assert.isFalse(yield* silent.isOpen)
      const counts = yield* Effect.forEach(clients, (client) => client.pings)
      assert.deepStrictEqual([...new Set(counts)], [(60 * 60) / 30])
    }).pipe(Effect.provide(StatusSyncTest.layer), Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})

describe("silent clients in the log", () => {
  it.effect("the first is a line at once, the others of the next ten seconds are one line with their number", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (String(message).includes("terminated")) lines.push(`${logLevel.label} ${message}`)
    })
    const why = "no sign of life for 1m (STRATIX_HEARTBEAT_TIMEOUT)"
    return Effect.gen(function* () {
      for (let i = 0; i < 3; i++) yield* TestClients.connect({ answersPings: false })
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(lines, [`INFO terminated a connection: ${why}`])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines.slice(1), [`INFO terminated 2 more connections for the same reason: ${why}`])
    }).pipe(Effect.provide(StatusSyncTest.layer), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})

describe("a wall clock that is set", () => {
  const HOUR = 3_600_000

  it.scoped(
    "an hour ahead and back again ends no connection and no lease before its time, and neither lasts longer",
    () =>
      Effect.gen(function* () {
        let setBy = 2 * HOUR
        const clock = yield* Effect.clock
        const jumping: Clock.Clock = {
          [Clock.ClockTypeId]: Clock.ClockTypeId,
          unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() + setBy,
          unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
          currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + setBy),
          currentTimeNanos: clock.currentTimeNanos,
          sleep: (duration) => clock.sleep(duration)
        }
        const gateway = yield* Effect.withClock(Layer.build(StatusSyncTest.layer), jumping)
        yield* Effect.gen(function* () {
          const sync = yield* StatusSync.StatusSync
          const clients = yield* Effect.all([
            TestClients.connect(),
            TestClients.connect({ protocols: ["stratix.sync.v1"] }),
            TestClients.connect({ stream: true })
          ])
          const silent = yield* TestClients.connect({ answersPings: false })
          yield* sync.notifyAgentStatus("renewed", "busy", { lease: "15 seconds" })
          yield* sync.notifyAgentStatus("left", "busy", { lease: "55 seconds" })
          const offline = Effect.map(clients[0].received, (messages) =>
            messages.flatMap(({ payload }) =>
              "status" in payload && payload.status === "offline" && "agentId" in payload ? [payload.agentId] : []
            )
          )
          for (const hours of [3, 2, 1, 3, 1]) {
            yield* TestClock.adjust("10 seconds")
            setBy = hours * HOUR
            assert.isTrue(yield* sync.renewLease("renewed"))
          }
          yield* TestClock.adjust("4999 millis")
          assert.deepStrictEqual(yield* offline, [])
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(yield* offline, ["left"])
          yield* TestClock.adjust("4999 millis")
          assert.isTrue(yield* silent.isOpen)
          yield* TestClock.adjust("1 millis")
          assert.isFalse(yield* silent.isOpen)
          for (const client of clients) assert.isTrue(yield* client.isOpen)
        }).pipe(Effect.provide(gateway))
      })
  )
})
