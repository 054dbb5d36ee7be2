/**
 * One connection to a gateway: its socket, and what the gateway promised on it.
 *
 * @since 0.1.0
 */
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../stratix-core/event-types.js"
import type { WebSocketLike } from "./Environment.js"

/** What a gateway does unless its welcome says otherwise (PROTOCOL.md §3). */
const INTERVAL = 30_000
const TIMEOUT = 60_000

/** A connection, from the attempt to its end.
 * @since 0.1.0
 * @category models */
export interface Link {
  socket: WebSocketLike | undefined
  readonly openedAt: number
  welcomedAt: number | undefined
  plain: boolean
  /** Whether silence means anything: a plain server need not answer a ping. */
  answers: boolean
  interval: number
  timeout: number
  /** A ping went out and nothing came in since. */
  pinged: boolean
  /** When a sign of life was asked for that must come within `connectTimeoutMs`. */
  probedAt: number | undefined
  /** How long the gateway asked to stay away. */
  retryAfter: number
}

/** A connection without a socket yet.
 * @since 0.1.0
 * @category constructors */
export const makeLink = (openedAt: number): Link => ({
  socket: undefined,
  openedAt,
  welcomedAt: undefined,
  plain: false,
  answers: false,
  interval: INTERVAL,
  timeout: TIMEOUT,
  pinged: false,
  probedAt: undefined,
  retryAfter: 0
})

/** The subprotocols to offer.
 * @since 0.1.0
 * @category conversions */
export const protocolsFor = (mode: "sync" | "plain" | undefined, bearer: string | undefined): Array<string> => {
  const protocols: Array<string> = mode === "plain" ? [] : [SYNC_PROTOCOL]
  // A browser that offers anything must be answered with one of it.
  if (mode !== "plain" || bearer !== undefined) protocols.push(PLAIN_PROTOCOL)
  if (bearer !== undefined) protocols.push(BEARER_PROTOCOL_PREFIX + bearer)
  return protocols
}
