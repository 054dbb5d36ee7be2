/**
 * The metrics of the gateway, as module constants.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import { AgentStatus, CommandStatus, SyncMode } from "../../stratix-core/stratix-protocol.js"
import { version } from "../runtime/Version.js"
import {
  connectionStates,
  droppedKinds,
  eventKinds,
  leaveCodes,
  logFailureReasons,
  protocols,
  refusalReasons,
  slowReasons,
  terminationReasons
} from "./MetricLabels.js"

export * from "./MetricLabels.js"

const counter = (name: string, description: string): Metric.Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

const gauge = (name: string, description: string): Metric.Metric.Gauge<number> => Metric.gauge(name, { description })

const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>) =>
  Metric.histogram(name, MetricBoundaries.fromIterable(boundaries), description)

/** Requests, messages and connections refused or ended for cause, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const refusals = counter(
  "stratix_refusals_total",
  "Requests, messages and connections refused or ended for cause, by reason"
)

/** Open connections, by `state`.
 * @since 0.1.0
 * @category metrics */
export const connections = gauge(
  "stratix_connections",
  "Open connections, by state: live (at the head), stalled (not taking its bytes), behind (catching up)"
)

/** Connections opened, by `protocol`.
 * @since 0.1.0
 * @category metrics */
export const joins = counter("stratix_joins_total", "Connections opened, by protocol")

/** Connections ended, by close `code`.
 * @since 0.1.0
 * @category metrics */
export const leaves = counter("stratix_leaves_total", "Connections ended, by close code; 1006: without a close frame")

/** Connections terminated without a close frame, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const terminations = counter(
  "stratix_terminations_total",
  "Connections terminated without a close frame, by reason: silent (no sign of life) or stalled (took no bytes)"
)

/** Events published, by `type`.
 * @since 0.1.0
 * @category metrics */
export const events = counter("stratix_events_total", "Events published, by type")

/** Deliveries: each event counted once for each connection it was written to.
 * @since 0.1.0
 * @category metrics */
export const deliveries = counter(
  "stratix_deliveries_total",
  "Deliveries: each event counted once for each connection it was written to"
)

/** Bytes of events, frames included.
 * @since 0.1.0
 * @category metrics */
export const sentBytes = counter("stratix_sent_bytes_total", "Bytes of events written to sockets, frames included")

/** Flushes of the fan-out.
 * @since 0.1.0
 * @category metrics */
export const flushes = counter(
  "stratix_flushes_total",
  "Flushes of the fan-out: one write for each connection concerned"
)

/** Events per flush.
 * @since 0.1.0
 * @category metrics */
export const flushEvents = histogram(
  "stratix_flush_events",
  "Events per flush",
  [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
)

/** Time from the oldest event of a flush being in the log to the last socket write of the flush.
 * @since 0.1.0
 * @category metrics */
export const publishToSocket = histogram(
  "stratix_publish_to_socket_seconds",
  "Time from the publication of the oldest event of a flush to its last socket write; one observation per flush",
  [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
)

/** Time from a ping to its pong.
 * @since 0.1.0
 * @category metrics */
export const roundTrip = histogram(
  "stratix_round_trip_seconds",
  "Time from a ping to its pong",
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
)

/** Faults of the gateway's own while events were written.
 * @since 0.1.0
 * @category metrics */
export const fanoutFaults = counter(
  "stratix_fanout_faults_total",
  "Faults of the gateway's own while events were written; the connections concerned are caught up, or end"
)

/** Lines of the log that standard output did not take.
 * @since 0.1.0
 * @category metrics */
export const logLinesLost = counter(
  "stratix_log_lines_lost_total",
  "Lines of the log that could not be written: the disk is full, or the pipe is closed"
)

/** Times a connection exceeded the high-water mark.
 * @since 0.1.0
 * @category metrics */
export const stalls = counter("stratix_stalls_total", "Times a connection took its bytes too slowly and stalled")

/** Times a client was found slow, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const slowClients = counter(
  "stratix_slow_clients_total",
  "Times a client was found slow, by reason: socket (full for 5 seconds) or screen (5 seconds behind by its own report)"
)

/** Catch-ups begun, by `mode`, including the first one of each connection.
 * @since 0.1.0
 * @category metrics */
export const catchUps = counter(
  "stratix_catch_ups_total",
  "Catch-ups begun, by mode, including those of new connections"
)

/** Times a connection fell behind the history.
 * @since 0.1.0
 * @category metrics */
export const conflations = counter(
  "stratix_conflations_total",
  "Times a connection fell behind the history and was given only the newest event of each key"
)

/** Events without a key that catch-ups left out.
 * @since 0.1.0
 * @category metrics */
export const lostEvents = counter(
  "stratix_lost_events_total",
  "Events without a key left out for a connection, summed over all connections"
)

/** Lag of the connection that is farthest behind, not counting those in their first catch-up.
 * @since 0.1.0
 * @category metrics */
export const maxLagEvents = gauge("stratix_max_lag_events", "Lag of the connection that is farthest behind, in events")

/** Age of the oldest event not yet given to every connection.
 * @since 0.1.0
 * @category metrics */
export const maxLagSeconds = gauge(
  "stratix_max_lag_seconds",
  "Age of the oldest event not yet given to every connection"
)

/** Lag of the screen that is farthest behind, by the last report of each.
 * @since 0.1.0
 * @category metrics */
export const maxScreenLagSeconds = gauge(
  "stratix_max_screen_lag_seconds",
  "Age of the oldest event that some screen had not processed when it last reported"
)

/** Bytes not yet handed to the operating system, of connections that are not live.
 * @since 0.1.0
 * @category metrics */
export const unsentBytes = gauge(
  "stratix_unsent_bytes",
  "Bytes waiting in this process for connections that are stalled or behind"
)

/** Groups of connections that share a buffer.
 * @since 0.1.0
 * @category metrics */
export const groups = gauge(
  "stratix_groups",
  "Groups of connections with equal filter, protocol and compression; each event is framed once per group"
)

/** Events in the history.
 * @since 0.1.0
 * @category metrics */
export const historyEvents = gauge("stratix_history_events", "Events in the history, which allows exact catch-up")

/** Size of the history, in characters of encoded events.
 * @since 0.1.0
 * @category metrics */
export const historyBytes = gauge("stratix_history_bytes", "Size of the history, in characters of encoded events")

/** Keys whose newest event is kept.
 * @since 0.1.0
 * @category metrics */
export const keys = gauge("stratix_keys", "Keys whose newest event is kept")

/** Keys dropped, by `kind`.
 * @since 0.1.0
 * @category metrics */
export const keysDropped = counter(
  "stratix_keys_dropped_total",
  "Keys dropped, by kind: finished commands by age or number, unfinished ones because there were too many keys"
)

/** Agents that have a status, by `status`.
 * @since 0.1.0
 * @category metrics */
export const agents = gauge("stratix_agents", "Agents by status")

/** Commands that are held, by `status`.
 * @since 0.1.0
 * @category metrics */
export const commands = gauge("stratix_commands", "Commands by status; finished ones for as long as they are held")

/** Removals remembered for clients that come back.
 * @since 0.1.0
 * @category metrics */
export const removalMarks = gauge("stratix_removal_marks", "Removals remembered for clients that come back")

/** Agents that have a lease.
 * @since 0.1.0
 * @category metrics */
export const leases = gauge("stratix_leases", "Agents whose status has a lease")

/** Leases that expired.
 * @since 0.1.0
 * @category metrics */
export const leasesExpired = counter(
  "stratix_leases_expired_total",
  "Leases that were not renewed in time: the gateway published that the agent is offline"
)

/** Time since the engine of a shared log was last reached.
 * @since 0.1.0
 * @category metrics */
export const logStale = gauge(
  "stratix_log_stale_seconds",
  "Time for which the engine of the log has not been reached; 0 while it is"
)

/** Events not yet read from a shared log.
 * @since 0.1.0
 * @category metrics */
export const logUnread = gauge(
  "stratix_log_unread_events",
  "Events that the engine of the log has and this gateway has not read yet"
)

/** Epochs that began.
 * @since 0.1.0
 * @category metrics */
export const logEpochs = counter(
  "stratix_log_epochs_total",
  "Times that the engine of the log began another epoch: it was restarted, replaced or emptied"
)

/** Times that the whole log was read anew.
 * @since 0.1.0
 * @category metrics */
export const logRebuilds = counter(
  "stratix_log_rebuilds_total",
  "Times that the log was read anew, because it no longer leads on from what this gateway had"
)

/** Appends that failed, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const logFailures = counter(
  "stratix_log_failures_total",
  "Appends that failed, by reason: unavailable (nothing was appended) or uncertain (the engine did not say)"
)

/** Time the engine of a shared log took for a batch.
 * @since 0.1.0
 * @category metrics */
export const logAppend = histogram(
  "stratix_log_append_seconds",
  "Time the engine of the log took to append a batch; not there for a log in memory",
  [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
)

/** Seconds the event loop was active. Its rate is how busy the one thread is that everything runs on.
 * @since 0.1.0
 * @category metrics */
export const eventLoopActive = counter(
  "stratix_event_loop_active_seconds_total",
  "Seconds the event loop of the process was active; at a rate of 1 it is saturated"
)

/** Resident memory of the process.
 * @since 0.1.0
 * @category metrics */
export const residentMemory = gauge("stratix_resident_memory_bytes", "Resident memory of the process")

/** When this process started: what changes it is a restart.
 * @since 0.1.0
 * @category metrics */
export const startTime = gauge("stratix_start_time_seconds", "When the process started, in seconds since 1970")

/** What runs: always 1, by `version` and `node`.
 * @since 0.1.0
 * @category metrics */
export const buildInfo: Metric.Metric.Gauge<number> = gauge(
  "stratix_build_info",
  "What runs: version of the gateway and of Node"
).pipe(Metric.tagged("version", version), Metric.tagged("node", process.versions.node))

/** Registers every metric and label at zero, so that a scrape also shows what has not happened yet.
 * @since 0.1.0
 * @category registry */
export const register = (): void => {
  for (const metric of [
    deliveries,
    sentBytes,
    flushes,
    flushEvents,
    publishToSocket,
    roundTrip,
    stalls,
    fanoutFaults,
    logLinesLost,
    conflations,
    lostEvents,
    maxLagEvents,
    maxLagSeconds,
    maxScreenLagSeconds,
    unsentBytes,
    groups,
    historyEvents,
    historyBytes,
    keys,
    removalMarks,
    leases,
    leasesExpired,
    logStale,
    logUnread,
    logEpochs,
    logRebuilds,
    logAppend,
    eventLoopActive,
    residentMemory,
    startTime,
    buildInfo
  ]) {
    metric.unsafeValue([])
  }
  const labels = [
    [refusals, "reason", refusalReasons],
    [connections, "state", connectionStates],
    [joins, "protocol", protocols],
    [leaves, "code", leaveCodes],
    [terminations, "reason", terminationReasons],
    [slowClients, "reason", slowReasons],
    [events, "type", eventKinds],
    [catchUps, "mode", SyncMode.literals],
    [keysDropped, "kind", droppedKinds],
    [agents, "status", AgentStatus.literals],
    [commands, "status", CommandStatus.literals],
    [logFailures, "reason", logFailureReasons]
  ] as const
  for (const [metric, name, values] of labels) {
    for (const value of values) metric.unsafeValue([MetricLabel.make(name, value)])
  }
}
