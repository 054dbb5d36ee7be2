/**
 * The settings of a gateway on the command line: flags for the ones most often set, the environment for all.
 */
import * as Options from "@effect/cli/Options"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { knobs, problemsOf } from "../../stratix-gateway/config/StatusSyncConfig.js"
import { visible } from "../Output.js"

type Name = keyof typeof knobs

const flag = (name: Name, typed: string, kind: string) => {
  const { doc, env } = knobs[name]
  const given = knobs[name].default
  // No default is a secret, whatever else its knob may hold.
  const value = Redacted.isRedacted(given) ? Redacted.value(given) : given
  const byDefault = value === undefined || (Array.isArray(value) && value.length === 0) ? "" : `, else ${value}`
  return Options.text(typed).pipe(
    Options.withPseudoName(kind),
    Options.withDescription(`${doc}. ${env} if absent${byDefault}`),
    Options.optional
  )
}

/** The flags, by the knob they set. */
export const flags = {
  host: flag("host", "host", "address"),
  port: flag("port", "port", "number"),
  workers: flag("workers", "workers", "number"),
  path: flag("path", "path", "path"),
  heartbeatInterval: flag("heartbeatInterval", "heartbeat-interval", "time"),
  heartbeatTimeout: flag("heartbeatTimeout", "heartbeat-timeout", "time"),
  allowedOrigins: flag("allowedOrigins", "allowed-origins", "list"),
  eventLog: flag("eventLog", "event-log", "memory|url"),
  tokensFile: flag("tokensFile", "tokens-file", "file"),
  tlsCert: flag("tlsCert", "tls-cert", "file"),
  tlsKey: flag("tlsKey", "tls-key", "file"),
  logFormat: flag("logFormat", "log-format", "pretty|logfmt|json")
}

/** The flags as typed. */
export type Typed = { readonly [K in keyof typeof flags]: Option.Option<string> }

const typedEntries = (typed: Typed): ReadonlyArray<readonly [env: string, value: string]> =>
  Object.entries(typed).flatMap(([name, value]) => {
    const env = Object.entries(knobs).find(([known]) => known === name)?.[1].env
    if (env === undefined || Option.isNone(value)) return []
    return [[env, value.value]]
  })

/** Reads settings from the flags first, then from the environment. */
export const withTyped =
  (typed: Typed) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.configProviderWith((environment) =>
      Effect.withConfigProvider(
        effect,
        ConfigProvider.orElse(ConfigProvider.fromMap(new Map(typedEntries(typed))), () => environment)
      )
    )

/** What is wrong, on one line. */
export const messageOf = (error: { readonly message: string }): string =>
  ConfigError.isConfigError(error) ? problemsOf(error).map(visible).join("; ") : visible(error.message)
