/**
 * The whole service for tests: in virtual time over memory, or over real sockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Authenticator from "../stratix-gateway/auth/Authenticator.js"
import * as StatusSyncConfig from "../stratix-gateway/config/StatusSyncConfig.js"
import * as Broadcast from "../stratix-gateway/fanout/Broadcast.js"
import type * as EventLog from "../stratix-gateway/log/EventLog.js"
import * as EventLogMemory from "../stratix-gateway/log/EventLogMemory.js"
import { withEvents } from "../stratix-gateway/Parts.js"
import { nextTurn } from "../stratix-gateway/runtime/EventLoop.js"
import * as StatusSyncServer from "../stratix-gateway/StatusSyncServer.js"
import * as NodeServer from "../stratix-gateway/transport/NodeServer.js"
import type { TestClients } from "./TestClients.js"
import * as TestClientsWs from "./TestClientsWs.js"
import * as TransportMemory from "./TransportMemory.js"

/** Everything a test can ask for.
 * @since 0.1.0
 * @category models */
export type Services =
  | StatusSyncServer.Services
  | EventLog.EventLog
  | Authenticator.Authenticator
  | StatusSyncConfig.StatusSyncConfig
  | TestClients

/** Nothing can be awaited under a stopped clock, so by default the end of a test terminates open connections at once. And everything happens within one second, so there are no rates by default. */
const testDefaults = { drainTimeout: "0 millis", handshakeRate: 0, messageRate: 0, publishRate: 0 } as const

/** An authenticator for the service under test. */
type GivenAuthenticator = Layer.Layer<
  Authenticator.Authenticator,
  Authenticator.AuthenticatorError,
  StatusSyncConfig.StatusSyncConfig
>

/** Settings, and a log and event types of your own.
 * @since 0.1.0
 * @category models */
export type Options = StatusSyncServer.Options<unknown, StatusSyncConfig.StatusSyncConfig>

/** The service over memory: no sockets, no real time; `TestClock` moves everything. Every client is let in, unless an authenticator is given.
 * @since 0.1.0
 * @category layers */
export const layerWith = (
  { events, log = EventLogMemory.layer, ...options }: Options = {},
  authenticator: GivenAuthenticator = Authenticator.layerAllowAll
): Layer.Layer<Services> =>
  withEvents(StatusSyncServer.layerCore, { events }).pipe(
    Layer.provideMerge(Layer.mergeAll(TransportMemory.layer, log)),
    Layer.provideMerge(authenticator),
    Layer.provideMerge(StatusSyncConfig.layer({ ...testDefaults, ...options })),
    Layer.orDie
  )

/** The service over memory, with the default settings.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Services> = layerWith()

/** The service over real sockets on a free port of 127.0.0.1. Time is whatever clock the test runs on. Every client is let in, unless an authenticator is given.
 * @since 0.1.0
 * @category layers */
export const layerWs = (
  { events, log, ...options }: Options = {},
  authenticator: GivenAuthenticator = Authenticator.layerAllowAll
): Layer.Layer<Services | NodeServer.NodeServer> =>
  TestClientsWs.layer.pipe(
    Layer.provideMerge(StatusSyncServer.layerOn(NodeServer.layer, { events, log })),
    Layer.provideMerge(authenticator),
    Layer.provideMerge(StatusSyncConfig.layer({ ...testDefaults, port: 0, ...options })),
    Layer.orDie
  )

/** Completes once everything published so far was written to every client that can take it. Clients that stalled, as one does that is frozen long enough, are not waited for.
 * @since 0.1.0
 * @category effects */
export const settled: Effect.Effect<void, never, Broadcast.Broadcast> = Effect.flatMap(
  Broadcast.Broadcast,
  (broadcast) =>
    Effect.zipRight(
      broadcast.flush,
      // Catch-ups take their steps turn by turn.
      Effect.repeat(nextTurn, { until: () => broadcast.stats().behind === 0 })
    )
)
