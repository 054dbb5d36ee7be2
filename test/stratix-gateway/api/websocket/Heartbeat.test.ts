import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import * as Heartbeat from "../../../../src/stratix-gateway/api/websocket/Heartbeat.js"
import * as StatusSyncConfig from "../../../../src/stratix-gateway/config/StatusSyncConfig.js"
import * as TimeoutQueues from "../../../../src/stratix-gateway/runtime/TimeoutQueues.js"

describe("a watch", () => {
  /** A watched connection that notes what is done to it, at which second. */
  const watched = Effect.gen(function* () {
    const heartbeat = yield* Heartbeat.Heartbeat
    const clock = yield* Effect.clock
    const seconds = () => clock.unsafeCurrentTimeMillis() / 1000
    const told: Array<string> = []
    const watch = heartbeat.watch({
      ping: (now) => {
        assert.strictEqual(now, clock.unsafeCurrentTimeMillis())
        told.push(`ping ${seconds()}`)
      },
      onTimeout: () => told.push(`timeout ${seconds()}`)
    })
    return { alive: () => watch.signOfLife(clock.unsafeCurrentTimeMillis()), stop: () => watch.stop(), told }
  })
  const layer = Layer.provide(
    Heartbeat.layer,
    StatusSyncConfig.layer({ heartbeatInterval: "20 seconds", heartbeatTimeout: "60 seconds" })
  )

  it.effect("pings at every interval, and ends once the timeout has passed, without the ping of that moment", () =>
    Effect.gen(function* () {
      const { told } = yield* watched
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(told, ["ping 20", "ping 40", "timeout 60"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("goes on from a sign of life, but not after its end", () =>
    Effect.gen(function* () {
      const { alive, told } = yield* watched
      yield* TestClock.adjust("30 seconds")
      alive()
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(told, ["ping 20", "ping 40", "ping 60", "ping 80", "timeout 90"])
      alive()
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(told.length, 5)
    }).pipe(Effect.provide(layer))
  )

  it.effect("that was stopped tells nothing more, whatever is heard", () =>
    Effect.gen(function* () {
      const { alive, stop, told } = yield* watched
      const other = yield* watched
      yield* TestClock.adjust("20 seconds")
      stop()
      stop()
      alive()
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(told, ["ping 20"])
      assert.deepStrictEqual(other.told, ["ping 20", "ping 40", "timeout 60"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("pings connections that opened milliseconds apart milliseconds apart, each exactly when it is due", () =>
    Effect.gen(function* () {
      const all = yield* Effect.replicateEffect(Effect.zipLeft(watched, TestClock.adjust("1 millis")), 50)
      yield* TestClock.adjust("41 seconds")
      assert.deepStrictEqual(
        all.map(({ told }) => told),
        all.map((_, i) => [`ping ${(20_000 + i) / 1000}`, `ping ${(40_000 + i) / 1000}`])
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("pings them in a few turns on a real clock, none before it is due", () =>
    Effect.gen(function* () {
      const heartbeat = yield* Heartbeat.Heartbeat
      const clock = yield* Effect.clock
      const turns = new Set<number>()
      const early: Array<number> = []
      const first = TimeoutQueues.monotonicMillis(clock)
      yield* Effect.forEach(Array.from({ length: 50 }), () => {
        const openedAt = TimeoutQueues.monotonicMillis(clock)
        heartbeat.watch({
          ping: (now) => {
            turns.add(now)
            if (now < openedAt + 200) early.push(now)
          },
          onTimeout: () => undefined
        })
        return Effect.sleep("1 millis")
      })
      const opening = TimeoutQueues.monotonicMillis(clock) - first
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual(early, [])
      const lasted = Math.max(...turns) - Math.min(...turns)
      assert.isAtMost(turns.size, 2 + Math.max(opening, lasted) / 20)
    }).pipe(
      Effect.provide(
        Layer.provide(
          Heartbeat.layer,
          StatusSyncConfig.layer({ heartbeatInterval: "200 millis", heartbeatTimeout: "10 seconds" })
        )
      )
    )
  )

  it.effect("is in order while it pings: an answer within the ping, or its end there, holds", () =>
    Effect.gen(function* () {
      const heartbeat = yield* Heartbeat.Heartbeat
      let pings = 0
      const watch: Heartbeat.LivenessWatch = heartbeat.watch({
        ping: (now) => {
          pings++
          if (pings < 5) watch.signOfLife(now)
          else watch.stop()
        },
        onTimeout: () => assert.fail("it answered every ping")
      })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(pings, 5)
    }).pipe(Effect.provide(layer))
  )
})
