/**
 * The end of a turn of the event loop.
 */
import * as Effect from "effect/Effect"

/** Yields to the event loop until everything that waits for it has run once. */
export const nextTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
