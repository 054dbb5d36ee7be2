/**
 * What sleeps until something is due, and can be woken earlier.
 *
 * One fiber for all sleeps, and a new one when it is woken early: a gateway of many connections sleeps a thousand times a second,
 * and to begin a fiber costs more than what is due after most of these sleeps.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as EventLoop from "./EventLoop.js"

/** What a loop runs, and on which clock. */
export interface Options {
  /** Milliseconds. */
  readonly now: () => number
  /** Runs what is due and returns when to run next; infinity: only when woken. */
  readonly run: () => number
  /** Longest sleep in milliseconds; no bound by default. */
  readonly longest?: number
}

/** A running loop. */
export interface SleepLoop {
  /** Something is due at this time: wakes the loop if it would sleep beyond it. */
  readonly wake: (at: number) => void
}

/** Unlike `Effect.never` without a timer, which would keep the process alive. */
const forever = Effect.async<never>(() => undefined)

/** Runs until the scope closes. */
export const make = ({
  longest = Number.POSITIVE_INFINITY,
  now,
  run
}: Options): Effect.Effect<SleepLoop, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const pause = (until: number, soon: Effect.Effect<void>) => {
      if (until === Number.POSITIVE_INFINITY) return forever
      const millis = Math.min(Math.ceil(until - now()), longest)
      return millis > 0 ? clock.sleep(Duration.millis(millis)) : soon
    }
    let sleepsUntil = Number.NEGATIVE_INFINITY
    const cycle = (soon: Effect.Effect<void>): Effect.Effect<never> =>
      Effect.suspend(() =>
        Effect.flatMap(pause(sleepsUntil, soon), () => {
          // While it runs there is no sleep to be woken from.
          sleepsUntil = Number.NEGATIVE_INFINITY
          sleepsUntil = run()
          return next
        })
      )
    // What is due again at once lets others have their turn.
    const next = cycle(EventLoop.nextTurn)
    // Not within the call that begins or wakes it.
    const begin = cycle(Effect.yieldNow())
    let sleeping = runFork(begin)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        sleepsUntil = Number.NEGATIVE_INFINITY
        return Fiber.interrupt(sleeping)
      })
    )

    return {
      wake: (at) => {
        if (at >= sleepsUntil) return
        sleeping.unsafeInterruptAsFork(FiberId.none)
        sleepsUntil = at
        sleeping = runFork(begin)
      }
    }
  })
