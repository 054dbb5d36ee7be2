/**
 * An admitted upgrade: its protocol, filter, principal and permit.
 *
 * @since 0.1.0
 */
import type * as Authenticator from "../auth/Authenticator.js"
import type * as Broadcast from "../fanout/Broadcast.js"
import type * as Filter from "../log/Filter.js"
import type { Accepted } from "../transport/Transport.js"

/** What a connection is made from.
 * @since 0.1.0
 * @category models */
export interface Admission extends Accepted {
  readonly sync: boolean
  /** What the client asked for. */
  readonly filter: Filter.Filter
  readonly start: Broadcast.Start
  readonly principal: Authenticator.Principal
  /** What it may see: what its principal may, within what the host application lets through. */
  readonly visible: Filter.Filter
}
