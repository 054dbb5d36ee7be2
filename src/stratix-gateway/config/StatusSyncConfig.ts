/**
 * The settings of the gateway: all knobs, read once and checked.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Knob } from "./Knob.js"
import { knobs } from "./Knobs.js"
import * as Warnings from "./Warnings.js"

export type {
  /** What is known of a knob besides its value.
   * @since 0.1.0
   * @category models */
  Knob
}
export {
  /** The knobs. Each is also the `Config` that reads it from its environment variable.
   * @since 0.1.0
   * @category knobs */
  knobs
}

/** The values of all knobs. Durations are anything `Duration.decode` takes.
 * @since 0.1.0
 * @category models */
export type Settings = { readonly [K in keyof typeof knobs]: Config.Config.Success<(typeof knobs)[K]> }

/** The settings in force.
 * @since 0.1.0
 * @category tags */
export class StatusSyncConfig extends Context.Tag("stratix/StatusSyncConfig")<StatusSyncConfig, Settings>() {}

/** Settings that cannot work; each of `problems` names the variable, what is wrong with it and the right form.
 * @since 0.1.0
 * @category errors */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>("stratix/ConfigInvalid")("ConfigInvalid", {
  /** `Unreadable`: the environment has values that are none. `OutOfRange`: values that cannot work, or not together. */
  reason: Schema.Literal("Unreadable", "OutOfRange"),
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("; ")
  }
}

const all = Config.all(knobs)

/** The default of every knob.
 * @since 0.1.0
 * @category constructors */
export const defaults: Settings = Effect.runSync(
  Effect.withConfigProvider(all, ConfigProvider.fromMap(new Map<string, string>()))
)

const named = (name: keyof Settings): string => `${knobs[name].env} (${name})`

/** What each knob cannot know alone. */
const checkTogether = (settings: Settings): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const interval = Duration.decode(settings.heartbeatInterval)
  const timeout = Duration.decode(settings.heartbeatTimeout)
  if (Duration.lessThanOrEqualTo(timeout, interval)) {
    problems.push(
      `${named("heartbeatTimeout")} must be above the interval: it is ${Duration.format(timeout)}, the interval ${Duration.format(interval)}`
    )
  }
  if (Duration.lessThan(settings.requestTimeout, settings.handshakeTimeout)) {
    problems.push(
      `${named("requestTimeout")} must not be below ${named("handshakeTimeout")}: it is ${Duration.format(settings.requestTimeout)}, the handshake timeout ${Duration.format(settings.handshakeTimeout)}`
    )
  }
  if (Duration.lessThan(settings.responseTimeout, settings.requestTimeout)) {
    problems.push(
      `${named("responseTimeout")} must not be below ${named("requestTimeout")}: it is ${Duration.format(settings.responseTimeout)}, the request timeout ${Duration.format(settings.requestTimeout)}`
    )
  }
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    problems.push(`${named("tlsCert")} and ${named("tlsKey")} must be set together`)
  }
  return problems
}

const check = (settings: Settings): ReadonlyArray<string> => {
  const values: ReadonlyMap<string, unknown> = new Map(Object.entries(settings))
  const problems = Object.entries(knobs).flatMap(([name, knob]) => {
    const problem = knob.problem(values.get(name))
    return problem === undefined ? [] : [`${knob.env} (${name}) ${problem}`]
  })
  return problems.length > 0 ? problems : checkTogether(settings)
}

/** Checks settings and fills in the defaults.
 * @since 0.1.0
 * @category constructors */
export const make = (options: Partial<Settings> = {}): Effect.Effect<Settings, ConfigInvalid> => {
  const settings: Settings = { ...defaults, ...options }
  const problems = check(settings)
  return problems.length === 0
    ? Effect.succeed(settings)
    : Effect.fail(new ConfigInvalid({ reason: "OutOfRange", problems }))
}

/** One text for each variable that cannot be read, as in `STRATIX_PORT (port) must be …`.
 * @since 0.1.0
 * @category conversions */
export const problemsOf = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case "And":
    case "Or":
      return [...problemsOf(error.left), ...problemsOf(error.right)]
    default: {
      // A provider may be nested, which puts names in front.
      const name = Object.entries(knobs).find(([, knob]) => knob.env === error.path.at(-1))?.[0]
      return [`${error.path.join("_")}${name === undefined ? ":" : ` (${name})`} ${error.message}`]
    }
  }
}

/** Reads and checks the settings, and names all that cannot be read at once.
 * @since 0.1.0
 * @category constructors */
export const read: Effect.Effect<Settings, ConfigInvalid> = Effect.suspend(() => readWith({}))

const readWith = (overrides: Partial<Settings>): Effect.Effect<Settings, ConfigInvalid> =>
  all.pipe(
    Effect.mapError((error) => new ConfigInvalid({ reason: "Unreadable", problems: problemsOf(error) })),
    Effect.flatMap((found) => make({ ...found, ...overrides }))
  )

const warnOf = (warnings: ReadonlyArray<Warnings.Warning>): Effect.Effect<void> =>
  Effect.forEach(warnings, ({ instead, what }) => Effect.logWarning(`${what}: ${instead}`), { discard: true }).pipe(
    Effect.annotateLogs({ module: "StatusSyncConfig" })
  )

/** Settings given in code, the rest by default.
 * @since 0.1.0
 * @category layers */
export const layer = (options: Partial<Settings> = {}): Layer.Layer<StatusSyncConfig, ConfigInvalid> =>
  Layer.effect(
    StatusSyncConfig,
    Effect.tap(make(options), ({ allowedOrigins }) => warnOf(Warnings.origins(allowedOrigins)))
  )

/** Settings from the environment (or any `ConfigProvider`), the rest by default. Warns of `STRATIX_*` variables that are no setting.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<StatusSyncConfig, ConfigInvalid> = Layer.suspend(() => layerConfigWith({}))

/** Settings from the environment, as `layerConfig`; those given in code take their place.
 * @since 0.1.0
 * @category layers */
export const layerConfigWith = (overrides: Partial<Settings>): Layer.Layer<StatusSyncConfig, ConfigInvalid> =>
  Layer.effect(
    StatusSyncConfig,
    // Names before values: a name that is spelled wrong may be why the settings cannot work.
    Effect.suspend(() => warnOf(Warnings.names(process.env))).pipe(
      Effect.zipRight(readWith(overrides)),
      Effect.tap(({ allowedOrigins }) => warnOf(Warnings.origins(allowedOrigins)))
    )
  )
