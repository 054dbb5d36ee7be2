/**
 * Whether a connection is still alive, by how much time has passed and not by how often a timer ran: background tabs are throttled and
 * machines are suspended.
 *
 * @since 0.1.0
 */
import type { Link } from "./Link.js"

/** Silence after which what is shown may not be the truth any more, in milliseconds.
 * @since 0.1.0
 * @category accessors */
export const staleAfter = ({ interval, timeout }: Link): number => (interval + timeout) / 2

/** What to do about a welcomed connection.
 * @since 0.1.0
 * @category models */
export interface Verdict {
  readonly isLost: boolean
  readonly needsPing: boolean
  /** Milliseconds until it has to be looked at again. */
  readonly wait: number
}

/** Looks at a connection that was last heard at `heardAt`. A probe must be answered within `patience` milliseconds.
 * @since 0.1.0
 * @category accessors */
export const examine = (link: Link, heardAt: number, time: number, patience: number): Verdict => {
  const { answers, interval, pinged, plain, probedAt, timeout } = link
  const silence = time - heardAt
  const probeEnds = probedAt === undefined ? timeout : probedAt + patience - heardAt
  // A plain server says nothing by itself.
  const pingAfter = plain ? interval : staleAfter(link)
  const next = [pingAfter, staleAfter(link), timeout, probeEnds].filter((at) => at > silence)
  return {
    isLost: answers && silence >= Math.min(timeout, probeEnds),
    needsPing: silence >= pingAfter && !pinged,
    wait: Math.min(silence + interval, ...next) - silence
  }
}
