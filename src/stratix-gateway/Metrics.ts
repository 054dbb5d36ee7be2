/**
 * The metrics of the gateway, as module constants.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

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
  /** `maxHandshakes` (503). */
  "handshakes",
  /** `handshakeRate` (503). */
  "handshake_rate",
  /** `handshakeTimeout` or `requestTimeout` (408, or 503 where the authenticator was too slow). */
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

/** Requests, messages and connections that were refused or ended for cause, by `reason`.
 * @since 0.1.0
 * @category metrics */
export const refusals = Metric.counter("stratix_refusals_total", {
  description: "Requests, messages and connections that were refused or ended for cause, by reason",
  incremental: true
})
