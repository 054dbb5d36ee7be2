/**
 * One fiber that sleeps until something is due, and can be woken earlier.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

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
