/**
 * What leases, age and caps ask for, as events of the log's own: for the owner of a log who has its mirror.
 */
import type { Draft, LogEntry } from "../EventLog.js"
import type { Mirror } from "./Mirror.js"

/** Milliseconds by which a timer is late only where the whole process was: leases run their full length once more, as after a restart. */
const PAUSE = 1000

/** How many are appended at a time, in a few milliseconds at the most; what is left waits until others had their turn. */
export const AT_ONCE = 250

/** Appends them, and knows when the next is due. */
export class OwnEvents {
  private looksAt = Number.POSITIVE_INFINITY

  /** @param append Gives an event its place at the head of the mirror. @param wall What stands in the event as its time. */
  constructor(
    private readonly mirror: Mirror,
    private readonly append: (draft: Draft, time: number) => LogEntry,
    private readonly wall: () => number
  ) {}

  /** When to look again. */
  get nextAt(): number {
    return this.looksAt
  }

  /** Appends what is due, or a part of it: then the next look is due now. As many as were just `published` may leave at once, so that no limit is passed by more and more. */
  due(time: number, published = 0): ReadonlyArray<LogEntry> {
    const most = Math.max(AT_ONCE, published)
    const entries: Array<LogEntry> = []
    this.awake(time)
    const timestamp = this.wall()
    const stampOf = () => ({ timestamp, requestId: `stratix-req-${timestamp}-log-${this.mirror.place.seq + 1}` })
    while (entries.length < most) {
      const draft = this.mirror.overdue(time, stampOf)
      if (draft === undefined) break
      entries.push(this.append(draft, time))
    }
    this.looksAt = Math.max(time, this.mirror.nextDue())
    return entries
  }

  /** Nothing can be appended now; who calls will look again as soon as it can. */
  defer(time: number): void {
    this.awake(time)
    this.looksAt = Number.POSITIVE_INFINITY
  }

  private awake(time: number): void {
    // The process did not run: renewals wait unread.
    if (time - this.looksAt > PAUSE) this.mirror.restartLeases(time)
  }
}
