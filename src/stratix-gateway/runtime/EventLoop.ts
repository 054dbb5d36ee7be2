/**
 * The end of a turn of the event loop, and work that is cut into turns.
 */
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"

/** Yields to the event loop until everything that waits for it has run once. */
export const nextTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Milliseconds of work for one client in one turn of the event loop; then others have theirs. */
export const STEP_MILLIS = 5

/** To be run between two parts of a long work: yields to the event loop when what was done since the last yield took a step. Measured in real time, because it is the processor that others wait for. */
export const makeStep = (): Effect.Effect<void> => {
  let begun = performance.now()
  return Effect.suspend(() =>
    performance.now() - begun < STEP_MILLIS
      ? Effect.void
      : Effect.map(nextTurn, () => {
          begun = performance.now()
        })
  )
}
