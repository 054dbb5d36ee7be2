/**
 * The service without a server, for an application that has one: its routes are `StatusSyncRoutes`.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Handshake from "./admission/Handshake.js"
import * as Limits from "./admission/Limits.js"
import * as Connections from "./api/websocket/Connections.js"
import * as Heartbeat from "./api/websocket/Heartbeat.js"
import * as StatusSync from "./api/websocket/StatusSync.js"
import * as Authenticator from "./auth/Authenticator.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as Broadcast from "./fanout/Broadcast.js"
import * as EventLog from "./log/EventLog.js"
import * as Stamps from "./log/Stamps.js"
import * as MetricsCollector from "./operations/MetricsCollector.js"
import { logOf, type Options, type Parts, withEvents } from "./Parts.js"
import * as Refusals from "./telemetry/Refusals.js"
import * as Transport from "./transport/Transport.js"
import * as WebSockets from "./transport/WebSockets.js"

export type { Options, Parts } from "./Parts.js"

/** Everything the service offers.
 * @since 0.1.0
 * @category models */
export type Services =
  | StatusSync.StatusSync
  | Connections.Connections
  | Broadcast.Broadcast
  | Heartbeat.Heartbeat
  | Handshake.Handshake
  | Limits.Limits
  | Refusals.Refusals
  | WebSockets.WebSockets
  | Stamps.Stamps
  | MetricsCollector.MetricsCollector

/** What was revoked at another process that has the log, or before this one began, holds here, before any client is let in. */
const sharedRevocations = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { revocations } = yield* EventLog.EventLog
    const { shareRevocations } = yield* Authenticator.Authenticator
    if (revocations !== undefined) yield* shareRevocations(revocations)
  })
)

/** The service on a transport, a log and an authenticator of your choice.
 * @since 0.1.0
 * @category layers */
export const layerCore: Layer.Layer<
  Services,
  never,
  StatusSyncConfig.StatusSyncConfig | Transport.Transport | EventLog.EventLog | Authenticator.Authenticator
> = Layer.mergeAll(StatusSync.layer, MetricsCollector.layer).pipe(
  Layer.provideMerge(Connections.layer),
  Layer.provideMerge(Broadcast.layer),
  Layer.provideMerge(Layer.mergeAll(Heartbeat.layer, Handshake.layer, Stamps.layer)),
  Layer.provideMerge(Layer.mergeAll(Limits.layer, Refusals.layer, WebSockets.layer)),
  Layer.provideMerge(sharedRevocations)
)

/** Tells the operator what web pages may do. */
export const originWarning: Layer.Layer<never, never, StatusSyncConfig.StatusSyncConfig> = Layer.effectDiscard(
  Effect.flatMap(StatusSyncConfig.StatusSyncConfig, ({ allowedOrigins }) =>
    allowedOrigins.includes("*")
      ? Effect.logWarning("STRATIX_ALLOWED_ORIGINS is *: web pages of every origin can connect and publish")
      : Effect.void
  )
)

// Fresh, here and below: several services in one program are several, though they are made of the same layers.
const guest = <E, R>(parts: Parts<E, R>) =>
  Layer.fresh(
    withEvents(Layer.merge(layerCore, originWarning), parts).pipe(
      Layer.provideMerge(logOf(parts)),
      Layer.provide(Transport.layerRouted)
    )
  )

/**
 * The service with settings given in code, with a log and event types of your own if you like. It requires an `Authenticator`. Settings of the server (`host`, `port`, TLS and
 * the timeouts of HTTP) are the host application's own and mean nothing here.
 *
 * @example
 * ```ts
 * const Main = HttpLayerRouter.serve(StatusSyncRoutes.layer({ path: "/status" })).pipe(
 *   StatusSyncRoutes.drained,
 *   Layer.provide(StatusSyncService.layer()),
 *   Layer.provide(Authenticator.layerTokensFile("tokens.json")),
 *   Layer.provide(NodeHttpServer.layer(NodeServer.guard(createServer), { port: 3001 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E = never, R = never>({
  events,
  log,
  ...settings
}: Options<E, R> = {}): Layer.Layer<
  Services | EventLog.EventLog | StatusSyncConfig.StatusSyncConfig,
  StatusSyncConfig.ConfigInvalid | EventLog.EventLogStartError | E,
  Authenticator.Authenticator | Exclude<R, StatusSyncConfig.StatusSyncConfig>
> => Layer.provideMerge(guest({ events, log }), StatusSyncConfig.layer(settings))

/** The service by the environment. It requires an `Authenticator`; `Authenticator.layerConfig` is by the environment, too.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<
  Services | EventLog.EventLog | StatusSyncConfig.StatusSyncConfig,
  StatusSyncConfig.ConfigInvalid | EventLog.EventLogStartError | ConfigError,
  Authenticator.Authenticator
> = Layer.suspend(() => layerConfigWith({}))

/** The service by the environment, as `layerConfig`; settings given in code take the place of those there.
 * @since 0.1.0
 * @category layers */
export const layerConfigWith = <E = never, R = never>({
  events,
  log,
  ...overrides
}: Options<E, R>): Layer.Layer<
  Services | EventLog.EventLog | StatusSyncConfig.StatusSyncConfig,
  StatusSyncConfig.ConfigInvalid | EventLog.EventLogStartError | ConfigError | E,
  Authenticator.Authenticator | Exclude<R, StatusSyncConfig.StatusSyncConfig>
> => Layer.provideMerge(guest({ events, log }), StatusSyncConfig.layerConfigWith(overrides))
