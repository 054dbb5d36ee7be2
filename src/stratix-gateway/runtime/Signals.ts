/**
 * The gateway as a program: the signals that end it, and how it follows the npm that started it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"

const ignore = () => undefined

/** SIGHUP is handled as SIGTERM. */
const terminate = () => {
  process.emit("SIGTERM", "SIGTERM")
}

/**
 * A second SIGINT or SIGTERM must not kill the process while it drains, which the drain timeout bounds. Two are usual: a terminal sends Ctrl-C
 * to `npm start` and to the gateway, and npm passes its own on.
 */
const listen: Effect.Effect<void> = Effect.sync(() => {
  process.on("SIGINT", ignore)
  process.on("SIGTERM", ignore)
  process.on("SIGHUP", terminate)
})

/** How soon the port is free again after npm died: a restart by hand takes longer. */
const PARENT_CHECK = "500 millis"

/** npm passes on SIGINT and SIGTERM but not SIGHUP, and cannot pass on SIGKILL: when `npm start` is gone, the gateway ends as by SIGTERM. */
const followNpm: Effect.Effect<void> = Effect.suspend(() => {
  if (process.env["npm_lifecycle_event"] !== "start") return Effect.void
  const parent = process.ppid
  return Effect.sleep(PARENT_CHECK).pipe(
    Effect.repeat({ until: () => process.ppid !== parent }),
    Effect.zipRight(Effect.sync(terminate)),
    Effect.fork,
    Effect.asVoid
  )
})

/** Runs a layer until a signal ends it, and says so in the log once everything is released, unless it is to be `quiet`. For the edge of a program that is interrupted at the first SIGINT or SIGTERM (`NodeRuntime.runMain`). */
export const launch = <A, E, R>(layer: Layer.Layer<A, E, R>, { quiet = false } = {}): Effect.Effect<never, E, R> =>
  listen.pipe(
    Effect.zipRight(followNpm),
    Effect.zipRight(Layer.launch(layer)),
    Effect.onExit((exit) =>
      !quiet && Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
        ? Effect.logInfo("Stratix gateway stopped")
        : Effect.void
    )
  )
