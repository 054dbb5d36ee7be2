/**
 * Whether a connection is still alive, by how much time has passed and not by how often a timer ran: background tabs are throttled and
 * machines are suspended.
 */
import type { Link } from "./Link.js"

/** Words of the gateway that may be missing before what is shown may not be the truth any more: one, and half of the next. */
const MISSED = 2.5

/** Silence after which what is shown may not be the truth any more, in milliseconds, unless the caller chose it. */
export const staleAfter = ({ heartbeat: { intervalMs, keepAliveMs, timeoutMs } }: Link): number =>
  keepAliveMs ? MISSED * keepAliveMs : (intervalMs + timeoutMs) / 2

/** Looks at a welcomed connection that was last heard at `heardAt`, and is `stale` after so many milliseconds. A probe must be answered within
 * `patience`. Calls `ping` where it has to be asked for a word. Returns the milliseconds until it has to be looked at again; 0: it is lost. */
export const examine = (
  { answers, heartbeat: { intervalMs, timeoutMs }, pingedAt, plain, probedAt }: Link,
  heardAt: number,
  time: number,
  stale: number,
  patience: number,
  ping: () => void
): number => {
  const silence = time - heardAt
  // A plain server says nothing by itself.
  const pingAfter = plain ? intervalMs : stale
  const lostAfter = probedAt === undefined ? timeoutMs : Math.min(timeoutMs, probedAt + patience - heardAt)
  if (answers && silence >= lostAfter) return 0
  if (silence >= pingAfter && pingedAt <= heardAt) ping()
  return Math.min(...[pingAfter, stale, lostAfter, silence + intervalMs].filter((at) => at > silence)) - silence
}
