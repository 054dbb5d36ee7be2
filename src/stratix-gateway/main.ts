/** The stand-alone gateway: `npm start`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Primary from "./channel/Primary.js"
import * as Signals from "./runtime/Signals.js"
import * as StatusSyncWorkers from "./StatusSyncWorkers.js"
import * as Logging from "./telemetry/Logging.js"

/** A `ConfigError` has the name of the variable in its text, not in its message. */
const textOf = (error: unknown): string =>
  error instanceof Error && !ConfigError.isConfigError(error) ? error.message : String(error)

const complain = (cause: Cause.Cause<unknown>) =>
  Effect.forEach([...Cause.failures(cause), ...Cause.defects(cause)], (error) =>
    // At every log level: `STRATIX_LOG_LEVEL=none` silences a running gateway, not the reason why it does not start.
    Effect.logError(`The gateway cannot start: ${textOf(error)}`)
  ).pipe(Logger.withMinimumLogLevel(LogLevel.All))

Signals.launch(StatusSyncWorkers.layerStandAlone, { quiet: Primary.isWorker }).pipe(
  Effect.tapErrorCause(complain),
  Effect.provide(Layer.tapErrorCause(Logging.layerConfig, complain)),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true })
)
