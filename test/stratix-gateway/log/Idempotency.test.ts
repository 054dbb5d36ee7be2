import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { EventLog, StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"

const publish = (key: string, agentId = "a") =>
  Effect.flatMap(StatusSync.StatusSync, (sync) =>
    sync.notifyAgentStatus(agentId, "busy").pipe(StatusSync.withIdempotencyKey(key))
  )

describe("idempotency keys", () => {
  it.effect("are remembered for ten minutes", () =>
    Effect.gen(function* () {
      const first = yield* publish("k")
      yield* TestClock.adjust("599999 millis")
      assert.strictEqual(yield* publish("k"), first)
      yield* TestClock.adjust("1 millis")
      assert.notStrictEqual(yield* publish("k"), first)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("are bounded by the offsets under them: the oldest are forgotten", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* Effect.all([publish("1"), publish("2"), publish("3")])
      assert.strictEqual(yield* publish("2"), second)
      assert.strictEqual(yield* publish("3"), third)
      assert.notStrictEqual(yield* publish("1"), first)
      assert.strictEqual((yield* EventLog.EventLog).stats().historyEvents, 4)
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ idempotencyCapacity: 2 })))
  )

  it.effect("say nothing where a publication was refused: it can be tried again, corrected", () =>
    Effect.gen(function* () {
      yield* Effect.flip(publish("k", ""))
      assert.isNotEmpty(yield* publish("k"))
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})
