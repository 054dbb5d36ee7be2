/**
 * What a client holds of the limits, or why it gets nothing.
 *
 * @since 0.1.0
 */
import type { RefusalReason } from "../telemetry/Metrics.js"

/** A limit was reached, and when to come back.
 * @since 0.1.0
 * @category models */
export interface LimitExceeded {
  readonly reason: RefusalReason
  readonly status: 429 | 503
  readonly message: string
  readonly retryAfterSeconds: number
}

/** How a handshake ended; `undecided`: not by a fault of the client.
 * @since 0.1.0
 * @category models */
export type HandshakeOutcome = "admitted" | "refused" | "undecided"

/** Counts a handshake, and then the connection it becomes, towards the limits.
 * @since 0.1.0
 * @category models */
export interface Permit {
  /** The handshake is over. What is refused for the client's own fault costs its address more than one that is let in. */
  readonly handshakeDone: (outcome: HandshakeOutcome) => void
  /** Gives the permit back. Calling it again does nothing. */
  readonly release: () => void
}
