/**
 * The fan-out: one hub subscriber, one shared buffer for each group of equal connections, one write per connection and flush.
 *
 * There is no queue per connection. A connection that does not take its bytes keeps only its cursor, and is caught up from there when it drains.
 * Who is where is in `Audience`, the way back to the head in `CatchUps`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type * as Tracer from "effect/Tracer"
import type { Offset, SyncMode } from "../../../stratix-core/stratix-protocol.js"
import * as Metrics from "../../Metrics.js"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import { Audience, type Fan, type Group, type Member } from "./Audience.js"
import * as CatchUps from "./CatchUps.js"
import * as Deadlines from "./Deadlines.js"
import { endOfTurn } from "./EndOfTurn.js"
import * as EventLog from "./EventLog.js"
import type * as Filter from "./Filter.js"
import { FlushMeter } from "./FlushMeter.js"
import * as Frame from "./Frame.js"
import type * as Stamp from "./Stamp.js"
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

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const log = yield* EventLog.EventLog
  const clock = yield* Effect.clock
  const meter = new FlushMeter(clock, config.metrics)
  const subscription = yield* log.subscribe
  const deadlines = yield* Deadlines.make
  const terminations = Metric.tagged(Metrics.terminations, "reason", "stalled" satisfies Metrics.TerminationReason)
  const audience = new Audience(
    deadlines.unsafeQueue(config.stallTimeout, (member: Member) => {
      terminations.unsafeUpdate(1, [])
      member.socket.unsafeTerminate()
    })
  )
  let head = log.unsafeHead()
  const catchUps = yield* CatchUps.make(audience, () => head.offset)
  let flushes = 0
  let deliveries = 0
  let bytes = 0

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
    const before = { deliveries, bytes }
    const touched: Array<Group> = []
    for (const entry of entries) {
      audience.unsafeConcerned(entry, (group) => {
        if (group.live.length === 0) return
        if (group.pending.length === 0) touched.push(group)
        group.pending.push(entry)
      })
    }
    for (const group of touched) {
      const count = group.pending.length
      const texts = group.pending.map((entry) => EventLog.textOf(entry, group.sync))
      const frames = group.compressed ? Buffer.concat(texts.map(compressOnce)) : Frame.texts(texts)
      group.pending = []
      deliveries += count * group.live.length
      bytes += frames.length * group.live.length
      // From the end: whoever stalls leaves its place to the last, which has its bytes already.
      for (let i = group.live.length - 1; i >= 0; i--) {
        const member = group.live[i]
        if (
          member !== undefined &&
          member.socket.unsafeWrite(frames) > config.highWaterMark &&
          member.state === "live"
        ) {
          audience.unsafeLeaveHead(member)
          audience.unsafeStall(member, head.offset)
        }
      }
    }
    compressions.clear()
    flushes++
    audience.unsafeStir()
    meter.unsafeFlushed(entries.length, deliveries - before.deliveries, bytes - before.bytes)
  }

  const unsafeFlush = () => {
    const from = head
    const next = log.unsafeHead()
    if (next.index === from.index) return
    const entries = log.unsafeTail(from.index)
    head = next
    catchUps.unsafeHeadMoved()
    if (entries !== undefined) {
      deliver(entries)
      return
    }
    // More was published in one turn than the history holds: everybody is behind.
    meter.unsafeOverrun()
    for (const group of audience.groups.values()) {
      for (const member of [...group.live]) {
        audience.unsafeLeaveHead(member)
        catchUps.unsafeContinue(member, from.offset)
      }
    }
    audience.unsafeStir()
  }

  const linger = Duration.toMillis(config.linger) > 0 ? Effect.sleep(config.linger) : endOfTurn

  yield* Queue.take(subscription).pipe(
    Effect.flatMap(() => {
      // An event that did not come through this process's `StatusSync` is first heard of here.
      if (log.unsafeHead().index !== head.index) meter.unsafeWaits()
      return linger
    }),
    Effect.zipRight(Queue.takeAll(subscription)),
    Effect.zipRight(Effect.sync(unsafeFlush)),
    Effect.catchAllCause((cause) => Effect.logError("the fan-out failed", cause)),
    Effect.forever,
    Effect.forkScoped,
    Effect.interruptible
  )

  const fan: Fan = {
    drained: (member) => {
      if (member.state !== "stalled") return
      audience.unsafeUnstall(member)
      catchUps.unsafeContinue(member, member.cursor)
    },
    setFilter: (member, filter) => {
      if (member.state === "gone") return
      unsafeFlush()
      if (member.state === "live") {
        audience.unsafeLeaveHead(member)
        member.cursor = head.offset
      }
      audience.unsafeMove(member, filter)
      if (member.group.sync) {
        member.cursor = undefined
        member.conflateFrom = undefined
        member.target = head.offset
        member.joined = false
      }
      if (member.state === "behind") catchUps.unsafeContinue(member, member.cursor)
    },
    leave: (member) => {
      if (member.state === "gone") return
      audience.unsafeRemove(member)
      catchUps.unsafeAbandon(member)
    },
    lag: (member) => ({
      state: member.state === "gone" ? "live" : member.state,
      cursor: member.state === "live" ? head.offset : member.cursor,
      unsentBytes: member.socket.unsafeUnsent(),
      lost: member.lost,
      catchUps: member.catchUps
    })
  }

  const unsafeJoin = ({ filter, socket, start, sync }: Recipient): Membership => {
    unsafeFlush()
    const member = audience.unsafeAdd(socket, filter, sync, fan)
    switch (start._tag) {
      case "Head":
        catchUps.unsafeContinue(member, head.offset)
        break
      case "Snapshot":
        member.target = head.offset
        catchUps.unsafeBegin(member, undefined)
        break
      case "Since":
        catchUps.unsafeBegin(member, start.offset)
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
    caughtUp: audience.caughtUp,
    stirred: audience.stirred,
    unsafeStats: () => ({
      flushes,
      deliveries: deliveries + catchUps.counts.deliveries,
      bytes: bytes + catchUps.counts.bytes,
      stalls: audience.stalls,
      catchUps: { ...catchUps.counts.begun },
      conflations: catchUps.counts.conflations,
      lost: catchUps.counts.lost,
      live: audience.live,
      stalled: audience.stalled,
      behind: audience.away.size - audience.stalled,
      groups: audience.groups.size
    }),
    unsafeFarthest: () => {
      let events = 0
      let millis = 0
      let unsentBytes = 0
      for (const member of audience.away) {
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
