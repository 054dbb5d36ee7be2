/**
 * One gateway's copy of the log's recent part: history, latest, removal marks. Pure: places, times and epoch are given, and reading appends nothing.
 *
 * The owner of the log gives every event its place, and appends what `overdue` says. So every mirror lets go of the same keys at the same offset.
 */
import * as Duration from "effect/Duration"
import type { Offset, SyncMode } from "../../../stratix-core/stratix-protocol.js"
import type { Settings } from "../../config/StatusSyncConfig.js"
import {
  type CatchUp,
  type Draft,
  type Lag,
  type LogEntry,
  type SinceOptions,
  type Stats,
  toldOf
} from "../EventLog.js"
import * as Filter from "../Filter.js"
import type { Stamp } from "../Stamps.js"
import * as Tenant from "../Tenant.js"
import { copyOf, type MirrorCopy, recordedOf } from "./Copy.js"
import { Epochs, offsetOf, type Place, placeOf } from "./Epochs.js"
import { FinishedCommands } from "./FinishedCommands.js"
import { History } from "./History.js"
import { agentKey, failedOf, Leases, offlineOf } from "./Leases.js"
import { type Effects, effectsOf, type Kept, type Origin, type Recorded, type Retained } from "./Records.js"
import { removalOf } from "./Removals.js"
import { type Restoration, restorationOf } from "./Restoration.js"
import { RunningCommands } from "./RunningCommands.js"
import { StatusCounts } from "./StatusCounts.js"
import { isMark, type StateParts, type Stored, statePartsOf, storedOf } from "./Stored.js"

/** How many entries one `since` looks at before it lets others run, so that a narrow filter over a long history cannot hold the thread. */
const SCAN_LIMIT = 8192

/** Entries that hold no key's newest event any more are swept out of `ordered` once there are this many more of them than live ones. */
const COMPACT_SLACK = 64

/** A mirror that has seen nothing yet. */
export class Mirror {
  private readonly history: History<Stored>
  private newest: Place
  /** Of the newest, once it was asked for. */
  private position: { readonly offset: Offset; readonly index: number } | undefined
  /** Those that the owner of the log knows of now. */
  epochs: Epochs
  /** From sequence numbers to indexes. */
  private readonly shift: number
  // Latest: by key, and in offset order with superseded entries and removal marks among them. Bound: latestCapacity and finishedCapacity keys, and latestBytes characters, by `overdue`.
  private readonly byKey = new Map<string, Stored>()
  private ordered: Array<Stored> = []
  private orderedFront = 0
  private dead = 0
  /** How many entries were superseded until now. */
  private superseded = 0
  private latestBytes = 0
  private readonly finished = new FinishedCommands<Stored>()
  // What was removed, by what, oldest first. Bound: removalMarks; the oldest leave, and readers from before them start afresh.
  private readonly marks = new Map<string, Stored>()
  private lastForgotten = 0
  private readonly leases = new Leases()
  private readonly running = new RunningCommands()
  private readonly statuses = new StatusCounts()
  private finishedDropped = 0
  private keysDropped = 0
  private leasesExpired = 0
  private readonly retention: number

  constructor(
    private readonly settings: Settings,
    { after, epochs, index }: Origin
  ) {
    this.history = new History(settings.historyCapacity, settings.historyBytes, after.seq)
    this.newest = after
    this.epochs = new Epochs(epochs)
    this.shift = index - after.seq
    this.retention = Duration.toMillis(settings.finishedRetention)
  }

  get place(): Place {
    return this.newest
  }

  get head(): { readonly offset: Offset; readonly index: number } {
    this.position ??= { offset: offsetOf(this.newest), index: this.newest.seq + this.shift }
    return this.position
  }

  /** The newest event of a key. */
  newestOf(key: string): LogEntry | undefined {
    return this.byKey.get(key)
  }

  /** What an owner must keep, to make this mirror again. */
  retained(): Retained {
    const { first } = this.history
    const older = this.ordered.filter((entry) => entry.superseded === 0 && entry.seq < first)
    return { first, older: older.map(({ seq }) => seq), forgotten: this.lastForgotten }
  }

  /** All that another process needs to make this mirror. */
  copy(): MirrorCopy {
    const [latest, marks] = [this.byKey.values(), this.marks.values()]
    return copyOf(
      { history: this.history, newest: this.newest, epochs: this.epochs, latest, marks },
      this.lastForgotten
    )
  }

  /** At most `count` events after an index, for another process; `undefined` where some have left the history. */
  recordedAfter(index: number, count: number): ReadonlyArray<Recorded> | undefined {
    return this.history.after(index - this.shift, count)?.map(recordedOf)
  }

  /** Takes the next event of the log. */
  apply(
    draft: Draft,
    place: Place,
    now: number,
    effects: Effects = effectsOf(draft, (key) => this.byKey.get(key))
  ): LogEntry {
    const entry = this.record({ draft, place, now, effects })
    this.change(entry, effects.removed, true)
    return entry
  }

  /** Takes what the owner of a log kept, once and before any event. */
  restore({ forgotten, history, latest, marks }: Kept): void {
    const restoration = this.restoring(history)
    for (const kept of latest) restoration.state(kept)
    for (const kept of marks) restoration.mark(kept)
    restoration.done(forgotten)
  }

  /** As `restore`, of what comes bit by bit: the history here, and the rest in any order, until `done`. */
  restoring(history: Iterable<Recorded>): Restoration {
    for (const kept of history) this.record(kept)
    const { first } = this.history
    return restorationOf({
      entryOf: (kept) => (kept.place.seq >= first ? this.history.at(kept.place.seq) : storedOf(kept, this.shift)),
      begin: (forgotten) => {
        this.lastForgotten = forgotten
      },
      hold: (entry) => {
        if (entry.key !== undefined) this.hold(entry.key, entry)
      },
      mark: (entry) => this.mark(entry)
    })
  }

  /** Takes an event that the owner of a log kept, before any other, and in their order. `isRecent`: it is of the history, as all after it are. */
  replay(kept: Recorded, forgotten: number, isRecent: boolean): void {
    const { effects, place } = kept
    this.lastForgotten = Math.max(this.lastForgotten, forgotten)
    const entry = isRecent ? this.record(kept) : storedOf(kept, this.shift)
    this.change(entry, effects.removed, place.seq >= forgotten)
  }

  /** The lease of the agent whose status has this key runs its full length again. `false`: it has none. */
  renew(key: string, now: number): boolean {
    return this.leases.renew(key, now)
  }

  /** Every lease runs its full length once more: for an owner that was away, and could hear no renewal. */
  restartLeases(now: number): void {
    this.leases.restart(now)
  }

  /** The next event that a lease, age or a cap asks for. It must be appended before the next one is asked for. */
  overdue(now: number, stampOf: () => Stamp): Draft | undefined {
    const lapsed = this.leases.lapsed(now)
    if (lapsed !== undefined) {
      const { holder, key } = lapsed
      const command = lapsed.endCommands ? this.running.firstOf(key) : undefined
      if (command !== undefined) return failedOf(command, holder, stampOf())
      this.leasesExpired++
      return offlineOf(holder, stampOf())
    }
    const finished = this.finished.oldest()
    if (
      finished !== undefined &&
      (this.finished.live > this.settings.finishedCapacity || finished.appendedAt <= now - this.retention)
    ) {
      this.finishedDropped++
      return removalOf(finished, stampOf())
    }
    const { latestBytes, latestCapacity } = this.settings
    const isTooMuch = this.byKey.size > latestCapacity || (this.latestBytes > latestBytes && this.byKey.size > 1)
    while (isTooMuch && this.orderedFront < this.ordered.length) {
      const oldest = this.ordered[this.orderedFront++]
      if (oldest === undefined || oldest.superseded > 0 || isMark(oldest)) continue
      // Said once and never again, it is always old: it leaves with the agent's status.
      const { agentId = "", tenant } = oldest
      const isInfo = oldest.key === Tenant.scoped(tenant, `agent-info:${agentId}`)
      if (isInfo && this.byKey.has(agentKey(agentId, tenant))) continue
      this.keysDropped++
      return removalOf(oldest, stampOf())
    }
    return undefined
  }

  /** When a lease or age may ask for the next event. */
  nextDue(): number {
    const finished = this.finished.oldest()
    const aged = finished === undefined ? Number.POSITIVE_INFINITY : finished.appendedAt + this.retention
    return Math.min(aged, this.leases.nearest())
  }

  since(cursor: Offset | undefined, options: SinceOptions): CatchUp {
    const filter = options.filter ?? Filter.all
    const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
    const until = (options.until === undefined ? undefined : this.parse(options.until)) ?? this.newest
    const from = cursor === undefined ? undefined : this.parse(cursor)
    if (from === undefined) return this.conflated("snapshot", 0, undefined, until, filter, maxBytes)
    if (from.seq >= until.seq) return { mode: "resume", entries: [], to: offsetOf(from), more: false, lost: 0 }
    const base = options.conflateFrom === undefined ? undefined : this.parse(options.conflateFrom)
    if (base === undefined && from.seq >= this.history.first - 1) return this.exactly(from, until, filter, maxBytes)
    // A reader in the middle of a snapshot is owed nothing from before it began.
    const known = base !== undefined && base.seq > from.seq ? base : from
    // A removal whose mark is forgotten cannot be told any more: a reader that may hold its key must start afresh.
    if (this.lastForgotten > known.seq && options.neverSnapshot !== true)
      return this.conflated("snapshot", 0, known, until, filter, maxBytes)
    return this.conflated("conflated", from.seq, known, until, filter, maxBytes)
  }

  latest(filter: Filter.Filter): StateParts {
    return statePartsOf(this.head.offset, this.ordered, this.superseded, filter)
  }

  tail(index: number): ReadonlyArray<LogEntry> | undefined {
    return this.history.after(index - this.shift)
  }

  at(index = this.history.first + this.shift): LogEntry | undefined {
    const seq = index - this.shift
    return seq < this.history.first || seq > this.history.last ? undefined : this.history.at(seq)
  }

  lag(cursor: Offset | undefined, now: number): Lag {
    const seq = (cursor === undefined ? undefined : this.parse(cursor))?.seq ?? 0
    const { first, last } = this.history
    if (seq >= last) return { events: 0, millis: 0 }
    // A clock that was set back makes nothing younger than now.
    const millis = Math.max(0, now - this.history.at(Math.max(seq + 1, first)).appendedAt)
    return { events: last - seq, millis }
  }

  stats(): Omit<Stats, "appended"> {
    return {
      eventTypes: this.history.types,
      historyEvents: this.history.size,
      historyBytes: this.history.characters,
      keys: this.byKey.size,
      removalMarks: this.marks.size,
      finishedDropped: this.finishedDropped,
      keysDropped: this.keysDropped,
      agents: this.statuses.agents,
      commands: this.statuses.commands,
      leases: this.leases.size,
      leasesExpired: this.leasesExpired
    }
  }

  private parse(offset: Offset): Place | undefined {
    const place = placeOf(offset)
    if (place === undefined || !this.epochs.gave(place)) return undefined
    const { first } = this.history
    if (place.seq > this.newest.seq || place.keyless > this.newest.keyless) return undefined
    // Where the history can tell, an offset that this log did not give is unknown.
    return place.seq >= first && this.history.at(place.seq).keyless !== place.keyless ? undefined : place
  }

  /** What an event does to the state. */
  private change(entry: Stored, removed: boolean, isMarked: boolean): void {
    for (const key of entry.removes) this.end(key)
    if (isMarked && entry.departure !== undefined) this.mark(entry.departure)
    if (isMarked && removed) this.mark(entry)
    if (entry.key !== undefined) this.hold(entry.key, entry)
  }

  /** Into the history. */
  private record(recorded: Recorded): Stored {
    this.newest = recorded.place
    this.position = undefined
    const entry = storedOf(recorded, this.shift)
    this.history.add(entry)
    return entry
  }

  /** Into the state. */
  private hold(key: string, entry: Stored): void {
    const before = this.byKey.get(key)
    if (before !== undefined) this.bury(before)
    this.byKey.set(key, entry)
    this.ordered.push(entry)
    this.latestBytes += entry.json.length
    this.running.add(entry)
    this.statuses.add(entry)
    this.lease(entry)
    if (entry.finished) this.finished.add(entry)
  }

  /** A status of an agent begins or ends its lease. */
  private lease({ agentId, appendedAt, key, lease, tenant }: Stored): void {
    if (agentId === undefined || key !== agentKey(agentId, tenant)) return
    if (lease === undefined) this.leases.stop(key)
    else this.leases.start(key, { tenant, agentId }, lease, appendedAt)
  }

  private end(key: string): void {
    const held = this.byKey.get(key)
    if (held === undefined) return
    this.byKey.delete(key)
    this.leases.stop(key)
    this.bury(held)
  }

  /** A removal stays where conflated catch-ups see it. A newer one of the same thing from the same agent says as much. */
  private mark(removal: Stored): void {
    const name = JSON.stringify([removal.tenant, removal.agentId, removal.commandId, removal.removes[0]])
    const before = this.marks.get(name)
    if (before !== undefined) this.bury(before)
    this.marks.delete(name)
    this.marks.set(name, removal)
    this.ordered.push(removal)
    for (const [oldest, forgotten] of this.marks) {
      if (this.marks.size <= this.settings.removalMarks) break
      this.marks.delete(oldest)
      this.lastForgotten = forgotten.seq
      this.bury(forgotten)
    }
  }

  private bury(entry: Stored): void {
    entry.superseded = ++this.superseded
    if (!isMark(entry)) this.latestBytes -= entry.json.length
    this.dead++
    this.running.remove(entry)
    this.statuses.remove(entry)
    if (entry.finished) this.finished.live--
    if (this.dead > this.ordered.length - this.dead + COMPACT_SLACK) {
      this.ordered = this.ordered.filter((kept) => kept.superseded === 0)
      this.orderedFront = 0
      this.dead = 0
    }
  }

  private exactly(cursor: Place, until: Place, filter: Filter.Filter, maxBytes: number): CatchUp {
    const entries: Array<LogEntry> = []
    const stop = Math.min(until.seq, cursor.seq + SCAN_LIMIT)
    let { seq } = cursor
    let size = 0
    while (seq < stop && size < maxBytes) {
      const told = toldOf(this.history.at(++seq), filter)
      if (told === undefined) continue
      entries.push(told)
      size += told.json.length
    }
    const more = seq < until.seq
    return { mode: "resume", entries, to: more ? this.history.at(seq).offset : offsetOf(until), more, lost: 0 }
  }

  /** Index in `ordered` of the first entry after `seq`. */
  private after(seq: number): number {
    let low = 0
    let high = this.ordered.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.ordered[middle]?.seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }

  private conflated(
    mode: SyncMode,
    start: number,
    known: Place | undefined,
    until: Place,
    filter: Filter.Filter,
    maxBytes: number
  ): CatchUp {
    const entries: Array<LogEntry> = []
    // A reader that begins with nothing, or with what was so at `known`, holds nothing that was removed before.
    const marksFrom = mode === "snapshot" ? until.seq : (known?.seq ?? 0)
    let size = 0
    let to = until
    let more = false
    const from = this.after(start)
    for (let i = from; i < this.ordered.length; i++) {
      const entry = this.ordered[i]
      if (entry === undefined || entry.seq > until.seq) break
      const previous = this.ordered[i - 1]
      // A command that moved has two entries at one place: no step ends between them.
      if ((size >= maxBytes || i - from >= SCAN_LIMIT) && previous !== undefined && previous.seq !== entry.seq) {
        more = true
        to = previous
        break
      }
      if (entry.superseded > 0 || !Filter.matches(filter, entry)) continue
      if (isMark(entry) && entry.seq <= marksFrom) continue
      if (entry.instead !== undefined && Filter.matches(filter, entry.instead)) continue
      entries.push(entry)
      size += entry.json.length
    }
    const lost = known !== undefined && Filter.admitsKeyless(filter) ? Math.max(0, to.keyless - known.keyless) : 0
    return { mode, entries, to: offsetOf(to), more, lost }
  }
}
