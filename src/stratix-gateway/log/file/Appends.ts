/**
 * Appends on their way to the file: many in one batch, one batch at a time.
 *
 * An event is shown once the file has it. The log's own events (leases, age, caps) are shown at once and are in the next batch: no publisher
 * counts on them, and after a crash the next start makes them again.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { Offset } from "../../../stratix-core/stratix-protocol.js"
import type { LogFailure } from "../../telemetry/Metrics.js"
import { type Draft, EventLogError, type LogEntry } from "../EventLog.js"
import type { KeyedAppends } from "../Idempotency.js"
import { offsetOf, type Place } from "../mirror/Epochs.js"
import type { Mirror } from "../mirror/Mirror.js"
import type { OwnEvents } from "../mirror/OwnEvents.js"
import { pack } from "../mirror/Packed.js"
import { effectsOf, isKeyless, type Recorded } from "../mirror/Records.js"
import type { Failure, Journal } from "./Journal.js"

/** Events in one batch, if no single append has more: what is shown in one turn of the event loop. */
const BATCH_EVENTS = 500

/** Characters of events that wait, all batches together. Above it appends fail. */
const MAX_WAITING = 16 * 1024 * 1024

/** Of SQLite: a flush to the disk failed, and what the disk has is not known. */
const FSYNC_FAILED = new Set([1034, 1290])

type Result = Exit.Exit<ReadonlyArray<Offset>, EventLogError>

interface Request {
  readonly drafts: ReadonlyArray<Draft>
  readonly idempotencyKey: string | undefined
  readonly characters: number
  readonly since: number
  readonly done: (result: Result) => void
}

/** Events of a batch that are not shown yet. */
interface Prepared {
  readonly request: Request
  readonly recorded: ReadonlyArray<Recorded>
}

interface Batch {
  readonly own: number
  readonly prepared: ReadonlyArray<Prepared>
  readonly since: number
  readonly characters: number
}

/** What they work on. */
export interface Context {
  readonly journal: Journal
  readonly mirror: Mirror
  /** In which new places are given. */
  readonly epoch: string
  readonly keyed: KeyedAppends
  /** Milliseconds that never go back, and are those of the wall clock at the start. */
  readonly now: () => number
  /** Milliseconds for a batch to be written. */
  readonly patience: number
  readonly announce: (entries: ReadonlyArray<LogEntry>) => void
  readonly count: (eventType: string) => void
  /** When the log itself has something to add next. */
  readonly dueAt: (time: number) => void
  /** A batch was written: so long it took, and so many characters it had. */
  readonly written: (millis: number, characters: number) => void
  /** It began to fail, or it is well again. */
  readonly changed: (failure: Failure | undefined) => void
}

/** The appends of a gateway. */
export class Appends {
  private closed = false
  // Bound: MAX_WAITING characters; above it appends fail.
  private waiting: Array<Request> = []
  private waitingCharacters = 0
  private inFlight: Batch | undefined
  // Shown, and not written yet. Bound: what the state may hold, for without a batch nothing new is shown.
  private own: Array<Recorded> = []
  private forgotten: Array<string> = []
  private failure: Failure | undefined
  private failingSince = 0
  /** Set by the owner: makes the log's own events. */
  ownEvents: OwnEvents | undefined

  /** Appends that failed. */
  readonly failures: Record<LogFailure, number> = { unavailable: 0, uncertain: 0 }

  constructor(private readonly context: Context) {}

  /** Whether places are being given: nothing can be shown before. */
  get isBusy(): boolean {
    return this.inFlight !== undefined
  }

  /** Milliseconds for which the file has not taken events. */
  staleMillis(): number {
    const now = this.context.now()
    if (this.failure !== undefined) return now - this.failingSince
    const { inFlight } = this
    return inFlight !== undefined && now - inFlight.since > this.context.patience ? now - inFlight.since : 0
  }

  append(
    drafts: ReadonlyArray<Draft>,
    idempotencyKey: string | undefined
  ): Effect.Effect<ReadonlyArray<Offset>, EventLogError> {
    return Effect.async((resume) => {
      if (this.closed) return resume(new EventLogError({ reason: "Closed" }))
      const characters = drafts.reduce((sum, { json }) => sum + json.length, 0)
      if (this.waiting.length > 0 && this.waitingCharacters + characters > MAX_WAITING)
        return resume(this.unavailable("too much waits for the file of the log"))
      this.waiting.push({ drafts, idempotencyKey, characters, since: this.context.now(), done: resume })
      this.waitingCharacters += characters
      this.pump()
    })
  }

  /** Gives an event of the log's own its place, and shows it. */
  appendOwn(draft: Draft, time: number): LogEntry {
    const { mirror } = this.context
    const recorded = this.recordedOf(draft, mirror.place, time, (key) => mirror.newestOf(key))
    this.own.push(recorded)
    return this.apply(recorded)
  }

  /** An idempotency key is not remembered any more. */
  forget(key: string): void {
    this.forgotten.push(key)
  }

  /** Writes what waits, if nothing is being written. `isProbe`: something in any case, to learn whether it can be. */
  pump(isProbe = false): void {
    if (this.inFlight !== undefined) return
    const { journal, mirror, now } = this.context
    const time = now()
    const batch = this.take(time)
    const events = [...this.own, ...batch.flatMap(({ recorded }) => recorded)]
    if (events.length === 0 && !isProbe) {
      this.settle(batch, time)
      return
    }
    const packed = events.map(pack)
    const characters = packed.reduce((sum, text) => sum + text.length, 0)
    const inFlight = { own: this.own.length, prepared: batch, since: time, characters }
    this.inFlight = inFlight
    const forgotten = this.forgotten
    this.forgotten = []
    const keys = batch.flatMap(({ recorded, request: { idempotencyKey } }) =>
      idempotencyKey === undefined || recorded.length === 0
        ? []
        : [
            [
              idempotencyKey,
              JSON.stringify([idempotencyKey, time, ...recorded.map(({ place }) => offsetOf(place))])
            ] as const
          ]
    )
    const first = (events[0]?.place ?? mirror.place).seq
    journal.ask("commit", { first, packed, keys, forgotten }, (answer) => {
      this.inFlight = undefined
      if (Either.isRight(answer)) this.committed(inFlight)
      else {
        this.forgotten = [...forgotten, ...this.forgotten]
        this.failed(inFlight, answer.left)
      }
    })
  }

  /** What has waited too long fails. */
  look(): void {
    const { now, patience } = this.context
    const before = now() - patience
    const { inFlight } = this
    if (inFlight !== undefined && inFlight.since < before)
      for (const { request } of inFlight.prepared)
        this.answer(request, () =>
          this.uncertain("the file of the log is slow: the events are written when the disk takes them")
        )
    const late = this.waiting.filter(({ since }) => since < before)
    if (late.length > 0) {
      this.waiting = this.waiting.filter(({ since }) => since >= before)
      for (const request of late) {
        this.waitingCharacters -= request.characters
        this.answer(request, () => this.unavailable("the file of the log is slow"))
      }
    }
    if (this.failure !== undefined) this.pump(true)
  }

  /** Takes nothing more. Completes once what was taken is written, or cannot be. */
  close(): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.closed = true
      for (const request of this.waiting.splice(0)) this.answer(request, () => new EventLogError({ reason: "Closed" }))
      this.onIdle = () => resume(Effect.void)
      if (this.inFlight === undefined && this.own.length > 0 && this.failure === undefined) this.pump()
      if (this.inFlight === undefined) resume(Effect.void)
    })
  }

  private onIdle: () => void = () => undefined
  private readonly answered = new WeakSet<Request>()

  private answer(request: Request, error: () => EventLogError): void {
    if (this.answered.has(request)) return
    this.answered.add(request)
    request.done(Exit.fail(error()))
  }

  private unavailable(detail: string): EventLogError {
    this.failures.unavailable++
    return new EventLogError({ reason: "Unavailable", detail })
  }

  private uncertain(detail: string): EventLogError {
    this.failures.uncertain++
    return new EventLogError({ reason: "Uncertain", detail })
  }

  private recordedOf(draft: Draft, after: Place, time: number, newestOf: (key: string) => Draft | undefined): Recorded {
    const place = {
      epoch: this.context.epoch,
      seq: after.seq + 1,
      keyless: after.keyless + (isKeyless(draft) ? 1 : 0)
    }
    return { draft, place, now: time, effects: effectsOf(draft, newestOf) }
  }

  private apply({ draft, effects, now, place }: Recorded): LogEntry {
    this.context.count(draft.eventType)
    return this.context.mirror.apply(draft, place, now, effects)
  }

  /** The next requests, with places for their events. */
  private take(time: number): ReadonlyArray<Prepared> {
    const { keyed, mirror } = this.context
    const batch: Array<Prepared> = []
    const keys = new Set<string>()
    // What the events before in this batch do to the state.
    const changed = new Map<string, Draft | undefined>()
    const newestOf = (key: string) => (changed.has(key) ? changed.get(key) : mirror.newestOf(key))
    let { place } = mirror
    let events = this.own.length
    let taken = 0
    for (const request of this.waiting) {
      const { drafts, idempotencyKey } = request
      // Asked twice at once: the second is answered when the first is written.
      if (idempotencyKey !== undefined && keys.has(idempotencyKey)) break
      const given = idempotencyKey === undefined ? undefined : keyed.find(idempotencyKey, time)
      if (given === undefined && batch.length > 0 && events + drafts.length > BATCH_EVENTS) break
      taken++
      this.waitingCharacters -= request.characters
      if (given !== undefined) {
        request.done(Exit.succeed(given))
        continue
      }
      if (idempotencyKey !== undefined) keys.add(idempotencyKey)
      const recorded = drafts.map((draft) => {
        const next = this.recordedOf(draft, place, time, newestOf)
        place = next.place
        for (const key of draft.removes) changed.set(key, undefined)
        if (draft.key !== undefined) changed.set(draft.key, draft)
        return next
      })
      events += drafts.length
      batch.push({ request, recorded })
    }
    this.waiting.splice(0, taken)
    return batch
  }

  private committed({ characters, own, prepared, since }: Batch): void {
    const time = this.context.now()
    this.own.splice(0, own)
    if (this.failure !== undefined) {
      this.failure = undefined
      this.context.changed(undefined)
    }
    this.context.written(time - since, characters)
    this.settle(prepared, time)
  }

  /** Shows a batch, and what the log itself adds to it. */
  private settle(prepared: ReadonlyArray<Prepared>, time: number): void {
    const { keyed } = this.context
    const entries: Array<LogEntry> = []
    const answers: Array<() => void> = []
    for (const { recorded, request } of prepared) {
      for (const each of recorded) entries.push(this.apply(each))
      const offsets = recorded.map(({ place }) => offsetOf(place))
      const { idempotencyKey } = request
      if (idempotencyKey !== undefined && offsets.length > 0) keyed.add(idempotencyKey, offsets, time)
      answers.push(() => request.done(Exit.succeed(offsets)))
    }
    this.show(entries, time)
    for (const answer of answers) answer()
    if (this.own.length > 0 || this.waiting.length > 0) this.pump()
    if (this.inFlight === undefined) this.onIdle()
  }

  private failed({ prepared }: Batch, failure: Failure): void {
    const isFirst = this.failure === undefined
    if (isFirst) this.failingSince = this.context.now()
    this.failure = failure
    if (isFirst) this.context.changed(failure)
    const isUnknown = FSYNC_FAILED.has(failure.code)
    for (const { request } of prepared) {
      this.answer(request, () =>
        isUnknown
          ? this.uncertain(failure.message)
          : this.unavailable(`the file of the log takes nothing: ${failure.message}`)
      )
    }
    this.show([], this.context.now())
    if (this.waiting.length > 0) this.pump()
    if (this.inFlight === undefined) this.onIdle()
  }

  /** Announces events, and after them what the log itself adds. */
  private show(entries: ReadonlyArray<LogEntry>, time: number): void {
    const { announce, dueAt } = this.context
    const own = this.ownEvents?.due(time, entries.length) ?? []
    if (entries.length + own.length > 0) announce([...entries, ...own])
    dueAt(this.ownEvents?.nextAt ?? Number.POSITIVE_INFINITY)
  }
}
