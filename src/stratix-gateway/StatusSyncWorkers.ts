/**
 * A gateway of several processes on one port: workers serve the clients, and the primary holds the log.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Topic } from "./channel/Link.js"
import * as Primary from "./channel/Primary.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as EventLogs from "./EventLogs.js"
import type { EventLog, EventLogStartError } from "./log/EventLog.js"
import * as StatusSyncServer from "./StatusSyncServer.js"
import * as NodeServer from "./transport/NodeServer.js"
import * as Supervisor from "./workers/Supervisor.js"

export {
  /** A gateway with workers could not start.
   * @since 0.1.0
   * @category errors */
  WorkersError
} from "./workers/Supervisor.js"

/** Whether this process is a worker: it serves clients, and the one that started it holds the log.
 * @since 0.1.0
 * @category guards */
export const isWorker: boolean = Primary.isWorker

const worker = <A, E, R>(gateway: Layer.Layer<A, E, R>): Layer.Layer<never, E, R> =>
  Layer.suspend(() => {
    const connected = Primary.connect()
    const hello = Layer.effectDiscard(Effect.sync(() => connected.link.send(Topic.hello, [])))
    return Layer.provide(hello, gateway).pipe(
      Layer.provide(Layer.succeed(Primary.Primary, connected)),
      Layer.annotateLogs({ worker: connected.number })
    )
  })

const primary = <E, R>(
  log: Layer.Layer<EventLog, E, R>,
  port: number | undefined
): Layer.Layer<never, E | Supervisor.WorkersError, R | StatusSyncConfig.StatusSyncConfig> =>
  Layer.provide(Layer.scopedDiscard(Supervisor.make({ port })), log)

/** Parts of a gateway with workers.
 * @since 0.1.0
 * @category models */
export interface Options<E = never, R = never> {
  /** Processes that serve clients; `workers` of the settings by default. */
  readonly workers?: number
  /** The log; by default the one that the settings name. The primary builds it, and no worker does. */
  readonly log?: Layer.Layer<EventLog, E, R>
}

/**
 * A gateway of an application, by the environment, in as many processes as the settings say. The program is started once for each of them: this layer builds `gateway` in the workers,
 * and in the primary the log instead. With one process it is the gateway alone.
 *
 * @example
 * ```ts
 * const Gateway = StatusSyncServer.layerConfig.pipe(Layer.provide(Authenticator.layerConfig))
 *
 * NodeRuntime.runMain(Layer.launch(StatusSyncWorkers.layerConfig(Gateway, { workers: 4 })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <A, E, R, E2 = never, R2 = never>(
  gateway: Layer.Layer<A, E, R>,
  { log, workers }: Options<E2, R2> = {}
): Layer.Layer<
  never,
  E | E2 | StatusSyncConfig.ConfigInvalid | EventLogStartError | Supervisor.WorkersError,
  R | Exclude<R2, StatusSyncConfig.StatusSyncConfig>
> => {
  if (Primary.isWorker) return worker(gateway)
  const settings = StatusSyncConfig.layerConfigWith(workers === undefined ? {} : { workers })
  type Chosen = Layer.Layer<
    never,
    E | E2 | EventLogStartError | Supervisor.WorkersError,
    R | R2 | StatusSyncConfig.StatusSyncConfig
  >
  const chosen = Layer.unwrapEffect(
    Effect.map(
      StatusSyncConfig.StatusSyncConfig,
      (config): Chosen =>
        config.workers === 1
          ? Layer.discard(gateway)
          : primary<E2 | EventLogStartError, R2 | StatusSyncConfig.StatusSyncConfig>(
              log ?? EventLogs.layerConfig,
              undefined
            )
    )
  )
  return Layer.provide(chosen, settings)
}

/** Why the gateway of `npm start` does not start.
 * @since 0.1.0
 * @category models */
export type StartError = Layer.Layer.Error<typeof StatusSyncServer.layerStandAlone> | Supervisor.WorkersError

const alone: Layer.Layer<never, StartError> = Layer.discard(StatusSyncServer.layerStandAlone)

const together: Layer.Layer<never, StartError> = Layer.unwrapEffect(
  Effect.map(NodeServer.sharedPort, (port) => primary(EventLogs.layerConfig, port))
).pipe(Layer.provide(StatusSyncConfig.layerConfig))

/** The gateway of `npm start`, as `StatusSyncServer.layerStandAlone`, in as many processes as the settings say.
 * @since 0.1.0
 * @category layers */
export const layerStandAlone: Layer.Layer<never, StartError> = Layer.suspend(() =>
  Primary.isWorker
    ? worker(StatusSyncServer.layerStandAlone)
    : Layer.unwrapEffect(Effect.map(StatusSyncConfig.read, ({ workers }) => (workers === 1 ? alone : together)))
)
