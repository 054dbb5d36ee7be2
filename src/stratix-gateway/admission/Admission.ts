/**
 * An admitted upgrade: its protocol, filter, principal and permit.
 *
 * @since 0.1.0
 */
import type * as Authenticator from "../auth/Authenticator.js"
import { visibleNow } from "../auth/Principal.js"
import type * as Broadcast from "../fanout/Broadcast.js"
import * as Filter from "../log/Filter.js"
import type { Accepted } from "../transport/Transport.js"

/** How a client is served: events alone; with offsets, in batches; with offsets, as an event stream.
 * @since 0.1.0
 * @category models */
export type Protocol = "plain" | "sync" | "stream"

/** What a connection is made from.
 * @since 0.1.0
 * @category models */
export interface Admission extends Accepted {
  readonly protocol: Protocol
  /** Whether it gets offsets and `stratix:sync` messages: all but plain clients do. */
  readonly sync: boolean
  /** What the client asked for. */
  readonly filter: Filter.Filter
  readonly start: Broadcast.Start
  readonly principal: Authenticator.Principal
  /** Whose events it sees. */
  readonly tenant: string
  /** The most that the host application lets through, if it says so. */
  readonly within: Filter.Filter | undefined
}

/** What it may see now: what its principal may, within what the host application lets through. Throws where that is not known. */
export const visible = ({ principal, tenant, within }: Admission): Filter.Filter => {
  const most = visibleNow(principal)
  return Filter.inTenant(within === undefined ? most : Filter.intersect(most, within), tenant)
}
