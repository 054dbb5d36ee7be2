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
  readonly code?: number | undefined
  readonly detail: string
}

/** How true what is shown is, measured on what was processed here. `since` is the last moment it was known to be true (milliseconds since the
 * epoch, this machine's clock); before the first time, when the client began.
 *
 * - `connecting`: there has been no connection yet; `attempt` counts those that failed.
 * - `catching-up`: connected, and being brought up to date.
 * - `live`: it was the gateway's truth less than `maxLagMs` ago. `empty`: there is nothing to show.
 * - `restarted`: connected, but to a gateway with another log than before, which is empty. Until the first event.
 * - `cut-off`: connected, but the gateway has no contact with its log: what it says may be older than `maxLagMs`.
 * - `behind`: what is processed here was sent `ms` milliseconds ago, in whole seconds: at hundreds of messages a second, each has another lag.
 * - `stale`: not known to be disconnected, but nothing was heard for longer than `maxSilenceMs`.
 * - `reconnecting`: not connected any more; `attempt` counts from 1.
 * - `closed`: it is over.
 *
 * @since 0.1.0
 * @category models */
export type Freshness =
  | { readonly _tag: "connecting"; readonly since: number; readonly attempt: number }
  | { readonly _tag: "catching-up" }
  | { readonly _tag: "live"; readonly empty?: true }
  | { readonly _tag: "restarted" }
  | { readonly _tag: "cut-off"; readonly since: number }
  | { readonly _tag: "behind"; readonly ms: number }
  | { readonly _tag: "stale"; readonly since: number }
  | { readonly _tag: "reconnecting"; readonly since: number; readonly attempt: number }
  | Closed
