/**
 * The fan-out: one hub subscriber, one shared buffer for each group of equal connections, one write per connection and flush.
 *
 * There is no queue per connection. A connection that does not take its bytes keeps only its cursor, and is caught up from there when it drains.
 * Who is where is in `Subscribers`, the way back to the head in `CatchUps`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Tracer from "effect/Tracer"
import type { Offset, SyncMode } from "../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as EventLog from "../log/EventLog.js"
import * as Filter from "../log/Filter.js"
import * as Stamps from "../log/Stamps.js"
import { nextTurn } from "../runtime/EventLoop.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import * as SlowClients from "../telemetry/SlowClients.js"
import * as Terminations from "../telemetry/Terminations.js"
import * as Frame from "../transport/Frame.js"
import type { TransportSocket } from "../transport/Transport.js"
import * as CatchUps from "./CatchUps.js"
import * as EventBatch from "./EventBatch.js"
import * as FanoutFaults from "./FanoutFaults.js"
import * as FlushBudget from "./FlushBudget.js"
import { FlushMeter } from "./FlushMeter.js"
import { type Group, type MaxLag, type Subscriber, type SubscriberStatus, Subscribers } from "./Subscribers.js"

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

/** What a connection subscribes with.
 * @since 0.1.0
 * @category models */
export interface SubscribeOptions {
  readonly socket: TransportSocket
  /** Whether it gets offsets and `stratix:sync` messages. */
  readonly sync: boolean
  readonly filter: Filter.Filter
  readonly start: Start
}

export type { MaxLag } from "./Subscribers.js"

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
    /** Adds a connection. What was published before is flushed to the others first, so that `head` is the place it joins at. */
    readonly subscribe: (options: SubscribeOptions) => Subscriber
    readonly unsubscribe: (subscriber: Subscriber) => void
    /** Another filter from now on; a sync connection gets a snapshot for it. */
    readonly setFilter: (subscriber: Subscriber, filter: Filter.Filter) => void
    /** The socket has nothing unsent any more. */
    readonly drained: (subscriber: Subscriber) => void
    readonly status: (subscriber: Subscriber) => SubscriberStatus
    /** The place up to which every live connection has been given everything. */
    readonly head: () => Offset
    /** Writes out everything that was published until now. */
    readonly flush: Effect.Effect<void>
    readonly flushNow: () => void
    /** Something was published; the span, if there is one, ends after the last socket write of its flush. Flushes at once if what waits for the end of the turn could soon leave the history: a burst must not conflate those who keep up. */
    readonly published: (span?: Tracer.Span) => void
    /** Completes once every connection is at the head. A frozen client can hold it up: give it a bound. */
    readonly caughtUp: Effect.Effect<void>
    readonly stats: () => Stats
    /** Completes at the next flush, join, leave or end of a catch-up; at once while a connection is not at the head. The metrics collector waits for it, so that an idle gateway stays asleep. */
    readonly activity: Effect.Effect<void>
    /** Looks at every connection that is not live. */
    readonly maxLag: () => MaxLag
    /** Whether faults of the gateway's own repeat: `FanoutFaults.isFailing`. */
    readonly isFailing: () => boolean
  }
>() {}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const log = yield* EventLog.EventLog
  const stamp = yield* Stamps.Stamps
  const clock = yield* Effect.clock
  const meter = new FlushMeter(clock, config.metrics)
  const subscription = yield* log.subscribe
  const deadlines = yield* TimeoutQueues.make
  const stalled = yield* Terminations.make(
    "stalled",
    `above the high-water mark for ${Duration.format(config.stallTimeout)} (STRATIX_STALL_TIMEOUT)`
  )
  const slow = yield* SlowClients.make("socket", `its socket has been full for ${SlowClients.SLOW_AFTER}`)
  const subscribers = new Subscribers(
    deadlines.queue(config.stallTimeout, (subscriber: Subscriber) => {
      stalled({ remoteAddress: subscriber.socket.remoteAddress })
      subscriber.socket.terminate()
    }),
    deadlines.queue(SlowClients.SLOW_AFTER, ({ socket }: Subscriber) => slow({ remoteAddress: socket.remoteAddress })),
    config.highWaterMark
  )
  let head = log.head()
  const faults = yield* FanoutFaults.make
  const catchUps = yield* CatchUps.make(subscribers, () => head.offset, faults, deadlines)
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

  /** Brings one up to date from `from` on, as if it had been too slow. */
  const fallBehind = (subscriber: Subscriber, from: Offset) => {
    subscribers.leaveHead(subscriber)
    catchUps.resume(subscriber, from)
  }
  const groupBehind = (group: Group, from: Offset) => {
    for (const subscriber of [...group.live]) fallBehind(subscriber, from)
  }

  /** Everything of a group, to each of its live connections; `made` is what its bytes took. */
  const writeGroup = (
    group: Group,
    pending: ReadonlyArray<EventLog.LogEntry>,
    from: Offset,
    encode: ReturnType<typeof EventBatch.forFlush>
  ) => {
    const { highWaterMark, live } = group
    const isReading = ({ socket }: Subscriber) => socket.unsentBytes() <= highWaterMark
    // Asked before the bytes are made: where no client reads, none are.
    if (!live.some(isReading)) {
      groupBehind(group, from)
      return
    }
    const frames = encode(group.encode, pending)
    let writes = 0
    // From the end: a subscriber that leaves gives its place to the last one, which has its bytes already.
    for (let i = live.length - 1; i >= 0; i--) {
      const subscriber = live[i]
      if (subscriber === undefined) continue
      // The kernel copies what is written: so much for so many is given in steps, as to those who are behind.
      if (frames.length > FlushBudget.LARGE && writes * frames.length > FlushBudget.MAX_WRITTEN) {
        fallBehind(subscriber, from)
        continue
      }
      try {
        if (!isReading(subscriber)) {
          fallBehind(subscriber, from)
          continue
        }
        writes++
        if (subscriber.socket.write(frames) > highWaterMark && subscriber.state === "live") {
          subscribers.leaveHead(subscriber)
          subscribers.stall(subscriber, head.offset)
        }
      } catch (defect) {
        // What it was given of these bytes is unknown: only a new connection can be right.
        faults.record(defect)
        subscriber.socket.terminate()
      }
    }
    deliveries += writes * pending.length
    bytes += writes * frames.length
  }

  const deliver = (entries: ReadonlyArray<EventLog.LogEntry>, from: Offset) => {
    const before = { deliveries, bytes }
    const touched: Array<Group> = []
    const give = (group: Group, entry: EventLog.LogEntry) => {
      if (group.live.length === 0) return
      if (group.pending.length === 0) touched.push(group)
      group.pending.push(entry)
    }
    let encode: ReturnType<typeof EventBatch.forFlush>
    try {
      encode = EventBatch.forFlush(TimeoutQueues.sentAt(clock), stamp.next, compressOnce)
      for (const entry of entries) {
        subscribers.forEachMatching(entry, (group) => give(group, entry))
        const { departure } = entry
        if (departure === undefined) continue
        subscribers.forEachMatching(departure, (group) => {
          if (!Filter.matches(group.filter, entry)) give(group, departure)
        })
      }
    } catch (defect) {
      // Which groups it concerns is unknown: all of them are caught up.
      faults.record(defect)
      for (const group of touched) group.pending = []
      everyoneBehind(from)
      return
    }
    let made = 0
    for (const group of touched) {
      const { pending } = group
      group.pending = []
      try {
        // A flush that makes more is cut: the other groups get theirs step by step, between which the gateway does other work.
        const cost = FlushBudget.GROUP_COST + EventBatch.size(pending)
        if (made + cost > FlushBudget.TURN_BYTES) {
          groupBehind(group, from)
          continue
        }
        made += cost
        writeGroup(group, pending, from, encode)
      } catch (defect) {
        // Thrown before its first write: its connections have nothing of this flush.
        faults.record(defect)
        groupBehind(group, from)
      }
    }
    compressions.clear()
    flushes++
    subscribers.notifyActivity()
    meter.flushed(entries.length, deliveries - before.deliveries, bytes - before.bytes)
  }

  const everyoneBehind = (from: Offset) => {
    meter.overrun()
    for (const group of subscribers.groups.values()) groupBehind(group, from)
    subscribers.notifyActivity()
  }

  const tailOf = (index: number) => {
    try {
      return log.tail(index)
    } catch (defect) {
      faults.record(defect)
      return undefined
    }
  }

  const flushNow = () => {
    const from = head
    const next = log.head()
    if (next.index === from.index) return
    const entries = tailOf(from.index)
    head = next
    if (entries !== undefined) deliver(entries, from.offset)
    else {
      // More was published in one turn than the history holds, or it is another history: everybody is behind.
      catchUps.forget()
      everyoneBehind(from.offset)
    }
  }

  const linger = Duration.toMillis(config.linger) > 0 ? Effect.sleep(config.linger) : nextTurn

  const keepFlushing = (when: Effect.Effect<unknown>) =>
    Effect.zipRight(when, Effect.sync(flushNow)).pipe(
      Effect.catchAllCause((cause) => Effect.logError("the fan-out failed", cause)),
      Effect.forever,
      Effect.forkScoped,
      Effect.interruptible
    )

  yield* Queue.take(subscription).pipe(
    Effect.flatMap(() => {
      // An event that did not come through this process's `StatusSync` is first heard of here.
      if (log.head().index !== head.index) meter.waits()
      return linger
    }),
    Effect.zipRight(Queue.takeAll(subscription)),
    keepFlushing
  )
  // What was known before is not in the tail any more: everybody is caught up by cursor.
  yield* keepFlushing(log.rebuilds)

  const subscribe = ({ filter, socket, start, sync }: SubscribeOptions): Subscriber => {
    flushNow()
    const subscriber = subscribers.add(socket, filter, sync)
    if (start._tag === "Head") catchUps.resume(subscriber, head.offset)
    else {
      if (start._tag === "Snapshot") subscriber.target = head.offset
      catchUps.begin(subscriber, start._tag === "Since" ? start.offset : undefined)
    }
    return subscriber
  }

  const unsubscribe = (subscriber: Subscriber) => {
    if (subscriber.state === "gone") return
    subscribers.remove(subscriber)
    catchUps.abandon(subscriber)
  }

  const drained = (subscriber: Subscriber) => {
    if (subscriber.state !== "stalled") return
    subscribers.unstall(subscriber)
    catchUps.resume(subscriber, subscriber.cursor)
  }

  const setFilter = (subscriber: Subscriber, filter: Filter.Filter) => {
    if (subscriber.state === "gone") return
    flushNow()
    if (subscriber.state === "live") {
      subscribers.leaveHead(subscriber)
      subscriber.cursor = head.offset
    }
    subscribers.move(subscriber, filter)
    if (subscriber.group.sync) {
      subscriber.cursor = undefined
      subscriber.conflateFrom = undefined
      subscriber.target = head.offset
      subscriber.joined = false
    }
    if (subscriber.state === "behind") catchUps.resume(subscriber, subscriber.cursor)
  }

  const status = (subscriber: Subscriber): SubscriberStatus => ({
    state: subscriber.state === "gone" ? "live" : subscriber.state,
    cursor: subscriber.state === "live" ? head.offset : subscriber.cursor,
    unsentBytes: subscriber.socket.unsentBytes(),
    stalledMillis: subscribers.stalledMillis(subscriber),
    lost: subscriber.lost,
    catchUps: subscriber.catchUps
  })

  return Broadcast.of({
    subscribe,
    unsubscribe,
    setFilter,
    drained,
    status,
    head: () => head.offset,
    flush: Effect.sync(flushNow),
    flushNow,
    published: (span) => {
      const waiting = log.head().index - head.index
      if (waiting === 0) {
        // Its flush was over before its publisher heard of its place.
        span?.end(clock.unsafeCurrentTimeNanos(), Exit.void)
        return
      }
      meter.waits(span)
      if (waiting >= config.historyCapacity / 2) flushNow()
    },
    caughtUp: subscribers.caughtUp,
    activity: subscribers.activity,
    stats: () => ({
      flushes,
      deliveries: deliveries + catchUps.counts.deliveries,
      bytes: bytes + catchUps.counts.bytes,
      stalls: subscribers.stalls,
      catchUps: { ...catchUps.counts.begun },
      conflations: catchUps.counts.conflations,
      lost: catchUps.counts.lost,
      live: subscribers.live,
      stalled: subscribers.stalled,
      behind: subscribers.away.size - subscribers.stalled,
      groups: subscribers.groups.size
    }),
    isFailing: faults.isFailing,
    maxLag: () => {
      let events = 0
      let millis = 0
      let unsentBytes = 0
      for (const subscriber of subscribers.away) {
        unsentBytes += subscriber.socket.unsentBytes()
        if (!subscriber.joined) continue
        const distance = log.lag(subscriber.cursor)
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
export const layer: Layer.Layer<
  Broadcast,
  never,
  StatusSyncConfig.StatusSyncConfig | EventLog.EventLog | Stamps.Stamps
> = Layer.scoped(Broadcast, make)
