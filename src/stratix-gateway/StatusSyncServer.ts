/**
 * The wiring: the whole service as one layer.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as GatewayHttp from "./api/http/GatewayHttp.js"
import * as Connections from "./api/websocket/Connections.js"
import * as Authenticator from "./auth/Authenticator.js"
import { Topic } from "./channel/Link.js"
import * as Primary from "./channel/Primary.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import type * as EventLog from "./log/EventLog.js"
import { logOf, type Options, type Parts, withEvents } from "./Parts.js"
import { isLoopback } from "./runtime/IpAddress.js"
import { version } from "./runtime/Version.js"
import { layerCore, originWarning, type Services } from "./StatusSyncService.js"
import * as NodeServer from "./transport/NodeServer.js"
import * as TransportWs from "./transport/TransportWs.js"
import * as WebSockets from "./transport/WebSockets.js"

export type { Options, Parts } from "./Parts.js"
export { layerCore, type Services } from "./StatusSyncService.js"

/** Tells the operator of a gateway that is open to more than this machine. A host application may start to listen later, so the server is watched. */
const openWarning = Layer.scopedDiscard(
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const authenticator = yield* Authenticator.Authenticator
    const server = yield* NodeServer.NodeServer
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    if (!authenticator.open) return
    const onListening = () => {
      const bound = server.address()
      if (typeof bound !== "object" || bound === null) return
      const reached = !isLoopback(bound.address)
        ? `${bound.address} can be reached from other machines`
        : config.trustedProxies.length > 0
          ? "other machines can reach the gateway through STRATIX_TRUSTED_PROXIES"
          : undefined
      if (reached === undefined) return
      runFork(Effect.logWarning(`${reached} and no token is asked for: every client can watch and publish`))
    }
    if (server.listening) onListening()
    yield* Effect.acquireRelease(
      Effect.sync(() => server.on("listening", onListening)),
      () => Effect.sync(() => server.off("listening", onListening))
    )
  })
)

const onNodeServer = layerCore.pipe(Layer.provide(TransportWs.layer), Layer.provide(WebSockets.layer))

const warnings = Layer.merge(openWarning, originWarning)

/** The service on a node server of the host application: its WebSocket at `path`, on sockets the host accepts. The host listens, routes and closes. For the HTTP routes see `GatewayHttp.app`.
 * @since 0.1.0
 * @category layers */
export const layerMounted: Layer.Layer<
  Services | EventLog.EventLog,
  EventLog.EventLogStartError,
  StatusSyncConfig.StatusSyncConfig | NodeServer.NodeServer | Authenticator.Authenticator
> = Layer.suspend(() => layerMountedWith({}))

/** The service on a node server of the host application, as `layerMounted`, with a log and event types of your own.
 * @since 0.1.0
 * @category layers */
export const layerMountedWith = <E = never, R = never>(
  parts: Parts<E, R>
): Layer.Layer<
  Services | EventLog.EventLog,
  EventLog.EventLogStartError | E,
  StatusSyncConfig.StatusSyncConfig | NodeServer.NodeServer | Authenticator.Authenticator | R
> => withEvents(Layer.merge(onNodeServer, warnings), parts).pipe(Layer.provideMerge(logOf(parts)))

const ready = Layer.scopedDiscard(
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const authenticator = yield* Authenticator.Authenticator
    const connections = yield* Connections.Connections
    const port = yield* NodeServer.listen
    // The drain comes before everything else ends: the routes still answer, so that `readyz` tells of it.
    yield* Effect.addFinalizer(() => connections.drain)
    const scheme = config.tlsCert === undefined ? "ws" : "wss"
    const host = config.host.includes(":") ? `[${config.host}]` : config.host
    const worker = yield* Primary.Primary
    // Of all workers, the gateway says it once.
    const say = (text: string) =>
      worker === undefined ? Effect.logInfo(text) : Effect.sync(() => worker.link.send(Topic.say, [text]))
    yield* say(
      `Stratix gateway ${version} ready on ${scheme}://${host}:${port}${config.path} (authentication: ${authenticator.open ? "none" : "tokens"})`
    )
    if (config.dashboard) {
      yield* say(`Dashboard: ${config.tlsCert === undefined ? "http" : "https"}://${host}:${port}/dashboard`)
    }
  })
)

/** The service with its HTTP routes on this server, listening by the settings.
 * @since 0.1.0
 * @category layers */
export const layerOn = <E, R, E2 = never, R2 = never>(
  server: Layer.Layer<NodeServer.NodeServer, E, R>,
  parts: Parts<E2, R2> = {}
): Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer,
  E | E2 | NodeServer.ListenError | EventLog.EventLogStartError,
  R | StatusSyncConfig.StatusSyncConfig | Authenticator.Authenticator | Exclude<R2, NodeServer.NodeServer>
> =>
  withEvents(
    ready.pipe(Layer.provideMerge(Layer.merge(GatewayHttp.layer, warnings)), Layer.provideMerge(onNodeServer)),
    parts
  ).pipe(Layer.provideMerge(logOf(parts)), Layer.provideMerge(server))

const onOwnServer = <E, R>(parts: Parts<E, R>) => layerOn(NodeServer.layer, parts)

// Fresh, here and below: several gateways in one program are several, though they are made of the same layers.
const withAuthenticator = <E, R>(parts: Parts<E, R>) => Layer.fresh(onOwnServer(parts))

const withSettings = <E, R>(parts: Parts<E, R>) =>
  Layer.fresh(Layer.provideMerge(onOwnServer(parts), Authenticator.layerLoopback))

/** Why a gateway on its own server does not start.
 * @since 0.1.0
 * @category models */
export type StartError =
  | StatusSyncConfig.ConfigInvalid
  | NodeServer.ListenError
  | NodeServer.TlsError
  | EventLog.EventLogStartError

/**
 * The service on its own server, listening. It requires an `Authenticator`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Authenticator, StatusSyncServer } from "stratix-status-sync"
 *
 * const gateway = StatusSyncServer.layer({ host: "0.0.0.0" }).pipe(
 *   Layer.provide(Authenticator.layerTokensFile("tokens.json"))
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
  Services | EventLog.EventLog | NodeServer.NodeServer,
  StartError | E,
  Authenticator.Authenticator | Exclude<Exclude<R, NodeServer.NodeServer>, StatusSyncConfig.StatusSyncConfig>
> => Layer.provide(withAuthenticator({ events, log }), StatusSyncConfig.layer(settings))

/** The service on its own server, by the environment. It requires an `Authenticator`; `Authenticator.layerConfig` is by the environment, too.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer,
  StartError | ConfigError,
  Authenticator.Authenticator
> = Layer.suspend(() => layerConfigWith({}))

/** The service on its own server by the environment, as `layerConfig`; settings given in code take the place of those there.
 * @since 0.1.0
 * @category layers */
export const layerConfigWith = <E = never, R = never>({
  events,
  log,
  ...overrides
}: Options<E, R>): Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer,
  StartError | ConfigError | E,
  Authenticator.Authenticator | Exclude<Exclude<R, NodeServer.NodeServer>, StatusSyncConfig.StatusSyncConfig>
> => Layer.provide(withAuthenticator({ events, log }), StatusSyncConfig.layerConfigWith(overrides))

/** Settings of a gateway that only this machine can reach.
 * @since 0.1.0
 * @category models */
export type LoopbackSettings = Omit<StatusSyncConfig.Settings, "host" | "trustedProxies"> & {
  readonly host: never
  readonly trustedProxies: never
}

/** The service on its own server on 127.0.0.1, for development and tests: every client is let in without a token, unless the options have tokens or JWT keys. It cannot be given a `host`: a gateway that others can reach is `layer`, with an `Authenticator`.
 * @since 0.1.0
 * @category layers */
export const layerLoopback = <E = never, R = never>({
  events,
  log,
  ...settings
}: Options<E, R, LoopbackSettings> = {}): Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer | Authenticator.Authenticator,
  StartError | Authenticator.AuthenticatorError | E,
  Exclude<Exclude<Exclude<R, NodeServer.NodeServer>, Authenticator.Authenticator>, StatusSyncConfig.StatusSyncConfig>
> => Layer.provide(withSettings({ events, log }), StatusSyncConfig.layer(settings))

/** The gateway of `npm start`: by the environment alone. On loopback it needs no tokens; on any other address, or behind trusted proxies, it does not start without them unless `STRATIX_ALLOW_ANONYMOUS` is true.
 * @since 0.1.0
 * @category layers */
export const layerStandAlone: Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer | Authenticator.Authenticator,
  StartError | Authenticator.AuthenticatorError | ConfigError
> = Layer.suspend(() => layerStandAloneWith({}))

/** The gateway of `npm start`, as `layerStandAlone`, with a log and event types of your own; settings given in code take the place of those of the environment.
 * @since 0.1.0
 * @category layers */
export const layerStandAloneWith = <E = never, R = never>({
  events,
  log,
  ...overrides
}: Options<E, R>): Layer.Layer<
  Services | EventLog.EventLog | NodeServer.NodeServer | Authenticator.Authenticator,
  StartError | Authenticator.AuthenticatorError | ConfigError | E,
  Exclude<Exclude<Exclude<R, NodeServer.NodeServer>, Authenticator.Authenticator>, StatusSyncConfig.StatusSyncConfig>
> => Layer.provide(withSettings({ events, log }), StatusSyncConfig.layerConfigWith(overrides))
