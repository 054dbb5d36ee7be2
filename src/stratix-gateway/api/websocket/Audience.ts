/**
 * Everybody the fan-out writes to: in groups of equal filter and form, at the head or away from it.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Tracer from "effect/Tracer"
import type { Offset } from "../../../stratix-core/stratix-protocol.js"
import type { Lag, Membership } from "./Broadcast.js"
import * as Deadlines from "./Deadlines.js"
import type { LogEntry } from "./EventLog.js"
import type * as Filter from "./Filter.js"
import * as FilterIndex from "./FilterIndex.js"
import type { TransportSocket } from "./Transport.js"

/** Connections with equal filters that get the same bytes.
 * @since 0.1.0
 * @category models */
export class Group {
  /** Those at the head. */
  readonly live: Array<Member> = []
  members = 0
  /** Events of the flush under way; empty between flushes. */
  pending: Array<LogEntry> = []
  constructor(
    readonly filter: Filter.Filter,
    readonly sync: boolean,
    readonly compressed: boolean,
    readonly key: string
  ) {}
}

/** What a member does by the fan-out it belongs to: one object for all members, where closures would be four for each.
 * @since 0.1.0
 * @category models */
export interface Fan {
  readonly drained: (member: Member) => void
  readonly setFilter: (member: Member, filter: Filter.Filter) => void
  readonly leave: (member: Member) => void
  readonly lag: (member: Member) => Lag
}

/** One connection in the audience.
 * @since 0.1.0
 * @category models */
export class Member implements Membership {
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
  /** A catch-up has begun, and did not end. */
  catchingUp = false
  /** The catch-up that goes on, where somebody listens. */
  span: Tracer.Span | undefined = undefined
  /** Made when it stalls for the first time. */
  stall: Deadlines.Wait<Member> | undefined = undefined
  constructor(
    readonly socket: TransportSocket,
    public group: Group,
    private readonly fan: Fan
  ) {}

  unsafeDrained(): void {
    this.fan.drained(this)
  }

  unsafeSetFilter(filter: Filter.Filter): void {
    this.fan.setFilter(this, filter)
  }

  unsafeLeave(): void {
    this.fan.leave(this)
  }

  unsafeLag(): Lag {
    return this.fan.lag(this)
  }
}

/** Something that fibers wait for, again and again. */
class Signal {
  private waiting: Deferred.Deferred<void> | undefined = undefined

  unsafeTell(): void {
    if (this.waiting === undefined) return
    Deferred.unsafeDone(this.waiting, Exit.void)
    this.waiting = undefined
  }

  readonly next: Effect.Effect<void> = Effect.suspend(() => {
    this.waiting ??= Deferred.unsafeMake<void>(FiberId.none)
    return Deferred.await(this.waiting)
  })
}

/** Who is there, and in which state. Every change of state is one of these methods; each is O(1).
 * @since 0.1.0
 * @category models */
export class Audience {
  readonly groups = new Map<string, Group>()
  /** Those who are not at the head. */
  readonly away = new Set<Member>()
  members = 0
  stalled = 0
  /** Times that somebody stalled. */
  stalls = 0
  private readonly index = FilterIndex.make<Group>()
  private readonly complete = new Signal()
  private readonly change = new Signal()

  constructor(private readonly stallTimeouts: Deadlines.WaitQueue<Member>) {}

  get live(): number {
    return this.members - this.away.size
  }

  /** Completes once nobody is away. */
  readonly caughtUp: Effect.Effect<void> = Effect.suspend(() =>
    this.away.size === 0 ? Effect.void : this.complete.next
  )

  /** Completes at the next change; at once while somebody is away. */
  readonly stirred: Effect.Effect<void> = Effect.suspend(() => (this.away.size > 0 ? Effect.void : this.change.next))

  unsafeStir(): void {
    this.change.unsafeTell()
  }

  /** Every group whose filter lets the event through. */
  unsafeConcerned(entry: LogEntry, f: (group: Group) => void): void {
    this.index.forEach(entry, f)
  }

  /** A member that is away from the head, with no cursor yet. */
  unsafeAdd(socket: TransportSocket, filter: Filter.Filter, sync: boolean, fan: Fan): Member {
    const member = new Member(socket, this.groupOf(filter, sync, socket.compressed), fan)
    member.group.members++
    this.members++
    this.away.add(member)
    this.unsafeStir()
    return member
  }

  unsafeRemove(member: Member): void {
    if (member.state === "live") this.unsafeLeaveHead(member)
    if (member.state === "stalled") this.unsafeUnstall(member)
    member.state = "gone"
    this.members--
    this.away.delete(member)
    this.exit(member.group)
    this.unsafeStir()
    if (this.away.size === 0) this.complete.unsafeTell()
  }

  /** Into the group of another filter, away from the head. */
  unsafeMove(member: Member, filter: Filter.Filter): void {
    const group = this.groupOf(filter, member.group.sync, member.group.compressed)
    group.members++
    this.exit(member.group)
    member.group = group
  }

  /** To the head: from now on it is written to by every flush that concerns it. */
  unsafeGoLive(member: Member): void {
    member.state = "live"
    member.joined = true
    member.cursor = undefined
    member.slot = member.group.live.push(member) - 1
    this.away.delete(member)
    this.unsafeStir()
    if (this.away.size === 0) this.complete.unsafeTell()
  }

  /** Away from the head; the last of the live ones takes its place. */
  unsafeLeaveHead(member: Member): void {
    this.away.add(member)
    const { live } = member.group
    const last = live.pop()
    if (last !== undefined && last !== member) {
      live[member.slot] = last
      last.slot = member.slot
    }
    member.slot = -1
    member.state = "behind"
  }

  /** Nothing more for one that is away, until it drains. */
  unsafeStall(member: Member, cursor: Offset | undefined): void {
    member.state = "stalled"
    member.cursor = cursor
    this.stalls++
    this.stalled++
    member.stall ??= new Deadlines.Wait(member)
    this.stallTimeouts.unsafeStart(member.stall)
  }

  unsafeUnstall(member: Member): void {
    this.stalled--
    member.state = "behind"
    if (member.stall !== undefined) this.stallTimeouts.unsafeStop(member.stall)
  }

  private groupOf(filter: Filter.Filter, sync: boolean, compressed: boolean): Group {
    const key = `${sync ? "s" : "p"}${compressed ? "z" : ""}${filter.key}`
    const found = this.groups.get(key)
    if (found !== undefined) return found
    const made = new Group(filter, sync, compressed, key)
    this.groups.set(key, made)
    this.index.add(filter, made)
    return made
  }

  private exit(group: Group): void {
    if (--group.members > 0) return
    this.groups.delete(group.key)
    this.index.remove(group.filter, group)
  }
}
