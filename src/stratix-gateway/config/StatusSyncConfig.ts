/**
 * Every knob of the gateway, once: type, unit, default, environment name, meaning.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as IpAddress from "../runtime/IpAddress.js"

/** What is known of a knob besides its value.
 * @since 0.1.0
 * @category models */
export interface Knob<A> {
  readonly env: string
  readonly default: A
  readonly doc: string
}

const knob = <A>(
  read: (env: string) => Config.Config<A>,
  env: string,
  fallback: A,
  doc: string
): Config.Config<A> & Knob<A> => Object.assign(Config.withDefault(read(env), fallback), { env, default: fallback, doc })

const duration = (env: string): Config.Config<Duration.DurationInput> => Config.duration(env)
const list = (env: string): Config.Config<ReadonlyArray<string>> =>
  Config.map(Config.string(env), (text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "")
  )
/** A text that nothing stands for where it is absent. A name that is set to nothing is not absent: it is a mistake to be told of. */
const maybe = (env: string): Config.Config<string | undefined> => Config.string(env)
const secret = (env: string): Config.Config<Redacted.Redacted<string> | undefined> => Config.redacted(env)
const logFormat = (env: string): Config.Config<"pretty" | "logfmt" | "json"> =>
  Config.literal("pretty", "logfmt", "json")(env)
const logLevel = (
  env: string
): Config.Config<"all" | "trace" | "debug" | "info" | "warning" | "error" | "fatal" | "none"> =>
  Config.literal("all", "trace", "debug", "info", "warning", "error", "fatal", "none")(env)
const slowPolicy = (env: string): Config.Config<"conflate" | "close"> => Config.literal("conflate", "close")(env)

const KiB = 1024
const MiB = 1024 * KiB

/** The knobs. Each is also the `Config` that reads it from its environment name.
 * @since 0.1.0
 * @category knobs */
export const knobs = {
  host: knob(
    Config.string,
    "STRATIX_HOST",
    "127.0.0.1",
    "Address to bind. Anything but loopback should have authentication"
  ),
  port: knob(Config.integer, "STRATIX_PORT", 3001, "Port to bind; 0 takes a free one"),
  path: knob(Config.string, "STRATIX_PATH", "/", "Path of the WebSocket endpoint"),
  heartbeatInterval: knob(
    duration,
    "STRATIX_HEARTBEAT_INTERVAL",
    "30 seconds",
    "A connection is pinged this long after it opened, and again and again"
  ),
  heartbeatTimeout: knob(
    duration,
    "STRATIX_HEARTBEAT_TIMEOUT",
    "60 seconds",
    "A connection without a sign of life for this long is terminated; must be above the interval"
  ),
  historyCapacity: knob(Config.integer, "STRATIX_HISTORY_CAPACITY", 8192, "Events kept for exact catch-up"),
  historyBytes: knob(
    Config.integer,
    "STRATIX_HISTORY_BYTES",
    64 * MiB,
    "Characters of encoded events kept for exact catch-up; the oldest leave above it"
  ),
  latestCapacity: knob(
    Config.integer,
    "STRATIX_LATEST_CAPACITY",
    100_000,
    "Keys whose newest event is kept; the one unchanged for longest leaves above it"
  ),
  finishedRetention: knob(
    duration,
    "STRATIX_FINISHED_RETENTION",
    "15 minutes",
    "How long a finished command stays in the state"
  ),
  finishedCapacity: knob(
    Config.integer,
    "STRATIX_FINISHED_CAPACITY",
    10_000,
    "Finished commands kept in the state; the oldest leaves above it"
  ),
  maxEventBytes: knob(
    Config.integer,
    "STRATIX_MAX_EVENT_BYTES",
    256 * KiB,
    "Size of one published event as JSON, in UTF-8 bytes"
  ),
  linger: knob(
    duration,
    "STRATIX_LINGER",
    "0 millis",
    "Waits this long after an event for more to share its write; 0 flushes at the end of the event-loop turn"
  ),
  highWaterMark: knob(
    Config.integer,
    "STRATIX_HIGH_WATER_MARK",
    256 * KiB,
    "Unsent bytes above which a connection gets nothing more until it drains; never below the buffer node gives a socket (16 KiB, from Node 22 on 64 KiB)"
  ),
  slowPolicy: knob(
    slowPolicy,
    "STRATIX_SLOW_POLICY",
    "conflate",
    "A connection that fell behind the history: conflate (newest per key) or close (1013)"
  ),
  stallTimeout: knob(
    duration,
    "STRATIX_STALL_TIMEOUT",
    "2 minutes",
    "A connection that stays above the high-water mark this long is terminated"
  ),
  compression: knob(
    Config.boolean,
    "STRATIX_COMPRESSION",
    false,
    "Offers permessage-deflate without context takeover; each message is compressed once for all who agreed to it"
  ),
  compressionThreshold: knob(
    Config.integer,
    "STRATIX_COMPRESSION_THRESHOLD",
    512,
    "Bytes of a message below which it is not compressed"
  ),
  maxMessageBytes: knob(
    Config.integer,
    "STRATIX_MAX_MESSAGE_BYTES",
    64 * KiB,
    "Size of one message from a client; above it: close 1009"
  ),
  maxFilterValues: knob(Config.integer, "STRATIX_MAX_FILTER_VALUES", 1000, "Values in one filter, all fields together"),
  allowedOrigins: knob(
    list,
    "STRATIX_ALLOWED_ORIGINS",
    [],
    "Origins of web pages that may connect and publish besides loopback and the same host, comma-separated; * allows all"
  ),
  maxConnections: knob(
    Config.integer,
    "STRATIX_MAX_CONNECTIONS",
    20_000,
    "WebSocket connections at a time; above it: 503"
  ),
  maxConnectionsPerAddress: knob(
    Config.integer,
    "STRATIX_MAX_CONNECTIONS_PER_ADDRESS",
    256,
    "WebSocket connections at a time from one address (IPv6: one /64), loopback excepted; above it: 429"
  ),
  trustedProxies: knob(
    list,
    "STRATIX_TRUSTED_PROXIES",
    [],
    "Addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed, comma-separated"
  ),
  maxHandshakes: knob(
    Config.integer,
    "STRATIX_MAX_HANDSHAKES",
    256,
    "WebSocket handshakes under way at a time; above it: 503"
  ),
  handshakeRate: knob(
    Config.integer,
    "STRATIX_HANDSHAKE_RATE",
    1000,
    "WebSocket handshakes a second, five times as many at once; above it: 503; 0: no limit"
  ),
  handshakeTimeout: knob(
    duration,
    "STRATIX_HANDSHAKE_TIMEOUT",
    "10 seconds",
    "Time for a client to send its request's header, and for the authenticator to decide on it"
  ),
  requestTimeout: knob(
    duration,
    "STRATIX_REQUEST_TIMEOUT",
    "30 seconds",
    "Time for a client to send a whole HTTP request; not below the handshake timeout"
  ),
  maxHeaderBytes: knob(
    Config.integer,
    "STRATIX_MAX_HEADER_BYTES",
    16 * KiB,
    "Size of a request's header; above it: 431"
  ),
  messageRate: knob(
    Config.integer,
    "STRATIX_MESSAGE_RATE",
    100,
    "Messages, pings and pongs a client may send a second, twice as many at once; above it: close 1008; 0: no limit"
  ),
  maxFragments: knob(
    Config.integer,
    "STRATIX_MAX_FRAGMENTS",
    128,
    "Frames one message from a client may be split into; above it: close 1008"
  ),
  publishRate: knob(
    Config.integer,
    "STRATIX_PUBLISH_RATE",
    10_000,
    "Events a principal may publish over HTTP a second, twice as many at once; above it: 429; 0: no limit"
  ),
  queryTokens: knob(
    Config.boolean,
    "STRATIX_QUERY_TOKENS",
    false,
    "Whether a token may stand in the query string of the WebSocket (?token=), where proxies log it"
  ),
  tokens: knob(secret, "STRATIX_TOKENS", undefined, "Static tokens, as JSON (docs/SECURITY.md)"),
  tokensFile: knob(
    maybe,
    "STRATIX_TOKENS_FILE",
    undefined,
    "File of static tokens, as JSON (docs/SECURITY.md); read again when it changes"
  ),
  jwtSecret: knob(
    secret,
    "STRATIX_JWT_SECRET",
    undefined,
    "Secret that JWTs are signed with (HS256, HS384, HS512); 32 bytes at the least"
  ),
  jwtJwksFile: knob(
    maybe,
    "STRATIX_JWT_JWKS_FILE",
    undefined,
    "File with the public keys of JWTs (JWKS); read again when it changes"
  ),
  jwtJwksUrl: knob(maybe, "STRATIX_JWT_JWKS_URL", undefined, "Address of the public keys of JWTs (JWKS); https"),
  jwtIssuer: knob(maybe, "STRATIX_JWT_ISSUER", undefined, "What a JWT must have as iss"),
  jwtAudience: knob(
    maybe,
    "STRATIX_JWT_AUDIENCE",
    undefined,
    "What a JWT must have in aud; must be said where the keys are a JWKS"
  ),
  jwtClockSkew: knob(
    duration,
    "STRATIX_JWT_CLOCK_SKEW",
    "0 millis",
    "How far the clocks of issuer and gateway may differ; a JWT is good for so much longer"
  ),
  allowAnonymous: knob(
    Config.boolean,
    "STRATIX_ALLOW_ANONYMOUS",
    false,
    "Whether a gateway that other machines can reach may start without tokens or JWT keys, letting every client watch and publish"
  ),
  tlsCert: knob(
    maybe,
    "STRATIX_TLS_CERT",
    undefined,
    "File of the certificate chain (PEM): the gateway then speaks TLS only; read again when it changes"
  ),
  tlsKey: knob(maybe, "STRATIX_TLS_KEY", undefined, "File of the certificate's private key (PEM)"),
  tlsPassphrase: knob(secret, "STRATIX_TLS_PASSPHRASE", undefined, "What the private key is encrypted with"),
  maxBodyBytes: knob(Config.integer, "STRATIX_MAX_BODY_BYTES", 4 * MiB, "Size of an HTTP request body; above it: 413"),
  metrics: knob(
    Config.boolean,
    "STRATIX_METRICS",
    true,
    "Whether flushes are measured, and GET /metrics answers (docs/operations/README.md)"
  ),
  logFormat: knob(logFormat, "STRATIX_LOG_FORMAT", "pretty", "Form of the log of `npm start`: pretty, logfmt or json"),
  logLevel: knob(
    logLevel,
    "STRATIX_LOG_LEVEL",
    "info",
    "What the log of `npm start` leaves out: whatever is below all, trace, debug, info, warning, error, fatal or none"
  ),
  drainTimeout: knob(
    duration,
    "STRATIX_DRAIN_TIMEOUT",
    "5 seconds",
    "On shutdown, time for clients to take what is pending and to answer the close; then they are terminated"
  )
} as const

/** The values of all knobs. Durations are whatever `Duration.decode` takes.
 * @since 0.1.0
 * @category models */
export type Settings = { readonly [K in keyof typeof knobs]: Config.Config.Success<(typeof knobs)[K]> }

/** The settings in force.
 * @since 0.1.0
 * @category tags */
export class StatusSyncConfig extends Context.Tag("stratix/StatusSyncConfig")<StatusSyncConfig, Settings>() {}

/** Settings that cannot work; `problems` names each knob, what it is and what it must be.
 * @since 0.1.0
 * @category errors */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>("stratix/ConfigInvalid")("ConfigInvalid", {
  reason: Schema.Literal("OutOfRange"),
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("; ")
  }
}

/** What every knob is when nothing is said.
 * @since 0.1.0
 * @category constructors */
export const defaults: Settings = {
  host: knobs.host.default,
  port: knobs.port.default,
  path: knobs.path.default,
  heartbeatInterval: knobs.heartbeatInterval.default,
  heartbeatTimeout: knobs.heartbeatTimeout.default,
  historyCapacity: knobs.historyCapacity.default,
  historyBytes: knobs.historyBytes.default,
  latestCapacity: knobs.latestCapacity.default,
  finishedRetention: knobs.finishedRetention.default,
  finishedCapacity: knobs.finishedCapacity.default,
  maxEventBytes: knobs.maxEventBytes.default,
  linger: knobs.linger.default,
  highWaterMark: knobs.highWaterMark.default,
  slowPolicy: knobs.slowPolicy.default,
  stallTimeout: knobs.stallTimeout.default,
  compression: knobs.compression.default,
  compressionThreshold: knobs.compressionThreshold.default,
  maxMessageBytes: knobs.maxMessageBytes.default,
  maxFilterValues: knobs.maxFilterValues.default,
  allowedOrigins: knobs.allowedOrigins.default,
  maxConnections: knobs.maxConnections.default,
  maxConnectionsPerAddress: knobs.maxConnectionsPerAddress.default,
  trustedProxies: knobs.trustedProxies.default,
  maxHandshakes: knobs.maxHandshakes.default,
  handshakeRate: knobs.handshakeRate.default,
  handshakeTimeout: knobs.handshakeTimeout.default,
  requestTimeout: knobs.requestTimeout.default,
  maxHeaderBytes: knobs.maxHeaderBytes.default,
  messageRate: knobs.messageRate.default,
  maxFragments: knobs.maxFragments.default,
  publishRate: knobs.publishRate.default,
  queryTokens: knobs.queryTokens.default,
  tokens: knobs.tokens.default,
  tokensFile: knobs.tokensFile.default,
  jwtSecret: knobs.jwtSecret.default,
  jwtJwksFile: knobs.jwtJwksFile.default,
  jwtJwksUrl: knobs.jwtJwksUrl.default,
  jwtIssuer: knobs.jwtIssuer.default,
  jwtAudience: knobs.jwtAudience.default,
  jwtClockSkew: knobs.jwtClockSkew.default,
  allowAnonymous: knobs.allowAnonymous.default,
  tlsCert: knobs.tlsCert.default,
  tlsKey: knobs.tlsKey.default,
  tlsPassphrase: knobs.tlsPassphrase.default,
  maxBodyBytes: knobs.maxBodyBytes.default,
  metrics: knobs.metrics.default,
  logFormat: knobs.logFormat.default,
  logLevel: knobs.logLevel.default,
  drainTimeout: knobs.drainTimeout.default
}

const atLeast =
  (min: number) =>
  (value: number): string | undefined =>
    Number.isInteger(value) && value >= min ? undefined : `must be a whole number of at least ${min}, is ${value}`

const ranges: Partial<Record<keyof Settings, (value: number) => string | undefined>> = {
  port: (value) =>
    Number.isInteger(value) && value >= 0 && value <= 65535 ? undefined : `must be a port from 0 to 65535, is ${value}`,
  historyCapacity: atLeast(1),
  historyBytes: atLeast(1),
  latestCapacity: atLeast(1),
  finishedCapacity: atLeast(0),
  maxEventBytes: atLeast(256),
  highWaterMark: atLeast(1),
  compressionThreshold: atLeast(0),
  maxMessageBytes: atLeast(64),
  maxFilterValues: atLeast(1),
  maxConnections: atLeast(1),
  maxConnectionsPerAddress: atLeast(1),
  maxHandshakes: atLeast(1),
  handshakeRate: atLeast(0),
  // The request line and the seven lines of the shortest handshake are about 200 bytes.
  maxHeaderBytes: atLeast(1024),
  messageRate: atLeast(0),
  maxFragments: atLeast(1),
  publishRate: atLeast(0),
  maxBodyBytes: atLeast(256)
}

/** Knobs that are durations. */
const durations = [
  "heartbeatInterval",
  "heartbeatTimeout",
  "linger",
  "stallTimeout",
  "finishedRetention",
  "handshakeTimeout",
  "requestTimeout",
  "drainTimeout",
  "jwtClockSkew"
] as const

const mayBeNone: ReadonlySet<string> = new Set(["linger", "drainTimeout", "jwtClockSkew"])

/** In milliseconds. A JavaScript timer of more than 2^31 - 1 of them, some 24.8 days, rings at once. */
const LONGEST = 24 * 86_400_000

const check = (settings: Settings): ReadonlyArray<string> => {
  const problems: Array<string> = []
  for (const [name, value] of Object.entries(settings)) {
    const range = ranges[name as keyof Settings]
    const problem = range === undefined || typeof value !== "number" ? undefined : range(value)
    if (problem !== undefined) problems.push(`${knobs[name as keyof Settings].env} (${name}) ${problem}`)
  }
  for (const name of durations) {
    const millis = Duration.toMillis(settings[name])
    if (millis > LONGEST) problems.push(`${knobs[name].env} (${name}) must be at most ${LONGEST / 86_400_000} days`)
    if (millis < 1 && !mayBeNone.has(name)) problems.push(`${knobs[name].env} (${name}) must be at least 1 ms`)
  }
  const interval = Duration.decode(settings.heartbeatInterval)
  const timeout = Duration.decode(settings.heartbeatTimeout)
  if (Duration.lessThanOrEqualTo(timeout, interval)) {
    problems.push(
      `STRATIX_HEARTBEAT_TIMEOUT (heartbeatTimeout) must be above the interval: it is ${Duration.format(timeout)}, the interval ${Duration.format(interval)}`
    )
  }
  if (Duration.lessThan(settings.requestTimeout, settings.handshakeTimeout)) {
    problems.push(
      "STRATIX_REQUEST_TIMEOUT (requestTimeout) must not be below STRATIX_HANDSHAKE_TIMEOUT (handshakeTimeout)"
    )
  }
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    problems.push("STRATIX_TLS_CERT (tlsCert) and STRATIX_TLS_KEY (tlsKey) must be there both or not at all")
  }
  for (const entry of settings.trustedProxies) {
    if (!IpAddress.isNetwork(entry)) {
      problems.push(
        `STRATIX_TRUSTED_PROXIES (trustedProxies) must be addresses or networks like 10.0.0.0/8, has ${JSON.stringify(entry)}`
      )
    }
  }
  if (!settings.path.startsWith("/"))
    problems.push(`STRATIX_PATH (path) must begin with "/", is ${JSON.stringify(settings.path)}`)
  return problems
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

/** Settings given in code, the rest by default.
 * @since 0.1.0
 * @category layers */
export const layer = (options: Partial<Settings> = {}): Layer.Layer<StatusSyncConfig, ConfigInvalid> =>
  Layer.effect(StatusSyncConfig, make(options))

/** Settings from the environment (or any `ConfigProvider`), the rest by default.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<StatusSyncConfig, ConfigInvalid | import("effect/ConfigError").ConfigError> =
  Layer.effect(StatusSyncConfig, Effect.flatMap(Config.all(knobs), make))
