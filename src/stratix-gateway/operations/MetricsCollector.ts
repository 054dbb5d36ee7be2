/**
 * Copies the gateway's own counts into Effect's metrics.
 *
 * The fan-out and the log keep their counts as plain numbers, which costs an event nothing. They are read here on request, and every few
 * seconds during activity, for exporters that only look into Effect's registry. All gateways in a process add to the same metrics.
 *
 * @since 0.1.0
 */
import { performance } from "node:perf_hooks"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { AgentStatus, CommandStatus, SyncMode } from "../../stratix-core/stratix-protocol.js"
import * as Connections from "../api/websocket/Connections.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Broadcast from "../fanout/Broadcast.js"
import * as EventLog from "../log/EventLog.js"
import * as Metrics from "../telemetry/Metrics.js"

/** Reads the counts of this gateway.
 * @since 0.1.0
 * @category tags */
export class MetricsCollector extends Context.Tag("stratix/Collector")<
  MetricsCollector,
  {
    /** Brings the metrics in Effect's registry up to date. */
    readonly collect: Effect.Effect<void>
  }
>() {}

/** Exporters send about every minute; the metrics of an active gateway are no older than this. */
const EVERY = "10 seconds"

interface Reading {
  readonly broadcast: Broadcast.Stats
  readonly farthest: Broadcast.MaxLag
  readonly log: EventLog.Stats
  readonly health: EventLog.Health
}

/** A count of this gateway, and how much of it the metric has been told. */
interface Part {
  readonly read: (reading: Reading) => number
  readonly metric: Metric.Metric.Counter<number> | Metric.Metric.Gauge<number>
  told: number
}

/** Adds the change since the last time to the metric. */
const tell = (part: Part, now: number): void => {
  part.metric.unsafeModify(now - part.told, [])
  part.told = now
}

const part = (metric: Part["metric"], read: Part["read"]): Part => ({ metric, read, told: 0 })

const counts = (): ReadonlyArray<Part> => {
  return [
    part(Metrics.flushes, ({ broadcast }) => broadcast.flushes),
    part(Metrics.deliveries, ({ broadcast }) => broadcast.deliveries),
    part(Metrics.sentBytes, ({ broadcast }) => broadcast.bytes),
    part(Metrics.stalls, ({ broadcast }) => broadcast.stalls),
    part(Metrics.conflations, ({ broadcast }) => broadcast.conflations),
    part(Metrics.lostEvents, ({ broadcast }) => broadcast.lost),
    ...SyncMode.literals.map((mode) =>
      part(Metric.tagged(Metrics.catchUps, "mode", mode), ({ broadcast }) => broadcast.catchUps[mode])
    ),
    ...Metrics.eventKinds.map((kind) =>
      part(Metric.tagged(Metrics.events, "type", kind), ({ log }) => log.appended[kind])
    ),
    part(Metric.tagged(Metrics.keysDropped, "kind", "finished"), ({ log }) => log.finishedDropped),
    part(Metric.tagged(Metrics.keysDropped, "kind", "unfinished"), ({ log }) => log.keysDropped),
    part(Metrics.leasesExpired, ({ log }) => log.leasesExpired),
    part(Metrics.logEpochs, ({ health }) => health.epochChanges),
    part(Metrics.logRebuilds, ({ health }) => health.rebuilds),
    ...Metrics.logFailureReasons.map((reason) =>
      part(Metric.tagged(Metrics.logFailures, "reason", reason), ({ health }) => health.failures[reason])
    )
  ]
}

const levels = (): ReadonlyArray<Part> => {
  return [
    ...Metrics.connectionStates.map((state) =>
      part(Metric.tagged(Metrics.connections, "state", state), ({ broadcast }) => broadcast[state])
    ),
    part(Metrics.groups, ({ broadcast }) => broadcast.groups),
    part(Metrics.unsentBytes, ({ farthest }) => farthest.unsentBytes),
    part(Metrics.historyEvents, ({ log }) => log.historyEvents),
    part(Metrics.historyBytes, ({ log }) => log.historyBytes),
    part(Metrics.keys, ({ log }) => log.keys),
    ...AgentStatus.literals.map((status) =>
      part(Metric.tagged(Metrics.agents, "status", status), ({ log }) => log.agents.get(status) ?? 0)
    ),
    ...CommandStatus.literals.map((status) =>
      part(Metric.tagged(Metrics.commands, "status", status), ({ log }) => log.commands.get(status) ?? 0)
    ),
    part(Metrics.removalMarks, ({ log }) => log.removalMarks),
    part(Metrics.leases, ({ log }) => log.leases),
    part(Metrics.logStale, ({ health }) => health.staleMillis / 1000),
    part(Metrics.logUnread, ({ health }) => health.unread)
  ]
}

/** A maximum over two gateways of one process would need to ask both: it is that of the gateway asked last. */
const reportMaxima = ({ events, millis }: EventLog.Lag, screenMillis: number): void => {
  Metrics.maxLagEvents.unsafeUpdate(events, [])
  Metrics.maxLagSeconds.unsafeUpdate(millis / 1000, [])
  Metrics.maxScreenLagSeconds.unsafeUpdate(screenMillis / 1000, [])
}

/** Metrics of the process, however many gateways it has. */
export const reportProcess = (): void => {
  const active = performance.eventLoopUtilization().active / 1000
  Metrics.eventLoopActive.unsafeUpdate(active - Metrics.eventLoopActive.unsafeValue([]).count, [])
  Metrics.residentMemory.unsafeUpdate(process.memoryUsage.rss(), [])
  Metrics.startTime.unsafeUpdate(performance.timeOrigin / 1000, [])
  Metrics.buildInfo.unsafeUpdate(1, [])
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const broadcast = yield* Broadcast.Broadcast
  const log = yield* EventLog.EventLog
  const connections = yield* Connections.Connections
  Metrics.register()
  const counted = counts()
  const levelled = levels()

  const collect = Effect.map(connections.all, (all) => {
    const reading = {
      broadcast: broadcast.stats(),
      farthest: broadcast.maxLag(),
      log: log.stats(),
      health: log.health()
    }
    for (const part of counted) tell(part, part.read(reading))
    for (const part of levelled) tell(part, part.read(reading))
    reportMaxima(
      reading.farthest,
      all.reduce((most, { screen }) => Math.max(most, screen?.lagMillis ?? 0), 0)
    )
    reportProcess()
  })

  // With the metrics off as well, where they were asked for: what a gateway holds leaves the process with it.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const part of levelled) tell(part, 0)
      reportMaxima({ events: 0, millis: 0 }, 0)
    })
  )
  if (config.metrics) {
    yield* Effect.addFinalizer(() => collect)
    yield* broadcast.activity.pipe(
      Effect.zipRight(Effect.sleep(EVERY)),
      Effect.zipRight(collect),
      Effect.forever,
      Effect.forkScoped,
      Effect.interruptible
    )
  }
  return MetricsCollector.of({ collect })
})

/** Reads the counts on request, and every ten seconds during activity if `metrics` is on.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<
  MetricsCollector,
  never,
  StatusSyncConfig.StatusSyncConfig | Broadcast.Broadcast | Connections.Connections | EventLog.EventLog
> = Layer.scoped(MetricsCollector, make)
