/**
 * Signals that end a program.
 */
import * as Effect from "effect/Effect"

const ignore = () => undefined

/**
 * Ignores every SIGINT and SIGTERM after the first one, which began a drain that is bounded by the drain timeout. Two signals are normal: a
 * terminal sends Ctrl-C both to `npm start` and to the gateway, and npm passes its own on. For the entry point of a program that
 * something else ends at the first signal (`NodeRuntime.runMain`).
 */
export const ignoreFurther: Effect.Effect<void> = Effect.sync(() => {
  process.on("SIGINT", ignore)
  process.on("SIGTERM", ignore)
})
