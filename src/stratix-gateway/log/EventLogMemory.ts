/**
 * The log in the memory of one process.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type { Offset, SyncMode } from "../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import { type EventKind, eventKind } from "../telemetry/Metrics.js"
import {
  type CatchUp,
  type Draft,
  EventLog,
  EventLogError,
  type Lag,
  type Latest,
  type LogEntry,
  type SinceOptions
} from "./EventLog.js"
import * as Filter from "./Filter.js"

/** An offset of the memory log: epoch, sequence number, and how many events up to it had no key. The last lets a resume say how many of them it lost. */
interface Parsed {
  readonly seq: number
  readonly keyless: number
}

interface Stored extends LogEntry {
  /** How many events up to this one had no key. */
  readonly keyless: number
  readonly appendedAt: number
  superseded: boolean
}

/** How many entries one `since` looks at before it lets others run, so that a narrow filter over a long history cannot hold the thread. */
const SCAN_LIMIT = 8192

/** Entries that hold no key's newest event any more are swept out of `ordered` once there are this many more of them than live ones. */
const COMPACT_SLACK = 64

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const clock = yield* Effect.clock
  const retention = Duration.toMillis(config.finishedRetention)
  const epoch =
    (yield* Random.nextIntBetween(0, 36 ** 6)).toString(36).padStart(6, "0") +
    clock.unsafeCurrentTimeMillis().toString(36)

  // Bound: historyCapacity entries; a slower subscriber loses the oldest (sliding), as it would from history.
  const hub = yield* Effect.acquireRelease(PubSub.sliding<LogEntry>(config.historyCapacity), PubSub.shutdown)
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
    })
  )

  // History: a ring. Bound: historyCapacity entries and historyBytes characters; the oldest leave.
  const ring: Array<Stored | undefined> = new Array(config.historyCapacity)
  let first = 1
  let last = 0
  let bytes = 0
  let keyless = 0
  // Latest: by key, and in offset order with superseded entries among them. Bound: latestCapacity and finishedCapacity keys, and latestBytes characters; the oldest leave, counted.
  const byKey = new Map<string, Stored>()
  let ordered: Array<Stored> = []
  let orderedFront = 0
  let dead = 0
  let latestBytes = 0
  // Finished commands, oldest first, superseded ones among them until they reach the front.
  let finished: Array<Stored> = []
  let finishedFront = 0
  let finishedLive = 0
  let lastDropped = 0
  let finishedDropped = 0
  let keysDropped = 0
  const appended: Record<EventKind, number> = {
    agent_status_update: 0,
    command_status_update: 0,
    agent_create: 0,
    other: 0
  }

  const offsetAt = (seq: number, keylessCount: number): Offset =>
    `${epoch}-${seq.toString(36)}-${keylessCount.toString(36)}`
  const parse = (offset: Offset): Parsed | undefined => {
    const [offsetEpoch, seq, count] = offset.split("-")
    if (offsetEpoch !== epoch || seq === undefined || count === undefined) return undefined
    const parsed = { seq: Number.parseInt(seq, 36), keyless: Number.parseInt(count, 36) }
    if (offsetAt(parsed.seq, parsed.keyless) !== offset || parsed.seq > last || parsed.keyless > keyless)
      return undefined
    // Where the history can tell, an offset that this log did not give is unknown.
    return parsed.seq >= first && at(parsed.seq).keyless !== parsed.keyless ? undefined : parsed
  }
  const at = (seq: number): Stored => {
    const entry = ring[seq % ring.length]
    if (entry === undefined || entry.index !== seq) throw new Error(`history has no entry ${seq}`)
    return entry
  }
  const head = (): Parsed => ({ seq: last, keyless })

  const bury = (entry: Stored) => {
    latestBytes -= entry.json.length
    entry.superseded = true
    dead++
    if (entry.finished) finishedLive--
    if (dead > ordered.length - dead + COMPACT_SLACK) {
      ordered = ordered.filter((kept) => !kept.superseded)
      orderedFront = 0
      dead = 0
    }
  }
  const drop = (entry: Stored) => {
    if (entry.key !== undefined) byKey.delete(entry.key)
    lastDropped = Math.max(lastDropped, entry.index)
    if (entry.finished) finishedDropped++
    else keysDropped++
    bury(entry)
  }
  const prune = () => {
    const oldestKept = clock.unsafeCurrentTimeMillis() - retention
    while (finishedFront < finished.length) {
      const entry = finished[finishedFront]
      if (entry === undefined) break
      if (!entry.superseded) {
        if (finishedLive <= config.finishedCapacity && entry.appendedAt > oldestKept) break
        drop(entry)
      }
      finishedFront++
    }
    if (finishedFront > finished.length / 2 + COMPACT_SLACK) {
      finished = finished.slice(finishedFront)
      finishedFront = 0
    }
    while (byKey.size > config.latestCapacity || (latestBytes > config.latestBytes && byKey.size > 1)) {
      const oldest = ordered[orderedFront++]
      if (oldest !== undefined && !oldest.superseded) drop(oldest)
    }
  }

  const appendOne = (draft: Draft, now: number): Stored => {
    const seq = ++last
    appended[eventKind(draft.eventType)]++
    if (draft.key === undefined) keyless++
    const entry: Stored = {
      eventType: draft.eventType,
      agentId: draft.agentId,
      commandId: draft.commandId,
      key: draft.key,
      finished: draft.finished,
      json: draft.json,
      offset: offsetAt(seq, keyless),
      index: seq,
      keyless,
      appendedAt: now,
      superseded: false
    }
    if (last - first + 1 > ring.length) bytes -= at(first++).json.length
    ring[seq % ring.length] = entry
    bytes += entry.json.length
    while (bytes > config.historyBytes && first < last) {
      bytes -= at(first).json.length
      ring[first % ring.length] = undefined
      first++
    }
    if (entry.key !== undefined) {
      const before = byKey.get(entry.key)
      if (before !== undefined) bury(before)
      byKey.set(entry.key, entry)
      ordered.push(entry)
      latestBytes += entry.json.length
      if (entry.finished) {
        finished.push(entry)
        finishedLive++
      }
    }
    return entry
  }

  const append = (drafts: ReadonlyArray<Draft>): Effect.Effect<ReadonlyArray<Offset>, EventLogError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(new EventLogError({ reason: "Closed" }))
      const now = clock.unsafeCurrentTimeMillis()
      const entries = drafts.map((draft) => appendOne(draft, now))
      prune()
      // In the same synchronous step as the append: a fiber may be paused between two of its steps, and another's events would overtake.
      Effect.runSync(PubSub.publishAll(hub, entries))
      return Effect.succeed(entries.map((entry) => entry.offset))
    })

  const exactly = (cursor: Parsed, until: Parsed, filter: Filter.Filter, maxBytes: number): CatchUp => {
    const entries: Array<LogEntry> = []
    const stop = Math.min(until.seq, cursor.seq + SCAN_LIMIT)
    let seq = cursor.seq
    let size = 0
    while (seq < stop && size < maxBytes) {
      const entry = at(++seq)
      if (Filter.matches(filter, entry)) {
        entries.push(entry)
        size += entry.json.length
      }
    }
    const more = seq < until.seq
    return { mode: "resume", entries, to: more ? at(seq).offset : offsetAt(until.seq, until.keyless), more, lost: 0 }
  }

  /** Index in `ordered` of the first entry after `seq`. */
  const after = (seq: number): number => {
    let low = 0
    let high = ordered.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ordered[middle]?.index ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }

  const conflated = (
    mode: SyncMode,
    start: number,
    known: Parsed | undefined,
    until: Parsed,
    filter: Filter.Filter,
    maxBytes: number
  ): CatchUp => {
    const entries: Array<LogEntry> = []
    let size = 0
    let to = until
    let more = false
    const from = after(start)
    for (let i = from; i < ordered.length; i++) {
      const entry = ordered[i]
      if (entry === undefined || entry.index > until.seq) break
      if (size >= maxBytes || i - from >= SCAN_LIMIT) {
        more = true
        const previous = ordered[i - 1]
        if (previous !== undefined) to = { seq: previous.index, keyless: previous.keyless }
        break
      }
      if (!entry.superseded && Filter.matches(filter, entry)) {
        entries.push(entry)
        size += entry.json.length
      }
    }
    const lost = known !== undefined && Filter.admitsKeyless(filter) ? Math.max(0, to.keyless - known.keyless) : 0
    return { mode, entries, to: offsetAt(to.seq, to.keyless), more, lost }
  }

  const since = (cursor: Offset | undefined, options: SinceOptions = {}): Effect.Effect<CatchUp, EventLogError> =>
    Effect.sync(() => {
      prune()
      const filter = options.filter ?? Filter.all
      const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
      const until = (options.until === undefined ? undefined : parse(options.until)) ?? head()
      const from = cursor === undefined ? undefined : parse(cursor)
      if (from === undefined) return conflated("snapshot", 0, undefined, until, filter, maxBytes)
      if (from.seq >= until.seq)
        return { mode: "resume", entries: [], to: offsetAt(from.seq, from.keyless), more: false, lost: 0 }
      const base = options.conflateFrom === undefined ? undefined : parse(options.conflateFrom)
      if (base === undefined && from.seq >= first - 1) return exactly(from, until, filter, maxBytes)
      // A reader in the middle of a snapshot is owed nothing from before it began.
      const known = base !== undefined && base.seq > from.seq ? base : from
      // A key that left `latest` after the reader last knew everything cannot be told as an event: the reader must start afresh.
      if (lastDropped > (base ?? from).seq && options.neverSnapshot !== true)
        return conflated("snapshot", 0, known, until, filter, maxBytes)
      return conflated("conflated", from.seq, known, until, filter, maxBytes)
    })

  const latest = (filter: Filter.Filter = Filter.all): Effect.Effect<Latest, EventLogError> =>
    Effect.sync(() => {
      prune()
      return {
        head: offsetAt(last, keyless),
        entries: ordered.filter((entry) => !entry.superseded && Filter.matches(filter, entry))
      }
    })

  const lag = (cursor: Offset | undefined): Lag => {
    const seq = (cursor === undefined ? undefined : parse(cursor))?.seq ?? 0
    if (seq >= last) return { events: 0, millis: 0 }
    // A clock that was set back makes nothing younger than now.
    const millis = Math.max(0, clock.unsafeCurrentTimeMillis() - at(Math.max(seq + 1, first)).appendedAt)
    return { events: last - seq, millis }
  }

  return EventLog.of({
    id: epoch,
    append,
    since,
    latest,
    subscribe: PubSub.subscribe(hub),
    head: () => ({ offset: offsetAt(last, keyless), index: last }),
    tail: (index) => {
      if (index < first - 1) return undefined
      const entries: Array<LogEntry> = []
      for (let seq = index + 1; seq <= last; seq++) entries.push(at(seq))
      return entries
    },
    lag,
    stats: () => ({
      appended: { ...appended },
      historyEvents: last - first + 1,
      historyBytes: bytes,
      keys: byKey.size,
      finishedDropped,
      keysDropped
    })
  })
})

/** A log in this process's memory: gone when the process ends, and known to be so by its offsets.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<EventLog, never, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(EventLog, make)
