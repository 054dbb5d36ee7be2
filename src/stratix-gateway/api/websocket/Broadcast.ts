/**
 * The fan-out: one hub subscriber, one shared buffer for each group of equal connections, one write per connection and flush; and the catch-up of those who are behind.
 *
 * There is no queue per connection. A connection that does not take its bytes keeps only its cursor, and reads the log from there when it drains.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Tracer from "effect/Tracer"
import * as CloseCodes from "../../../stratix-core/close-codes.js"
import { type Offset, SYNC, type SyncMessage, type SyncMode } from "../../../stratix-core/stratix-protocol.js"
import * as Metrics from "../../Metrics.js"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import * as Tracing from "../../Tracing.js"
import * as Deadlines from "./Deadlines.js"
import * as EventLog from "./EventLog.js"
import type * as Filter from "./Filter.js"
import * as FilterIndex from "./FilterIndex.js"
import { FlushMeter } from "./FlushMeter.js"
import * as Frame from "./Frame.js"
import * as Stamp from "./Stamp.js"
import type { TransportSocket } from "./Transport.js"

/** Where a connection begins: at the head, with the newest of every key, or after an offset it had before.
 * @since 0.1.0
 * @category models */
export type Start =
  | { readonly _tag: "Head" }
  | { readonly _tag: "Snapshot" }
  | { readonly _tag: "Since"; readonly offset: Offset }

/** Begins at the head.
 * @since 0.1.0
 * @category constructors */
export const atHead: Start = { _tag: "Head" }

/** Begins with the newest of every key.
 * @since 0.1.0
 * @category constructors */
export const atSnapshot: Start = { _tag: "Snapshot" }

/** What Broadcast has to know of a connection.
 * @since 0.1.0
 * @category models */
export interface Recipient {
  readonly socket: TransportSocket
  /** Whether it gets offsets and `stratix:sync` messages. */
  readonly sync: boolean
  readonly filter: Filter.Filter
  readonly start: Start
}

/** How far behind a connection is.
 * @since 0.1.0
 * @category models */
export interface Lag {
  /** `live`: at the head. `stalled`: above the high-water mark. `behind`: catching up. */
  readonly state: "live" | "stalled" | "behind"
  /** The place up to which it has been given everything its filter lets through. */
  readonly cursor: Offset | undefined
  readonly unsentBytes: number
  /** Events left out for it, newest-per-key aside: those without a key. */
  readonly lost: number
  /** Catch-ups that began; that of a connection that did not begin at the head is the first. */
  readonly catchUps: number
}

/** How far behind the farthest are. Connections that have not been at the head yet are only counted in `unsentBytes`.
 * @since 0.1.0
 * @category models */
export interface Farthest extends EventLog.Distance {
  /** Of all connections that are not live. */
  readonly unsentBytes: number
}

/** A connection's part in the fan-out.
 * @since 0.1.0
 * @category models */
export interface Membership {
  /** Nothing of the socket is unsent any more. */
  readonly unsafeDrained: () => void
  /** Another filter from now on; a sync connection gets a snapshot for it. */
  readonly unsafeSetFilter: (filter: Filter.Filter) => void
  readonly unsafeLeave: () => void
  readonly unsafeLag: () => Lag
}

/** Counts since the start.
 * @since 0.1.0
 * @category models */
export interface Stats {
  readonly flushes: number
  /** Events times the connections they were written to. */
  readonly deliveries: number
  readonly bytes: number
  readonly stalls: number
  /** Catch-ups that began. */
  readonly catchUps: Readonly<Record<SyncMode, number>>
  readonly conflations: number
  readonly lost: number
  /** Connections now, by their state. */
  readonly live: number
  readonly stalled: number
  readonly behind: number
  readonly groups: number
}

/** The fan-out.
 * @since 0.1.0
 * @category tags */
export class Broadcast extends Context.Tag("stratix/Broadcast")<
  Broadcast,
  {
    /** Adds a connection. What was published before is flushed to the others first, so that `unsafeHead` is the place it joins at. */
    readonly unsafeJoin: (recipient: Recipient) => Membership
    /** The place up to which every live connection has been given everything. */
    readonly unsafeHead: () => Offset
    /** Writes out everything that was published until now. */
    readonly flush: Effect.Effect<void>
    readonly unsafeFlush: () => void
    /** Something was published; the span, if there is one, ends after the last socket write of its flush. Flushes at once if what waits for the end of the turn could soon leave the history: a burst must not conflate those who keep up. */
    readonly unsafePublished: (span?: Tracer.Span) => void
    /** Completes once every connection is at the head. A frozen client can hold it up: give it a bound. */
    readonly caughtUp: Effect.Effect<void>
    readonly unsafeStats: () => Stats
    /** Completes at the next flush, join, leave or end of a catch-up; at once while somebody is not at the head. What watches the counts waits for it, and an idle gateway wakes nobody. */
    readonly stirred: Effect.Effect<void>
    /** Looks at every connection that is not live. */
    readonly unsafeFarthest: () => Farthest
  }
>() {}

/** Characters of events in one step of a catch-up: small enough that live events never wait long behind it. */
const CHUNK = 64 * 1024

/** Steps of catch-ups remembered at a time. */
const CHUNKS = 64

/** A step of a catch-up: what the log said, and its events as they are written. */
interface Chunk {
  readonly result: EventLog.CatchUp
  readonly frames: Buffer
}

/** Steps of catch-up between two turns of the event loop. */
const STEPS_PER_TURN = 16

/** Lets whatever waits for the event loop have its turn.
 * @since 0.1.0
 * @category effects */
export const endOfTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

class Group {
  /** Those at the head. */
  readonly live: Array<Member> = []
  members = 0
  /** Events of the flush under way; empty between flushes. */
  pending: Array<EventLog.LogEntry> = []
  constructor(
    readonly filter: Filter.Filter,
    readonly sync: boolean,
    readonly compressed: boolean,
    readonly key: string
  ) {}
}

/** What a member does by the fan-out it belongs to: one object for all members, where closures would be four for each. */
interface Fan {
  readonly drained: (member: Member) => void
  readonly setFilter: (member: Member, filter: Filter.Filter) => void
  readonly leave: (member: Member) => void
  readonly lag: (member: Member) => Lag
}

class Member implements Membership {
  state: "live" | "stalled" | "behind" | "gone" = "behind"
  /** Place among the live of its group. */
  slot = -1
  /** Only where it is not live; the head where it is. */
  cursor: Offset | undefined
  /** Set while a conflated catch-up goes on; see `SinceOptions.conflateFrom`. */
  conflateFrom: Offset | undefined = undefined
  /** Where a conflated catch-up or a snapshot ends: the head when it began. What came later is told exactly, if history still has it by then. */
  target: Offset | undefined = undefined
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

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const log = yield* EventLog.EventLog
  const stamp = yield* Stamp.Stamp
  const clock = yield* Effect.clock
  const tracer = yield* Tracing.listening
  const meter = new FlushMeter(clock, config.metrics)
  const subscription = yield* log.subscribe
  // Bound: a connection is in it once at the most.
  const behind = yield* Effect.acquireRelease(Queue.unbounded<Member>(), Queue.shutdown)
  const deadlines = yield* Deadlines.make
  const terminations = Metric.tagged(Metrics.terminations, "reason", "stalled" satisfies Metrics.TerminationReason)
  const stalls = deadlines.unsafeQueue(config.stallTimeout, (member: Member) => {
    terminations.unsafeUpdate(1, [])
    member.socket.unsafeTerminate()
  })

  const groups = new Map<string, Group>()
  const index = FilterIndex.make<Group>()
  let head = log.unsafeHead()
  let members = 0
  let liveMembers = 0
  // Those who are not live.
  const away = new Set<Member>()
  let waiter: Deferred.Deferred<void> | undefined
  let watcher: Deferred.Deferred<void> | undefined
  const stats = { flushes: 0, deliveries: 0, bytes: 0, stalls: 0, conflations: 0, lost: 0, stalled: 0 }
  const catchUps: Record<SyncMode, number> = { snapshot: 0, resume: 0, conflated: 0 }

  const groupOf = (filter: Filter.Filter, sync: boolean, compressed: boolean): Group => {
    const key = `${sync ? "s" : "p"}${compressed ? "z" : ""}${filter.key}`
    const found = groups.get(key)
    if (found !== undefined) return found
    const made = new Group(filter, sync, compressed, key)
    groups.set(key, made)
    index.add(filter, made)
    return made
  }
  const enter = (member: Member, group: Group) => {
    member.group = group
    group.members++
  }
  const exit = (member: Member) => {
    const { group } = member
    if (--group.members > 0) return
    groups.delete(group.key)
    index.remove(group.filter, group)
  }

  const tellCaughtUp = () => {
    if (waiter === undefined || liveMembers < members) return
    Deferred.unsafeDone(waiter, Exit.void)
    waiter = undefined
  }
  const caughtUp = Effect.suspend(() => {
    if (liveMembers === members) return Effect.void
    waiter ??= Deferred.unsafeMake<void>(FiberId.none)
    return Deferred.await(waiter)
  })

  /** A step of a catch-up was taken; another mode than before is another catch-up. */
  const catchUpBegins = (member: Member, mode: SyncMode) => {
    catchUps[mode]++
    member.catchUps++
    if (tracer !== undefined) {
      member.span ??= tracer.span(
        Tracing.spans.catchUp,
        Option.none(),
        Context.empty(),
        [],
        clock.unsafeCurrentTimeNanos(),
        "internal",
        { root: true }
      )
      member.span.attribute("stratix.mode", mode)
    }
    member.catchingUp = true
  }
  const catchUpEnds = (member: Member) => {
    member.catchingUp = false
    const { span } = member
    if (span === undefined) return
    member.span = undefined
    span.attribute("client.address", member.socket.remoteAddress)
    span.attribute("stratix.live", member.state === "live")
    span.attribute("stratix.lost", member.lost)
    span.end(clock.unsafeCurrentTimeNanos(), Exit.void)
  }

  const stir = () => {
    if (watcher === undefined) return
    Deferred.unsafeDone(watcher, Exit.void)
    watcher = undefined
  }
  const stirred = Effect.suspend(() => {
    if (away.size > 0) return Effect.void
    watcher ??= Deferred.unsafeMake<void>(FiberId.none)
    return Deferred.await(watcher)
  })

  const goLive = (member: Member) => {
    member.state = "live"
    stir()
    away.delete(member)
    if (member.catchingUp) catchUpEnds(member)
    liveMembers++
    member.joined = true
    member.cursor = undefined
    member.slot = member.group.live.push(member) - 1
    tellCaughtUp()
  }
  /** Out of the live ones, in O(1): the last takes its place. */
  const leaveLive = (member: Member) => {
    liveMembers--
    away.add(member)
    const { live } = member.group
    const last = live.pop()
    if (last !== undefined && last !== member) {
      live[member.slot] = last
      last.slot = member.slot
    }
    member.slot = -1
  }
  const stall = (member: Member, cursor: Offset | undefined) => {
    member.state = "stalled"
    member.cursor = cursor
    stats.stalls++
    stats.stalled++
    member.stall ??= new Deadlines.Wait(member)
    stalls.unsafeStart(member.stall)
  }
  const unstall = (member: Member) => {
    stats.stalled--
    if (member.stall !== undefined) stalls.unsafeStop(member.stall)
  }
  const catchUpLater = (member: Member, cursor: Offset | undefined) => {
    member.state = "behind"
    member.cursor = cursor
    if (member.queued) return
    member.queued = true
    Queue.unsafeOffer(behind, member)
  }

  const textOf = (entry: EventLog.LogEntry, sync: boolean): string => (sync ? EventLog.withOffset(entry) : entry.json)

  // Bound: the events of one flush; empty between flushes.
  const compressions = new Map<string, Buffer>()
  const compressOnce = (text: string): Buffer => {
    let frame = compressions.get(text)
    if (frame === undefined) {
      frame = Frame.compressedText(text, config.compressionThreshold)
      compressions.set(text, frame)
    }
    return frame
  }

  const deliver = (entries: ReadonlyArray<EventLog.LogEntry>) => {
    const { bytes, deliveries } = stats
    const touched: Array<Group> = []
    for (const entry of entries) {
      index.forEach(entry, (group) => {
        if (group.live.length === 0) return
        if (group.pending.length === 0) touched.push(group)
        group.pending.push(entry)
      })
    }
    for (const group of touched) {
      const count = group.pending.length
      const texts = group.pending.map((entry) => textOf(entry, group.sync))
      const frames = group.compressed ? Buffer.concat(texts.map(compressOnce)) : Frame.texts(texts)
      group.pending = []
      stats.deliveries += count * group.live.length
      stats.bytes += frames.length * group.live.length
      for (let i = group.live.length - 1; i >= 0; i--) {
        const member = group.live[i]
        if (
          member !== undefined &&
          member.socket.unsafeWrite(frames) > config.highWaterMark &&
          member.state === "live"
        ) {
          leaveLive(member)
          stall(member, head.offset)
        }
      }
    }
    compressions.clear()
    stats.flushes++
    stir()
    meter.unsafeFlushed(entries.length, stats.deliveries - deliveries, stats.bytes - bytes)
  }

  const unsafeFlush = () => {
    const from = head
    const next = log.unsafeHead()
    if (next.index === from.index) return
    const entries = log.unsafeTail(from.index)
    head = next
    chunks.clear()
    if (entries !== undefined) return deliver(entries)
    // More was published in one turn than the history holds: everybody is behind.
    meter.unsafeOverrun()
    for (const group of groups.values()) {
      for (const member of [...group.live]) {
        leaveLive(member)
        catchUpLater(member, from.offset)
      }
    }
  }

  const syncText = (from: Offset | undefined, result: EventLog.CatchUp, more: boolean): string => {
    const { requestId, timestamp } = stamp.unsafeNext()
    const message: SyncMessage = {
      eventType: SYNC,
      payload: {
        mode: result.mode,
        ...(from !== undefined && result.mode !== "snapshot" && { from }),
        to: result.to,
        count: result.entries.length,
        lost: result.lost,
        ...(more && { more: true })
      },
      timestamp,
      requestId
    }
    return JSON.stringify(message)
  }

  // Clients that were live when they all lost their connection come back with the same cursor: what one of them is told serves all.
  // Bound: CHUNKS; forgotten when the head moves, and when nobody is behind any more.
  const chunks = new Map<string, Chunk>()
  const chunkKey = (member: Member, until: Offset) =>
    `${member.group.key}|${member.cursor ?? ""}|${until}|${member.conflateFrom ?? ""}`
  const encodeChunk = (group: Group, result: EventLog.CatchUp): Buffer => {
    const texts = result.entries.map((entry) => textOf(entry, group.sync))
    return group.compressed
      ? Buffer.concat(texts.map((text) => Frame.compressedText(text, config.compressionThreshold)))
      : Frame.texts(texts)
  }

  const give = (member: Member, from: Offset | undefined, until: Offset, { frames, result }: Chunk) => {
    if (result.mode !== "resume" && member.conflateFrom === undefined) {
      if (member.joined) {
        if (config.slowPolicy === "close")
          return member.socket.unsafeClose(CloseCodes.TRY_AGAIN_LATER, "fell behind the history")
        stats.conflations++
      }
    }
    if (!member.catchingUp || (result.mode !== "resume" && member.conflateFrom === undefined)) {
      catchUpBegins(member, result.mode)
    }
    if (result.mode !== "resume") member.target = until
    if (result.mode === "snapshot") member.conflateFrom = until
    else if (result.mode === "conflated") member.conflateFrom ??= from
    if (!result.more) {
      member.target = undefined
      member.conflateFrom = undefined
    }
    member.lost += result.lost
    stats.lost += result.lost
    stats.deliveries += result.entries.length
    const live = !result.more && result.to === head.offset
    const written = member.group.sync ? Buffer.concat([Frame.text(syncText(from, result, !live)), frames]) : frames
    stats.bytes += written.length
    const unsent = written.length > 0 ? member.socket.unsafeWrite(written) : 0
    if (unsent > config.highWaterMark) stall(member, result.to)
    else if (live) goLive(member)
    else catchUpLater(member, result.to)
  }

  const step = (member: Member): Effect.Effect<void> =>
    Effect.suspend(() => {
      member.queued = false
      if (member.state !== "behind") return Effect.void
      const { cursor, group } = member
      const until = member.target ?? head.offset
      const key = chunkKey(member, until)
      const known = chunks.get(key)
      if (known !== undefined) return Effect.sync(() => give(member, cursor, until, known))
      return log
        .since(cursor, {
          filter: group.filter,
          until,
          maxBytes: CHUNK,
          neverSnapshot: !group.sync,
          ...(member.conflateFrom !== undefined && { conflateFrom: member.conflateFrom })
        })
        .pipe(
          Effect.matchEffect({
            onSuccess: (result) =>
              Effect.sync(() => {
                // It may have left, or have another filter, since the log was asked.
                if (member.state !== "behind" || member.queued) return
                if (member.group !== group || member.cursor !== cursor) return catchUpLater(member, member.cursor)
                const chunk = { result, frames: encodeChunk(group, result) }
                if (chunks.size < CHUNKS) chunks.set(key, chunk)
                give(member, cursor, until, chunk)
              }),
            onFailure: (error) =>
              Effect.zipRight(
                Effect.logWarning("catch-up failed; the client may come back", error),
                Effect.sync(() => member.socket.unsafeClose(CloseCodes.TRY_AGAIN_LATER, "catch-up failed"))
              )
          })
        )
    })

  const logged = (what: string) => Effect.catchAllCause((cause) => Effect.logError(`${what} failed`, cause))
  const linger = Duration.toMillis(config.linger) > 0 ? Effect.sleep(config.linger) : endOfTurn

  yield* Queue.take(subscription).pipe(
    Effect.flatMap(() => {
      // An event that did not come through this process's `StatusSync` is first heard of here.
      if (log.unsafeHead().index !== head.index) meter.unsafeWaits()
      return linger
    }),
    Effect.zipRight(Queue.takeAll(subscription)),
    Effect.zipRight(Effect.sync(unsafeFlush).pipe(logged("fan-out"))),
    Effect.forever,
    Effect.forkScoped,
    Effect.interruptible
  )
  yield* Queue.takeBetween(behind, 1, STEPS_PER_TURN).pipe(
    Effect.flatMap(
      Effect.forEach((member) => step(member).pipe(logged("catch-up")), { concurrency: "unbounded", discard: true })
    ),
    Effect.zipRight(
      Effect.sync(() => {
        if (liveMembers + stats.stalled === members) chunks.clear()
      })
    ),
    Effect.zipRight(endOfTurn),
    Effect.forever,
    Effect.forkScoped,
    Effect.interruptible
  )

  const fan: Fan = {
    drained: (member) => {
      if (member.state !== "stalled") return
      unstall(member)
      if (member.cursor === head.offset && member.conflateFrom === undefined) goLive(member)
      else catchUpLater(member, member.cursor)
    },
    setFilter: (member, filter) => {
      if (member.state === "gone") return
      unsafeFlush()
      const group = groupOf(filter, member.group.sync, member.group.compressed)
      if (member.state === "live") {
        leaveLive(member)
        member.state = "behind"
        member.cursor = head.offset
      }
      exit(member)
      enter(member, group)
      if (group.sync) {
        member.cursor = undefined
        member.conflateFrom = undefined
        member.target = head.offset
        member.joined = false
      }
      if (member.state === "behind") {
        if (member.cursor === head.offset && member.conflateFrom === undefined) goLive(member)
        else catchUpLater(member, member.cursor)
      }
    },
    leave: (member) => {
      if (member.state === "gone") return
      if (member.state === "live") leaveLive(member)
      if (member.state === "stalled") unstall(member)
      member.state = "gone"
      away.delete(member)
      stir()
      if (member.catchingUp) catchUpEnds(member)
      members--
      exit(member)
      tellCaughtUp()
    },
    lag: (member) => ({
      state: member.state === "gone" ? "live" : member.state,
      cursor: member.state === "live" ? head.offset : member.cursor,
      unsentBytes: member.socket.unsafeUnsent(),
      lost: member.lost,
      catchUps: member.catchUps
    })
  }

  const unsafeJoin = (recipient: Recipient): Membership => {
    unsafeFlush()
    const group = groupOf(recipient.filter, recipient.sync, recipient.socket.compressed)
    const member = new Member(recipient.socket, group, fan)
    enter(member, group)
    members++
    away.add(member)
    stir()
    const { start } = recipient
    if (start._tag === "Head") goLive(member)
    else {
      if (start._tag === "Snapshot") member.target = head.offset
      catchUpLater(member, start._tag === "Since" ? start.offset : undefined)
    }
    return member
  }

  return Broadcast.of({
    unsafeJoin,
    unsafeHead: () => head.offset,
    flush: Effect.sync(unsafeFlush),
    unsafeFlush,
    unsafePublished: (span) => {
      const waiting = log.unsafeHead().index - head.index
      if (waiting === 0) {
        // Its flush was over before its publisher heard of its place.
        span?.end(clock.unsafeCurrentTimeNanos(), Exit.void)
        return
      }
      meter.unsafeWaits(span)
      if (waiting >= config.historyCapacity / 2) unsafeFlush()
    },
    caughtUp,
    unsafeStats: () => ({
      ...stats,
      catchUps: { ...catchUps },
      live: liveMembers,
      behind: members - liveMembers - stats.stalled,
      groups: groups.size
    }),
    stirred,
    unsafeFarthest: () => {
      let events = 0
      let millis = 0
      let unsentBytes = 0
      for (const member of away) {
        unsentBytes += member.socket.unsafeUnsent()
        if (!member.joined) continue
        const distance = log.unsafeDistance(member.cursor)
        events = Math.max(events, distance.events)
        millis = Math.max(millis, distance.millis)
      }
      return { events, millis, unsentBytes }
    }
  })
})

/** The fan-out over `EventLog`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Broadcast, never, StatusSyncConfig.StatusSyncConfig | EventLog.EventLog | Stamp.Stamp> =
  Layer.scoped(Broadcast, make)
