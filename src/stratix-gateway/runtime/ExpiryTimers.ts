/**
 * Any number of timers on one fiber, each expiring at its own moment of the wall clock.
 *
 * A heap: O(log n) to set and to cancel. `TimeoutQueues` is for timeouts of equal length.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Heap } from "./Heap.js"
import * as SleepLoop from "./SleepLoop.js"

/** A timer for one moment. */
export class ExpiryTimer {
  /** Index in the heap; -1 while the timer is not set. */
  place = -1
  constructor(
    /** Milliseconds since the Unix epoch. */
    readonly at: number,
    readonly onExpire: () => void
  ) {}
}

/** The timers that are set. */
export interface ExpiryTimers {
  /** A timer whose moment has passed expires as soon as the fiber runs. */
  readonly set: (timer: ExpiryTimer) => void
  readonly cancel: (timer: ExpiryTimer) => void
  readonly size: () => number
}

/**
 * The longest sleep. A JavaScript timer of more than 24.8 days overflows, and Effect's clock never wakes from one; and while the
 * fiber sleeps the wall clock may be set forward, which it then notices within this time.
 */
const LONGEST_SLEEP = Duration.toMillis("6 hours")

/** Expiry timers until the scope closes. */
export const make: Effect.Effect<ExpiryTimers, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const now = () => clock.unsafeCurrentTimeMillis()
  const heap = new Heap<ExpiryTimer>()
  const loop = yield* SleepLoop.make({
    now,
    longest: LONGEST_SLEEP,
    run: () => {
      const time = now()
      for (let next = heap.nearest(); next !== undefined && next.at <= time; next = heap.nearest()) {
        heap.remove(next)
        next.onExpire()
      }
      return heap.nearest()?.at ?? Number.POSITIVE_INFINITY
    }
  })

  return {
    set: (timer) => {
      if (timer.place !== -1) return
      heap.add(timer)
      loop.wake(timer.at)
    },
    cancel: (timer) => heap.remove(timer),
    size: () => heap.size
  }
})
