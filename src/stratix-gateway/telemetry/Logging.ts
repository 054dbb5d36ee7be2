/**
 * The log of the stand-alone gateway, in the format and at the level of the settings.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { knobs, type Settings } from "../config/StatusSyncConfig.js"
import * as StandardOutput from "./StandardOutput.js"

const forms: { readonly [F in Settings["logFormat"]]: Layer.Layer<never> } = {
  pretty: Logger.pretty,
  logfmt: Logger.logFmt,
  json: Logger.json
}

const levels: { readonly [L in Settings["logLevel"]]: LogLevel.LogLevel } = {
  all: LogLevel.All,
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  fatal: LogLevel.Fatal,
  none: LogLevel.None
}

/** Logs to standard output in the format and at the level of these settings; lines that cannot be written are counted. With `json` each line is one object: `message`, `logLevel`, `timestamp`, `cause`, `annotations`, `spans`, `fiberId`.
 * @since 0.1.0
 * @category layers */
export const layer = (settings: Pick<Settings, "logFormat" | "logLevel">): Layer.Layer<never> =>
  Layer.mergeAll(forms[settings.logFormat], Logger.minimumLogLevel(levels[settings.logLevel]), StandardOutput.layer)

/** Logs as configured by the environment. For the entry point of a program; a host application has its own logger.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<never, ConfigError> = Layer.unwrapEffect(
  Effect.map(Config.all({ logFormat: knobs.logFormat, logLevel: knobs.logLevel }), layer)
)
