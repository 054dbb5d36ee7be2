/**
 * The end of a turn of the event loop.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/** Lets whatever waits for the event loop have its turn.
 * @since 0.1.0
 * @category effects */
export const nextTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
