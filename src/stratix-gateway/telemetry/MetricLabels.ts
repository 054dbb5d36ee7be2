/**
 * The labels of the metrics: closed sets.
 *
 * @since 0.1.0
 */
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE
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
export const protocols = ["plain", "sync", "stream"] as const

/** The labels of `connections`; see `Broadcast.Lag`.
 * @since 0.1.0
 * @category labels */
export const connectionStates = ["live", "stalled", "behind"] as const

/** The labels of `keysDropped`: finished commands, by age or above their cap; any other key, above the cap of all keys.
 * @since 0.1.0
 * @category labels */
export const droppedKinds = ["finished", "unfinished"] as const

/** The labels of `logFailures`: the events were not appended; they may have been.
 * @since 0.1.0
 * @category labels */
export const logFailureReasons = ["unavailable", "uncertain"] as const

/** @since 0.1.0
 * @category labels */
export type LogFailure = (typeof logFailureReasons)[number]
