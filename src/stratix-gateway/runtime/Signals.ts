/**
 * The signals that end a program.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

const ignore = () => undefined

/**
 * From now on a second SIGINT or SIGTERM does not kill the process in the middle of what the first one began, which has an end of its own:
 * the drain timeout. Two of them are usual: a terminal sends Ctrl-C to `npm start` and to the gateway, and npm passes its own on.
 * For the edge of a program that something else ends at the first signal (`NodeRuntime.runMain`).
 *
 * @since 0.1.0
 * @category effects
 */
export const ignoreFurther: Effect.Effect<void> = Effect.sync(() => {
  process.on("SIGINT", ignore)
  process.on("SIGTERM", ignore)
})
