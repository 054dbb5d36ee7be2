/**
 * The metrics of the gateway, as module constants.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  SyncMode
} from "../../stratix-core/stratix-protocol.js"

/** Why something was refused: the labels of `refusals`, and no others.
 * @since 0.1.0
 * @category labels */
export const refusalReasons = [
  /** A handshake or a body that is not well-formed (400). */
  "malformed",
  /** A WebSocket at another path (404). */
  "not_found",
  /** A method other than GET on the WebSocket (405). */
  "method",
  /** Not an upgrade to WebSocket 13 (426). */
  "upgrade_required",
  /** A web page of an origin that is not allowed (403). */
  "origin",
  /** A `Host` that is neither this machine nor listed (403). */
  "host",
  /** No token, or an invalid one (401). */
  "unauthenticated",
  /** The token lacks the permission (403). */
  "forbidden",
  /** The token could not be checked (503). */
  "unavailable",
  /** The gateway is draining (503). */
  "closing",
  /** `maxConnections` (503). */
  "connections",
  /** `maxConnectionsPerAddress` (429). */
  "connections_per_address",
  /** More TCP connections than all limits together account for (dropped). */
  "sockets",
  /** More requests on one socket than may wait for the answer before them (its end). */
  "pipelined",
  /** `maxHandshakes` (503). */
  "handshakes",
  /** `handshakeRate` (503). */
  "handshake_rate",
  /** `handshakeTimeout` or `requestTimeout` (408, or 503 where the authenticator was too slow); `responseTimeout` (the socket's end). */
  "timeout",
  /** `maxHeaderBytes` (431). */
  "header_size",
  /** `maxMessageBytes` (1009). */
  "message_size",
  /** `messageRate` (1008). */
  "message_rate",
  /** `filterRate` (`stratix:error`). */
  "filter_rate",
  /** `maxFragments` (1008). */
  "fragments",
  /** Ten malformed messages within ten seconds (1008). */
  "malformed_messages",
  /** `maxFilterValues` (400, or `stratix:error`). */
  "filter_size",
  /** `maxBodyBytes` (413). */
  "body_size",
  /** More events in one request than `MAX_EVENTS` (400). */
  "array_length",
  /** `publishRate` (429). */
  "publish_rate",
  /** The token of a connection expired (4401). */
  "expired",
  /** The principal of a connection was revoked (4401). */
  "revoked"
] as const

/** @since 0.1.0
 * @category labels */
export type RefusalReason = (typeof refusalReasons)[number]

/** The labels of `events`. Publishers may invent types, and a label with an open set would grow without bound.
 * @since 0.1.0
 * @category labels */
export const eventKinds = [
  "agent_status_update",
  "command_status_update",
  "agent_create",
  "agent_remove",
  "command_remove",
  "other"
] as const

/** @since 0.1.0
 * @category labels */
export type EventKind = (typeof eventKinds)[number]

/** The label of an event type.
 * @since 0.1.0
 * @category labels */
export const eventKind = (eventType: string): EventKind => {
  switch (eventType) {
    case AGENT_STATUS_UPDATE:
      return "agent_status_update"
    case COMMAND_STATUS_UPDATE:
      return "command_status_update"
    case AGENT_CREATE:
      return "agent_create"
    case AGENT_REMOVE:
      return "agent_remove"
    case COMMAND_REMOVE:
      return "command_remove"
    default:
      return "other"
  }
}

/** The labels of `leaves`: the close codes of docs/PROTOCOL.md, those that mean no code (1005 and 1006), and `other`: clients may invent codes.
 * @since 0.1.0
 * @category labels */
export const leaveCodes = [
  "1000",
  "1001",
  "1002",
  "1003",
  "1005",
  "1006",
  "1007",
  "1008",
  "1009",
  "1012",
  "1013",
  "4401",
  "4403",
  "other"
] as const

/** @since 0.1.0
 * @category labels */
export type LeaveCode = (typeof leaveCodes)[number]

/** The label of a close code.
 * @since 0.1.0
 * @category labels */
export const leaveCode = (code: number): LeaveCode => leaveCodes.find((known) => known === String(code)) ?? "other"

/** Why the gateway ended a connection without a close frame: the labels of `terminations`.
 * @since 0.1.0
 * @category labels */
export const terminationReasons = [
  /** No sign of life for `heartbeatTimeout`. */
  "silent",
  /** Above the high-water mark for `stallTimeout`. */
  "stalled"
] as const

/** @since 0.1.0
 * @category labels */
export type TerminationReason = (typeof terminationReasons)[number]

/** Why a client is found slow: the labels of `slowClients`.
 * @since 0.1.0
 * @category labels */
export const slowReasons = [
  /** Its socket has been full for five seconds. */
  "socket",
  /** What its screen shows is more than five seconds old, by its own report. */
  "screen"
] as const

/** @since 0.1.0
 * @category labels */
export type SlowReason = (typeof slowReasons)[number]

/** The labels of `joins`.
 * @since 0.1.0
 * @category labels */
export const protocols = ["plain", "sync"] as const

/** The labels of `connections`; see `Broadcast.Lag`.
 * @since 0.1.0
 * @category labels */
export const connectionStates = ["live", "stalled", "behind"] as const

/** The labels of `keysDropped`: finished commands, by age or above their cap; any other key, above the cap of all keys.
 * @since 0.1.0
 * @category labels */
export const droppedKinds = ["finished", "unfinished"] as const

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
    eventLoopActive,
    residentMemory
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
    [keysDropped, "kind", droppedKinds]
  ] as const
  for (const [metric, name, values] of labels) {
    for (const value of values) metric.unsafeValue([MetricLabel.make(name, value)])
  }
}
