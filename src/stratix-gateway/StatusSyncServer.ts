/**
 * The wiring: the whole service as one layer.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Handshake from "./admission/Handshake.js"
import * as Limits from "./admission/Limits.js"
import * as GatewayHttp from "./api/http/GatewayHttp.js"
import * as Connections from "./api/websocket/Connections.js"
import * as Heartbeat from "./api/websocket/Heartbeat.js"
import * as StatusSync from "./api/websocket/StatusSync.js"
import * as Authenticator from "./auth/Authenticator.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as Broadcast from "./fanout/Broadcast.js"
import type * as EventLog from "./log/EventLog.js"
import * as EventLogMemory from "./log/EventLogMemory.js"
import * as Stamps from "./log/Stamps.js"
import * as MetricsCollector from "./operations/MetricsCollector.js"
import { isLoopback } from "./runtime/IpAddress.js"
import * as Refusals from "./telemetry/Refusals.js"
import * as NodeServer from "./transport/NodeServer.js"
import type { Transport } from "./transport/Transport.js"
import * as TransportWs from "./transport/TransportWs.js"

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
  | Stamps.Stamps
  | MetricsCollector.MetricsCollector

/** The service on whatever transport, log and authenticator it is given.
 * @since 0.1.0
 * @category layers */
export const layerCore: Layer.Layer<
  Services,
  never,
  StatusSyncConfig.StatusSyncConfig | Transport | EventLog.EventLog | Authenticator.Authenticator
> = Layer.mergeAll(StatusSync.layer, MetricsCollector.layer).pipe(
  Layer.provideMerge(Connections.layer),
  Layer.provideMerge(Broadcast.layer),
  Layer.provideMerge(Layer.mergeAll(Heartbeat.layer, Handshake.layer, Stamps.layer)),
  Layer.provideMerge(Layer.mergeAll(Limits.layer, Refusals.layer))
)

/** What whoever runs it should know of a door that stands open. A host application may listen later, so the server is watched. */
const warnings = Layer.scopedDiscard(
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const authenticator = yield* Authenticator.Authenticator
    const server = yield* NodeServer.NodeServer
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    if (config.allowedOrigins.includes("*")) yield* Effect.logWarning("pages of every origin may connect and publish")
    if (!authenticator.open) return
    const onListening = () => {
      const bound = server.address()
      if (typeof bound !== "object" || bound === null || isLoopback(bound.address)) return
      runFork(
        Effect.logWarning(
          `${bound.address} can be reached from other machines and nobody is asked for a token: whoever reaches it can watch and publish`
        )
      )
    }
    if (server.listening) onListening()
    yield* Effect.acquireRelease(
      Effect.sync(() => server.on("listening", onListening)),
      () => Effect.sync(() => server.off("listening", onListening))
    )
  })
)

/** The service on a server of the host application: its WebSocket at `path`, on sockets the host accepts. The host listens, routes and closes. For the HTTP routes see `GatewayHttp.app`. An `Authenticator` that is to be asked is provided to it (`Layer.provide`); one that is merged beside it is not. Without one it takes one by the settings.
 * @since 0.1.0
 * @category layers */
export const layerMounted: Layer.Layer<
  Services | EventLog.EventLog | Authenticator.Authenticator,
  Authenticator.AuthenticatorError,
  StatusSyncConfig.StatusSyncConfig | NodeServer.NodeServer
> = Layer.merge(layerCore, warnings).pipe(
  Layer.provide(TransportWs.layer),
  Layer.provideMerge(Authenticator.layerProvided),
  Layer.provideMerge(EventLogMemory.layer)
)

const ready = Layer.scopedDiscard(
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const authenticator = yield* Authenticator.Authenticator
    const connections = yield* Connections.Connections
    const port = yield* NodeServer.listen
    // First of all ends: the routes stay until everybody has left, so that whoever asks `readyz` is told of it.
    yield* Effect.addFinalizer(() => connections.drain)
    const scheme = config.tlsCert === undefined ? "ws" : "wss"
    const host = config.host.includes(":") ? `[${config.host}]` : config.host
    // An authenticator that was merged beside this layer, and not provided to it, is not asked: here that shows.
    yield* Effect.logInfo(
      `Stratix gateway ready on ${scheme}://${host}:${port}${config.path} (authentication: ${authenticator.open ? "none" : "tokens"})`
    )
  })
)

/** The service with its HTTP routes on this server, listening by the settings. An `Authenticator` that is to be asked is provided to it (`Layer.provide`); one that is merged beside it is not. Without one it takes one by the settings.
 * @since 0.1.0
 * @category layers */
export const layerOn = <E, R>(
  server: Layer.Layer<NodeServer.NodeServer, E, R>
): Layer.Layer<
  Services | EventLog.EventLog | Authenticator.Authenticator | NodeServer.NodeServer,
  E | NodeServer.ListenError | Authenticator.AuthenticatorError,
  R | StatusSyncConfig.StatusSyncConfig
> =>
  ready.pipe(
    Layer.provideMerge(Layer.merge(GatewayHttp.layer, warnings)),
    Layer.provideMerge(layerCore),
    Layer.provide(TransportWs.layer),
    Layer.provideMerge(Authenticator.layerProvided),
    Layer.provideMerge(EventLogMemory.layer),
    Layer.provideMerge(server)
  )

// Fresh: several gateways in one program are several, though the parts they are made of are the same layers.
const standAlone = Layer.fresh(layerOn(NodeServer.layer))

/** Why a gateway on a server of its own does not start.
 * @since 0.1.0
 * @category models */
export type StartError =
  | StatusSyncConfig.ConfigInvalid
  | NodeServer.ListenError
  | NodeServer.TlsError
  | Authenticator.AuthenticatorError

/** The service on a server of its own, listening. An `Authenticator` that is to be asked is provided to it (`Layer.provide`); one that is merged beside it is not. Without one it takes one by the settings.
 * @since 0.1.0
 * @category layers */
export const layer = (
  options: Partial<StatusSyncConfig.Settings> = {}
): Layer.Layer<Services | EventLog.EventLog | Authenticator.Authenticator | NodeServer.NodeServer, StartError> =>
  Layer.provide(standAlone, StatusSyncConfig.layer(options))

/** The service on a server of its own, by the environment.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<
  Services | EventLog.EventLog | Authenticator.Authenticator | NodeServer.NodeServer,
  StartError | ConfigError
> = Layer.provide(standAlone, StatusSyncConfig.layerConfig)
