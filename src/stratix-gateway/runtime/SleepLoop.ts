/**
 * One fiber that sleeps until the next moment something is due, and can be woken for an earlier one.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a loop does and by which clock. */
export interface Options {
  /** Milliseconds. */
  readonly now: () => number
  /** Does what is due and returns when to run next; infinity: not before it is woken. */
  readonly run: () => number
  /** Longest sleep in milliseconds; no bound by default. */
  readonly longest?: number
}

/** A running loop. */
export interface SleepLoop {
  /** Something is due at this moment. Wakes the loop if it would sleep beyond it. */
  readonly wake: (at: number) => void
}

/** Runs until the scope closes. */
export const make = ({
  longest = Number.POSITIVE_INFINITY,
  now,
  run
}: Options): Effect.Effect<SleepLoop, never, Scope.Scope> =>
  Effect.gen(function* () {
    const latch = Effect.unsafeMakeLatch(false)
    let sleepsUntil = Number.NEGATIVE_INFINITY

    yield* Effect.gen(function* () {
      while (true) {
        latch.unsafeClose()
        sleepsUntil = run()
        yield* sleepsUntil === Number.POSITIVE_INFINITY
          ? latch.await
          : Effect.raceFirst(
              Effect.sleep(Duration.millis(Math.min(Math.ceil(sleepsUntil - now()), longest))),
              latch.await
            )
        sleepsUntil = Number.NEGATIVE_INFINITY
      }
    }).pipe(Effect.interruptible, Effect.forkScoped)

    return {
      wake: (at) => {
        if (at < sleepsUntil) latch.unsafeOpen()
      }
    }
  })
