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
  AGENT_STATUS_UPDATE,
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
  /** Another method than GET on the WebSocket (405). */
  "method",
  /** Not an upgrade to WebSocket 13 (426). */
  "upgrade_required",
  /** A web page of an origin that is not allowed (403). */
  "origin",
  /** A `Host` that is neither this machine nor listed (403). */
  "host",
  /** No token, or not a good one (401). */
  "unauthenticated",
  /** A permission that the token does not give (403). */
  "forbidden",
  /** Nobody could tell whether the token is good (503). */
  "unavailable",
  /** The gateway drains (503). */
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
  /** `maxFragments` (1008). */
  "fragments",
  /** Ten messages within ten seconds that were not understood (1008). */
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

/** What an event is to `events`, and nothing else: publishers may invent types, and a label with an open set would grow without end.
 * @since 0.1.0
 * @category labels */
export const eventKinds = ["agent_status_update", "command_status_update", "agent_create", "other"] as const

/** @since 0.1.0
 * @category labels */
export type EventKind = (typeof eventKinds)[number]

/** What an event of this type is to `events`.
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
    default:
      return "other"
  }
}

/** The labels of `leaves`: the close codes of docs/PROTOCOL.md, those that stand for none (1005 and 1006), and the rest: clients may invent codes.
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

/** What a close code is to `leaves`.
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

/** Requests, messages and connections that were refused or ended for cause, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const refusals = counter(
  "stratix_refusals_total",
  "Requests, messages and connections that were refused or ended for cause, by reason"
)

/** Connections that are open, by `state`.
 * @since 0.1.0
 * @category metrics */
export const connections = gauge(
  "stratix_connections",
  "Connections that are open, by state: live (at the head), stalled (not taking its bytes), behind (catching up)"
)

/** Connections that were opened, by `protocol`.
 * @since 0.1.0
 * @category metrics */
export const joins = counter("stratix_joins_total", "Connections that were opened, by protocol")

/** Connections that ended, by close `code`.
 * @since 0.1.0
 * @category metrics */
export const leaves = counter("stratix_leaves_total", "Connections that ended, by close code; 1006: without one")

/** Connections that the gateway ended without a close frame, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const terminations = counter(
  "stratix_terminations_total",
  "Connections that the gateway ended without a close frame: silent (no sign of life) or stalled (took no bytes)"
)

/** Events that were published, by `type`.
 * @since 0.1.0
 * @category metrics */
export const events = counter("stratix_events_total", "Events that were published, by type")

/** Events times the connections they were written to.
 * @since 0.1.0
 * @category metrics */
export const deliveries = counter("stratix_deliveries_total", "Events times the connections they were written to")

/** Bytes of events, frames included.
 * @since 0.1.0
 * @category metrics */
export const sentBytes = counter(
  "stratix_sent_bytes_total",
  "Bytes of events that were written to sockets, with frames"
)

/** Flushes of the fan-out.
 * @since 0.1.0
 * @category metrics */
export const flushes = counter(
  "stratix_flushes_total",
  "Flushes of the fan-out: one write for each connection concerned"
)

/** Events that shared a flush.
 * @since 0.1.0
 * @category metrics */
export const flushEvents = histogram(
  "stratix_flush_events",
  "Events that shared a flush",
  [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
)

/** From when the oldest event of a flush had its place in the log until after the last socket write of the flush.
 * @since 0.1.0
 * @category metrics */
export const publishToSocket = histogram(
  "stratix_publish_to_socket_seconds",
  "From the publication of the oldest event of a flush to after its last socket write, one observation per flush",
  [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
)

/** From a ping to its pong.
 * @since 0.1.0
 * @category metrics */
export const roundTrip = histogram(
  "stratix_round_trip_seconds",
  "From a ping to its pong",
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
)

/** Times that a connection went above the high-water mark.
 * @since 0.1.0
 * @category metrics */
export const stalls = counter("stratix_stalls_total", "Times that a connection took its bytes too slowly, and stalled")

/** Catch-ups that began, by `mode`; the first one of a connection is among them.
 * @since 0.1.0
 * @category metrics */
export const catchUps = counter(
  "stratix_catch_ups_total",
  "Catch-ups that began, by mode, those of new connections included"
)

/** Times that a connection fell behind the history.
 * @since 0.1.0
 * @category metrics */
export const conflations = counter(
  "stratix_conflations_total",
  "Times that a connection fell behind the history and was given the newest event of each key only"
)

/** Events without a key that a catch-up had to leave out.
 * @since 0.1.0
 * @category metrics */
export const lostEvents = counter(
  "stratix_lost_events_total",
  "Events without a key that were left out for a connection, added over all connections"
)

/** How far behind the connection is that is farthest behind; those that have not caught up for the first time are not counted.
 * @since 0.1.0
 * @category metrics */
export const maxLagEvents = gauge(
  "stratix_max_lag_events",
  "How far the connection that is farthest behind is behind, in events"
)

/** The age of the oldest event that some connection still has to be given.
 * @since 0.1.0
 * @category metrics */
export const maxLagSeconds = gauge(
  "stratix_max_lag_seconds",
  "Age of the oldest event that some connection still has to be given"
)

/** Bytes that are not yet with the operating system, of connections that are not live.
 * @since 0.1.0
 * @category metrics */
export const unsentBytes = gauge(
  "stratix_unsent_bytes",
  "Bytes that wait in this process for connections that are stalled or behind"
)

/** Groups of connections that share a buffer.
 * @since 0.1.0
 * @category metrics */
export const groups = gauge(
  "stratix_groups",
  "Groups of connections with equal filter, protocol and compression: each is framed once"
)

/** Events in the history.
 * @since 0.1.0
 * @category metrics */
export const historyEvents = gauge("stratix_history_events", "Events in the history, from which catch-ups are exact")

/** Size of the history, in characters of encoded events.
 * @since 0.1.0
 * @category metrics */
export const historyBytes = gauge("stratix_history_bytes", "Size of the history, in characters of encoded events")

/** Keys whose newest event is kept.
 * @since 0.1.0
 * @category metrics */
export const keys = gauge("stratix_keys", "Keys whose newest event is kept")

/** Keys that were let go, by `kind`.
 * @since 0.1.0
 * @category metrics */
export const keysDropped = counter(
  "stratix_keys_dropped_total",
  "Keys that were let go: finished commands by age or number, unfinished ones because there were too many keys"
)

/** Seconds that the event loop of the process worked. Its rate is how busy the one thread is that everything runs on.
 * @since 0.1.0
 * @category metrics */
export const eventLoopActive = counter(
  "stratix_event_loop_active_seconds_total",
  "Seconds that the event loop of the process was at work; at a rate of 1 it has no more to give"
)

/** Resident memory of the process.
 * @since 0.1.0
 * @category metrics */
export const residentMemory = gauge("stratix_resident_memory_bytes", "Resident memory of the process")

/** Makes every metric and every label known to Effect's registry at zero, so that a reader sees what has not happened yet, too.
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
    conflations,
    lostEvents,
    maxLagEvents,
    maxLagSeconds,
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
    [events, "type", eventKinds],
    [catchUps, "mode", SyncMode.literals],
    [keysDropped, "kind", droppedKinds]
  ] as const
  for (const [metric, name, values] of labels) {
    for (const value of values) metric.unsafeValue([MetricLabel.make(name, value)])
  }
}
