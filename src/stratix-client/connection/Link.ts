/**
 * One connection to a gateway: its socket, and what the gateway promised on it.
 */
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../../stratix-core/event-types.js"
import type { ConnectedMessage } from "../../stratix-core/stratix-protocol.js"
import type { WebSocketLike } from "../Environment.js"

/** What a gateway does unless its welcome says otherwise (PROTOCOL.md §3). */
const HEARTBEAT: Heartbeat = { intervalMs: 30_000, timeoutMs: 60_000 }

/** When a gateway says something, and when it gives a connection up. Where `keepAliveMs` is there, it says something at least so often. */
export type Heartbeat = NonNullable<ConnectedMessage["payload"]["heartbeat"]>

/** A connection, from the attempt to its end. Its moments are those of the monotonic clock, in milliseconds. */
export interface Link {
  socket?: WebSocketLike
  readonly openedAt: number
  /** When its socket was made, which may be after a token was had. */
  dialedAt: number
  welcomedAt?: number
  plain: boolean
  /** Whether silence means anything: a plain server need not answer a ping. */
  answers: boolean
  heartbeat: Heartbeat
  pingedAt: number
  /** When a sign of life was asked for that must come within `connectTimeoutMs`. */
  probedAt?: number | undefined
  /** How long the gateway asked to stay away. */
  retryAfterMs: number
}

/** A connection without a socket yet. */
export const makeLink = (openedAt: number): Link => ({
  openedAt,
  dialedAt: openedAt,
  plain: false,
  answers: false,
  heartbeat: HEARTBEAT,
  pingedAt: openedAt,
  retryAfterMs: 0
})

/** The subprotocols to offer. */
export const protocolsFor = (mode: "sync" | "plain" | undefined, bearer: string | undefined): Array<string> => {
  const plain = bearer === undefined ? [PLAIN_PROTOCOL] : [PLAIN_PROTOCOL, BEARER_PROTOCOL_PREFIX + bearer]
  if (mode !== "plain") return [SYNC_PROTOCOL, ...plain]
  // A browser that offers anything must be answered with one of it.
  return bearer === undefined ? [] : plain
}
