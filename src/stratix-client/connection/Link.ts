/**
 * One connection to a gateway: what carries it, and what the gateway promised on it.
 */
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../../stratix-core/event-types.js"
import type { ConnectedMessage } from "../../stratix-core/stratix-protocol.js"

/** What a gateway does unless its welcome says otherwise (PROTOCOL.md §3). */
const HEARTBEAT: Heartbeat = { intervalMs: 30_000, timeoutMs: 60_000 }

/** When a gateway says something, and when it gives a connection up. Where `keepAliveMs` is there, it says something at least so often. */
export type Heartbeat = NonNullable<ConnectedMessage["payload"]["heartbeat"]>

/** What carries a link: a WebSocket, or an event stream, on which nothing can be sent. */
export interface Carrier {
  readonly protocol: string
  send(data: string): void
  close(code?: number): void
}

/** A connection, from the attempt to its end. Its moments are those of the monotonic clock, in milliseconds. */
export interface Link {
  /** Whether it is an event stream: the gateway cannot be asked anything over it. */
  readonly isStream: boolean
  carrier?: Carrier | undefined
  readonly openedAt: number
  /** When its carrier was made, which may be after a token was had. */
  dialedAt: number
  welcomedAt?: number
  plain?: boolean
  /** Whether silence means anything: a plain server need not answer a ping. */
  answers?: boolean
  heartbeat: Heartbeat
  pingedAt: number
  /** When a sign of life was asked for that must come within `connectTimeoutMs`. */
  probedAt?: number | undefined
  /** How long the gateway asked to stay away. */
  retryAfterMs?: number
}

/** A connection without a carrier yet. */
export const makeLink = (openedAt: number, isStream: boolean): Link => ({
  isStream,
  openedAt,
  dialedAt: openedAt,
  heartbeat: HEARTBEAT,
  pingedAt: openedAt
})

/** The subprotocols to offer. */
export const protocolsFor = (mode: "sync" | "plain" | undefined, bearer: string | undefined): Array<string> => {
  const plain = bearer ? [PLAIN_PROTOCOL, BEARER_PROTOCOL_PREFIX + bearer] : [PLAIN_PROTOCOL]
  if (mode !== "plain") return [SYNC_PROTOCOL, ...plain]
  // A browser that offers anything must be answered with one of it.
  return bearer ? plain : []
}
