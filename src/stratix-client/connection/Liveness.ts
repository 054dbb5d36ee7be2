/**
 * Whether a connection is still alive, by how much time has passed and not by how often a timer ran: background tabs are throttled and
 * machines are suspended.
 *
 * @since 0.1.0
 */
import type { Link } from "./Link.js"

/** Words of the gateway that may be missing before what is shown may not be the truth any more: one, and half of the next. */
const MISSED = 2.5

/** Silence after which what is shown may not be the truth any more, in milliseconds, unless the caller chose it.
 * @since 0.1.0
 * @category accessors */
export const staleAfter = ({ heartbeat }: Link): number =>
  heartbeat.keepAliveMs ? MISSED * heartbeat.keepAliveMs : (heartbeat.intervalMs + heartbeat.timeoutMs) / 2

/** What to do about a welcomed connection.
 * @since 0.1.0
 * @category models */
export interface Verdict {
  readonly needsPing: boolean
  /** Milliseconds until it has to be looked at again; `undefined`: it is lost. */
  readonly wait: number | undefined
}

/** Looks at a connection that was last heard at `heardAt`, and is `stale` after so many milliseconds. A probe must be answered within `patience`.
 * @since 0.1.0
 * @category accessors */
export const examine = (link: Link, heardAt: number, time: number, stale: number, patience: number): Verdict => {
  const { answers, heartbeat, pingedAt, plain, probedAt } = link
  const { intervalMs, timeoutMs } = heartbeat
  const silence = time - heardAt
  const probeEnds = probedAt === undefined ? timeoutMs : probedAt + patience - heardAt
  // A plain server says nothing by itself.
  const pingAfter = plain ? intervalMs : stale
  const next = [pingAfter, stale, timeoutMs, probeEnds, silence + intervalMs].filter((at) => at > silence)
  return {
    needsPing: silence >= pingAfter && pingedAt <= heardAt,
    wait: answers && silence >= Math.min(timeoutMs, probeEnds) ? undefined : Math.min(...next) - silence
  }
}
