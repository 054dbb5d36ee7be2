import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, TestClock, TestContext } from "effect"
import * as fc from "fast-check"
import * as ExpiryTimers from "../../../src/stratix-gateway/runtime/ExpiryTimers.js"

describe("expiry timers", () => {
  it.scoped("ring at their own moment, to the millisecond, in whatever order they were set", () =>
    Effect.gen(function* () {
      const alarms = yield* ExpiryTimers.make
      const rung: Array<number> = []
      for (const at of [5000, 1000, 3000, 1000]) alarms.set(new ExpiryTimers.ExpiryTimer(at, () => rung.push(at)))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(rung, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(rung, [1000, 1000])
      alarms.set(new ExpiryTimers.ExpiryTimer(2000, () => rung.push(2000)))
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(rung, [1000, 1000, 2000])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(rung, [1000, 1000, 2000, 3000])
      assert.strictEqual(alarms.size(), 1)
    })
  )

  it.scoped("one that was cancelled does not ring; one whose moment has passed rings at once", () =>
    Effect.gen(function* () {
      const alarms = yield* ExpiryTimers.make
      const rung: Array<string> = []
      const cancelled = new ExpiryTimers.ExpiryTimer(1000, () => rung.push("cancelled"))
      alarms.set(cancelled)
      alarms.cancel(cancelled)
      alarms.cancel(cancelled)
      assert.strictEqual(alarms.size(), 0)
      alarms.set(new ExpiryTimers.ExpiryTimer(-1, () => rung.push("past")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rung, ["past"])
    })
  )

  it.scoped("one that is set twice rings once; one that is set after all have rung does too", () =>
    Effect.gen(function* () {
      const timers = yield* ExpiryTimers.make
      const rung: Array<string> = []
      const twice = new ExpiryTimers.ExpiryTimer(1000, () => rung.push("twice"))
      timers.set(twice)
      timers.set(twice)
      assert.strictEqual(timers.size(), 1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([rung, timers.size()], [["twice"], 0])
      timers.set(new ExpiryTimers.ExpiryTimer(5000, () => rung.push("later")))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(rung, ["twice", "later"])
    })
  )

  it.scoped("one beyond the longest JavaScript timer (24.8 days) rings then, not at once and not never", () =>
    Effect.gen(function* () {
      const alarms = yield* ExpiryTimers.make
      const rung: Array<number> = []
      const at = 30 * 24 * 60 * 60 * 1000
      alarms.set(new ExpiryTimers.ExpiryTimer(at, () => rung.push(at)))
      yield* TestClock.adjust(at - 1)
      assert.deepStrictEqual(rung, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(rung, [at])
    })
  )

  it.scoped("never ask for a sleep that a JavaScript timer cannot do: Effect's clock would never wake from it", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const clock = yield* Effect.clock
      const watched: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) => {
          asked.push(Duration.toMillis(duration))
          return clock.sleep(duration)
        }
      }
      const alarms = yield* Effect.withClock(ExpiryTimers.make, watched)
      alarms.set(new ExpiryTimers.ExpiryTimer(8.64e15, () => undefined))
      yield* TestClock.adjust("1 day")
      assert.isNotEmpty(asked)
      for (const millis of asked) assert.isBelow(millis, 2 ** 31)
    })
  )

  it.effect("any order of setting and cancelling rings the rest in order of time", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ at: fc.integer({ min: 0, max: 50 }), cancel: fc.boolean() }), { maxLength: 60 }),
          (all) =>
            Effect.gen(function* () {
              const alarms = yield* ExpiryTimers.make
              const rung: Array<number> = []
              const set = all.map(({ at }) => new ExpiryTimers.ExpiryTimer(at, () => rung.push(at)))
              for (const alarm of set) alarms.set(alarm)
              set.forEach((alarm, i) => {
                if (all[i]?.cancel) alarms.cancel(alarm)
              })
              yield* TestClock.adjust(50)
              assert.deepStrictEqual(
                rung,
                all
                  .filter(({ cancel }) => !cancel)
                  .map(({ at }) => at)
                  .sort((a, b) => a - b)
              )
            }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
        ),
        { numRuns: 25 }
      )
    )
  )
})
