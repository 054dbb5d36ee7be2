import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope, TestClock } from "effect"
import * as EventLoop from "../../../src/stratix-gateway/runtime/EventLoop.js"
import * as SleepLoop from "../../../src/stratix-gateway/runtime/SleepLoop.js"

/** A loop that notes when it runs, and is told each time when it is to run next; by default only when it is woken. */
const noting = (nexts: ReadonlyArray<number>, options: { readonly longest?: number } = {}) =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const ran: Array<number> = []
    const loop = yield* SleepLoop.make({
      now: () => clock.unsafeCurrentTimeMillis(),
      run: () => nexts[ran.push(clock.unsafeCurrentTimeMillis()) - 1] ?? Number.POSITIVE_INFINITY,
      ...options
    })
    return { ran, wake: loop.wake }
  })

const settle = TestClock.adjust(0)

describe("a loop that sleeps", () => {
  it.scoped("runs in a turn after it was made, and then when it said", () =>
    Effect.gen(function* () {
      const { ran } = yield* noting([1000, 1000.5])
      assert.deepStrictEqual(ran, [])
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(ran, [0])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(ran, [0, 1000])
      // Rather late than early: on the clock it sleeps by, nothing is due before.
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(ran, [0, 1000, 1001])
    })
  )

  it.scoped("with nothing due sleeps until it is woken, however long its sleeps may be", () =>
    Effect.gen(function* () {
      const { ran, wake } = yield* noting([], { longest: 1000 })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(ran, [0])
      wake(0)
      yield* settle
      assert.deepStrictEqual(ran, [0, 3_600_000])
    })
  )

  it.scoped("what is due again at once waits for a turn of the event loop", () =>
    Effect.gen(function* () {
      const { ran } = yield* noting([0, 0])
      for (const times of [1, 2, 3]) {
        yield* Effect.yieldNow()
        yield* Effect.yieldNow()
        assert.deepStrictEqual(ran, new Array(times).fill(0))
        yield* EventLoop.nextTurn
      }
      assert.deepStrictEqual(ran, [0, 0, 0])
    })
  )

  it.scoped("looks again after its longest sleep", () =>
    Effect.gen(function* () {
      const { ran } = yield* noting([2500, 2500, 2500], { longest: 1000 })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(ran, [0, 1000, 2000, 2500])
    })
  )

  it.scoped("is woken by what is due earlier, and not held up by what is due later", () =>
    Effect.gen(function* () {
      const { ran, wake } = yield* noting([5000])
      yield* settle
      wake(1000)
      wake(3000)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ran, [0, 1000])
      wake(12_000)
      wake(11_000)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ran, [0, 1000, 11_000])
    })
  )

  it.effect("ends with its scope, and is woken by nothing from then on", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { ran, wake } = yield* Scope.extend(noting([1000]), scope)
      yield* settle
      yield* Scope.close(scope, Exit.void)
      wake(500)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(ran, [0])
    })
  )
})
