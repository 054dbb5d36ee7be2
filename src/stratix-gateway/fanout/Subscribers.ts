/**
 * Everybody the fan-out writes to: in groups of equal filter and form, at the head or away from it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Offset } from "../../stratix-core/stratix-protocol.js"
import type { Lag, LogEntry } from "../log/EventLog.js"
import type * as Filter from "../log/Filter.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import type { Form } from "../transport/Form.js"
import type { TransportSocket } from "../transport/Transport.js"
import * as EventBatch from "./EventBatch.js"
import * as FilterIndex from "./FilterIndex.js"

/** Connections with equal filters that get the same bytes.
 * @since 0.1.0
 * @category models */
export class Group {
  /** Those at the head. */
  readonly live: Array<Subscriber> = []
  members = 0
  /** Events of the flush under way; empty between flushes. */
  pending: Array<LogEntry> = []
  /** Events as its connections get them. */
  readonly encode: EventBatch.Encode
  constructor(
    readonly filter: Filter.Filter,
    readonly sync: boolean,
    readonly form: Form,
    readonly key: string,
    /** Unsent bytes above which its connections get nothing more. */
    readonly highWaterMark: number
  ) {
    this.encode = EventBatch.encoders[form.name][sync ? "sync" : "plain"]
  }
}

/** What every connection may leave unread, whatever its filter holds: the largest buffer that Node itself gives a socket. */
const LEAST_UNSENT = 64 * 1024

/** Where a connection is in the fan-out.
 * @since 0.1.0
 * @category models */
export interface SubscriberStatus {
  /** `live`: at the head. `stalled`: above the high-water mark. `behind`: catching up. */
  readonly state: "live" | "stalled" | "behind"
  /** The place up to which it has been given everything its filter lets through. */
  readonly cursor: Offset | undefined
  readonly unsentBytes: number
  /** Milliseconds for which it has been above the high-water mark; 0 unless it is stalled. */
  readonly stalledMillis: number
  /** Events left out for it, newest-per-key aside: those without a key. */
  readonly lost: number
  /** Catch-ups that began; that of a connection that did not begin at the head is the first. */
  readonly catchUps: number
}

/** How far behind the farthest are. Connections that have not been at the head yet are only counted in `unsentBytes`.
 * @since 0.1.0
 * @category models */
export interface MaxLag extends Lag {
  /** Of all connections that are not live. */
  readonly unsentBytes: number
}

/** One connection in the audience.
 * @since 0.1.0
 * @category models */
export class Subscriber {
  state: "live" | "stalled" | "behind" | "gone" = "behind"
  /** Place among the live of its group. */
  slot = -1
  /** Only where it is not live; the head where it is. */
  cursor: Offset | undefined
  /** Set while a conflated catch-up goes on; see `SinceOptions.conflateFrom`. */
  conflateFrom: Offset | undefined = undefined
  /** Where a conflated catch-up or a snapshot ends: the head when it began. What came later is told exactly, if history still has it by then. */
  target: Offset | undefined = undefined
  /** Waits for its next step of a catch-up. */
  queued = false
  /** Has been at the head once: what leaves it behind from then on is its own slowness. */
  joined = false
  lost = 0
  catchUps = 0
  /** Steps of its catch-up in a row that failed by a fault of the gateway's own. */
  faults = 0
  /** A catch-up has begun, and did not end. */
  catchingUp = false
  /** The span of the catch-up under way, if a tracer records it. */
  span: Tracer.Span | undefined = undefined
  /** Made when it stalls for the first time. */
  stall: TimeoutQueues.Timeout<Subscriber> | undefined = undefined
  /** Runs out when it is slow. */
  slow: TimeoutQueues.Timeout<Subscriber> | undefined = undefined
  constructor(
    readonly socket: TransportSocket,
    public group: Group
  ) {}
}

/** Who is there, and in which state. Every change of state is one of these methods; each is O(1).
 * @since 0.1.0
 * @category models */
export class Subscribers {
  readonly groups = new Map<string, Group>()
  /** Those who are not at the head. */
  readonly away = new Set<Subscriber>()
  members = 0
  stalled = 0
  /** Times a subscriber stalled. */
  stalls = 0
  /** The group last joined: those who come together mostly want the same. */
  private last: Group | undefined = undefined
  private readonly index = FilterIndex.make<Group>()
  /** Open while every subscriber is at the head. */
  private readonly complete = Effect.unsafeMakeLatch(true)
  private readonly change = Effect.unsafeMakeLatch(false)

  constructor(
    private readonly stallTimeouts: TimeoutQueues.TimeoutQueue<Subscriber>,
    private readonly slowTimeouts: TimeoutQueues.TimeoutQueue<Subscriber>,
    private readonly highWaterMark: number
  ) {}

  get live(): number {
    return this.members - this.away.size
  }

  /** Completes once every subscriber is at the head. */
  readonly caughtUp: Effect.Effect<void> = this.complete.await

  /** Completes at the next change; at once while a subscriber is away. */
  readonly activity: Effect.Effect<void> = Effect.suspend(() => {
    if (this.away.size > 0) return Effect.void
    this.change.unsafeClose()
    return this.change.await
  })

  notifyActivity(): void {
    this.change.unsafeOpen()
  }

  /** Every group whose filter lets the event through. */
  forEachMatching(entry: LogEntry, f: (group: Group) => void): void {
    this.index.forEach(entry, f)
  }

  /** A subscriber that is away from the head, with no cursor yet. */
  add(socket: TransportSocket, filter: Filter.Filter, sync: boolean): Subscriber {
    const subscriber = new Subscriber(socket, this.groupOf(filter, sync, socket.form))
    subscriber.group.members++
    this.members++
    this.moveAway(subscriber)
    this.notifyActivity()
    return subscriber
  }

  remove(subscriber: Subscriber): void {
    if (subscriber.state === "live") this.leaveHead(subscriber)
    if (subscriber.state === "stalled") this.unstall(subscriber)
    subscriber.state = "gone"
    this.members--
    this.moveBack(subscriber)
    this.exit(subscriber.group)
    this.notifyActivity()
  }

  /** Into the group of another filter, away from the head. */
  move(subscriber: Subscriber, filter: Filter.Filter): void {
    const group = this.groupOf(filter, subscriber.group.sync, subscriber.group.form)
    group.members++
    this.exit(subscriber.group)
    subscriber.group = group
  }

  /** To the head: from now on it is written to by every flush that concerns it. */
  goLive(subscriber: Subscriber): void {
    subscriber.state = "live"
    subscriber.joined = true
    subscriber.cursor = undefined
    subscriber.slot = subscriber.group.live.push(subscriber) - 1
    this.moveBack(subscriber)
    this.notifyActivity()
  }

  /** Away from the head; the last of the live ones takes its place. */
  leaveHead(subscriber: Subscriber): void {
    this.moveAway(subscriber)
    const { live } = subscriber.group
    const last = live.pop()
    if (last !== undefined && last !== subscriber) {
      live[subscriber.slot] = last
      last.slot = subscriber.slot
    }
    subscriber.slot = -1
    subscriber.state = "behind"
  }

  /** Nothing more for one that is away, until it drains. */
  stall(subscriber: Subscriber, cursor: Offset | undefined): void {
    subscriber.state = "stalled"
    subscriber.cursor = cursor
    this.stalls++
    this.stalled++
    subscriber.stall ??= new TimeoutQueues.Timeout(subscriber)
    this.stallTimeouts.start(subscriber.stall)
    subscriber.slow ??= new TimeoutQueues.Timeout(subscriber)
    this.slowTimeouts.start(subscriber.slow)
  }

  unstall(subscriber: Subscriber): void {
    this.stalled--
    subscriber.state = "behind"
    if (subscriber.stall !== undefined) this.stallTimeouts.stop(subscriber.stall)
    if (subscriber.slow !== undefined) this.slowTimeouts.stop(subscriber.slow)
  }

  /** Milliseconds for which it has been stalled. */
  stalledMillis({ stall }: Subscriber): number {
    return stall === undefined ? 0 : this.stallTimeouts.elapsed(stall)
  }

  private moveAway(subscriber: Subscriber): void {
    this.away.add(subscriber)
    this.complete.unsafeClose()
  }

  private moveBack(subscriber: Subscriber): void {
    this.away.delete(subscriber)
    if (this.away.size === 0) this.complete.unsafeOpen()
  }

  private groupOf(filter: Filter.Filter, sync: boolean, form: Form): Group {
    const { last } = this
    if (last?.filter === filter && last.sync === sync && last.form === form) return last
    this.last = this.findGroup(filter, sync, form)
    return this.last
  }

  private findGroup(filter: Filter.Filter, sync: boolean, form: Form): Group {
    const key = `${sync ? "sync" : "plain"}|${form.name}|${filter.key}`
    const found = this.groups.get(key)
    if (found !== undefined) return found
    // One budget for what is held for a connection: its filter and what it has not read.
    const left = Math.max(Math.min(LEAST_UNSENT, this.highWaterMark), this.highWaterMark - filter.weight)
    const made = new Group(filter, sync, form, key, left)
    this.groups.set(key, made)
    this.index.add(filter, made)
    return made
  }

  private exit(group: Group): void {
    if (--group.members > 0) return
    if (group === this.last) this.last = undefined
    this.groups.delete(group.key)
    this.index.remove(group.filter, group)
  }
}
