/**
 * How true the screen is.
 *
 * @since 0.1.0
 */

/** Why a client is closed: `asked` by `close()`; `ended` by the gateway (1000); `unauthorized` without a token function to ask for
 * another token (4401); `forbidden` (4403); `rejected` for what it sent (1003, 1007, 1008, 1009); `failed`: this platform
 * does not take the address or the token.
 * @since 0.1.0
 * @category models */
export type ClosedReason = "asked" | "ended" | "unauthorized" | "forbidden" | "rejected" | "failed"

/** It is over: the client does not come back by itself.
 * @since 0.1.0
 * @category models */
export interface Closed {
  readonly _tag: "closed"
  readonly reason: ClosedReason
  /** The close code of the gateway, where there was one. */
  readonly code?: number
  readonly detail: string
}

/** How true what is shown is. `since` is the last moment it was known to be true (milliseconds since the epoch, this machine's clock);
 * before the first time, when the client began.
 *
 * - `live`: it is the truth.
 * - `catching-up`: connecting for the first time, or connected and being brought up to date.
 * - `stale`: connected as far as anybody knows, but the gateway is silent for too long.
 * - `reconnecting`: not connected; `attempt` counts from 1.
 * - `closed`: it is over.
 *
 * @since 0.1.0
 * @category models */
export type Freshness =
  | { readonly _tag: "live" }
  | { readonly _tag: "catching-up" }
  | { readonly _tag: "stale"; readonly since: number }
  | { readonly _tag: "reconnecting"; readonly since: number; readonly attempt: number }
  | Closed

/** @since 0.1.0
 * @category constructors */
export const LIVE: Freshness = { _tag: "live" }

/** @since 0.1.0
 * @category constructors */
export const CATCHING_UP: Freshness = { _tag: "catching-up" }
