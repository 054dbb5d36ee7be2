/**
 * Appends of one gateway, on their way to Redis: many in one batch, one batch at a time, and each batch under its number until its fate is known.
 *
 * Nothing waits for an engine that is away: what cannot be sent in time fails, and says whether it may have been appended.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Offset } from "../../../stratix-core/stratix-protocol.js"
import type { LogFailure } from "../../telemetry/Metrics.js"
import { type Draft, EventLogError } from "../EventLog.js"
import { offsetOf } from "../mirror/Epochs.js"
import type { Answer } from "./Commands.js"
import * as Wire from "./Wire.js"

/** Events in one batch, if no single append has more: some 2 ms of Redis. */
const BATCH_EVENTS = 200

/** Characters of events that wait, all batches together: half a second of the engine at its fastest. Above it appends fail. */
const MAX_WAITING = 16 * 1024 * 1024

/** Milliseconds between two looks at what waits too long. */
const LOOK = 250

/** What the script said to one element of a batch. */
interface Said {
  readonly text: string
  readonly answer: Pick<Answer, "epoch" | "seq">
}

interface Request {
  readonly drafts: ReadonlyArray<Draft>
  readonly elements: ReadonlyArray<string>
  readonly characters: number
  readonly since: number
  readonly done: (exit: Exit.Exit<Said, EventLogError>) => void
}

/** A batch under its number. */
export interface Batch {
  readonly number: number
  readonly requests: ReadonlyArray<Request>
  readonly elements: ReadonlyArray<string>
  /** By this gateway's clock. */
  readonly deadline: number
  /** It may have been executed. */
  sent: boolean
}

/** An append that has its place, and waits until this gateway's mirror has it. */
interface Arrival {
  readonly epoch: string
  readonly seq: number
  readonly by: number
  readonly done: (exit: Exit.Exit<void, EventLogError>) => void
}

/** The offsets of events appended after a place, as the script writes it: with a 1 for each that is the state of nothing, and a 0 for each other. */
const offsetsAfter = (text: string): ReadonlyArray<Offset> => {
  const [epoch = "", from, before, bits = ""] = text.split(" ")
  let seq = Number(from)
  let keyless = Number(before)
  return [...bits].map((bit) => {
    seq++
    keyless += Number(bit)
    return offsetOf({ epoch, seq, keyless })
  })
}

/** The appends of a gateway. */
export class GroupCommit {
  private open = false
  private closed = false
  // Bound: MAX_WAITING characters; above it appends fail.
  private waiting: Array<Request> = []
  private waitingCharacters = 0
  private inFlight: Batch | undefined
  private numbers = 0
  // Bound: what `patience` milliseconds of batches had.
  private arrivals: Array<Arrival> = []
  private readonly work = Effect.unsafeMakeLatch(false)

  /** Appends that failed. */
  readonly failures: Record<LogFailure, number> = { unavailable: 0, uncertain: 0 }

  /**
   * @param now Milliseconds that never go back.
   * @param patience Milliseconds in which a batch must be executed, and is tried again until then; and in which it must come back by the tail after
   * that, else what answered is not what others read.
   */
  constructor(
    private readonly now: () => number,
    private readonly patience: number
  ) {}

  private unavailable(detail: string): EventLogError {
    this.failures.unavailable++
    return new EventLogError({ reason: "Unavailable", detail })
  }

  private uncertain(detail: string): EventLogError {
    this.failures.uncertain++
    return new EventLogError({ reason: "Uncertain", detail })
  }

  /** Whether appends are taken: the engine is there. */
  setOpen(open: boolean): void {
    this.open = open
    if (!open) {
      const waiting = this.waiting
      this.waiting = []
      this.waitingCharacters = 0
      for (const { done } of waiting) done(Exit.fail(this.unavailable("the connection to the log is lost")))
    }
  }

  close(): void {
    this.closed = true
    this.setOpen(false)
    const { inFlight } = this
    this.inFlight = undefined
    for (const { done } of inFlight?.requests ?? []) done(Exit.fail(this.uncertain("the gateway is shutting down")))
    for (const { done } of this.arrivals) done(Exit.fail(this.uncertain("the gateway is shutting down")))
    this.arrivals = []
  }

  /** Completes with what the script said to these elements. */
  private request(drafts: ReadonlyArray<Draft>, elements: ReadonlyArray<string>): Effect.Effect<Said, EventLogError> {
    return Effect.async((resume) => {
      const characters = drafts.reduce((sum, { json }) => sum + json.length, 0)
      if (this.closed) return resume(new EventLogError({ reason: "Closed" }))
      if (!this.open) return resume(this.unavailable("there is no connection to the log"))
      if (this.waitingCharacters + characters > MAX_WAITING && this.waiting.length > 0)
        return resume(this.unavailable("too much waits for the log"))
      this.waiting.push({ drafts, elements, characters, since: this.now(), done: resume })
      this.waitingCharacters += characters
      this.work.unsafeOpen()
    })
  }

  /** Completes once the mirror has what was appended, and what the log made of it: with no drafts, all that the log has now. */
  append(drafts: ReadonlyArray<Draft>, idempotencyKey = ""): Effect.Effect<ReadonlyArray<Offset>, EventLogError> {
    const elements = [idempotencyKey, String(drafts.length), ...drafts.flatMap(Wire.argumentsOf)]
    return Effect.flatMap(this.request(drafts, elements), ({ answer, text }) =>
      Effect.as(this.arrival(answer), offsetsAfter(text))
    )
  }

  /** Whether the agent whose status has this key has a lease. */
  renew(key: string): Effect.Effect<boolean, EventLogError> {
    return Effect.map(this.request([], ["", "-1", key]), ({ text }) => text === "1")
  }

  /** Completes once Redis remembers that a name was revoked: `at`, in its milliseconds, or so many milliseconds ago. */
  revoke(name: string, at: number | undefined, ago: number): Effect.Effect<number, EventLogError> {
    const elements = ["", "-2", name, at === undefined ? "" : String(at), String(Math.max(0, Math.round(ago)))]
    return Effect.map(this.request([], elements), ({ text }) => Number(text))
  }

  /** Completes once the mirror has a place. */
  arrival({ epoch, seq }: Pick<Answer, "epoch" | "seq">): Effect.Effect<void, EventLogError> {
    return Effect.async((resume) => {
      if (this.arrived({ epoch, seq })) return resume(Effect.void)
      const arrival = { epoch, seq, by: this.now() + this.patience, done: resume }
      this.arrivals.push(arrival)
      return Effect.sync(() => {
        this.arrivals = this.arrivals.filter((other) => other !== arrival)
      })
    })
  }

  /** Set by the owner of the mirror. */
  arrived: (place: { readonly epoch: string; readonly seq: number }) => boolean = () => false

  /** The mirror has more than before. */
  moved(): void {
    if (this.arrivals.length === 0) return
    const still: Array<Arrival> = []
    for (const arrival of this.arrivals) {
      if (this.arrived(arrival)) arrival.done(Exit.void)
      else still.push(arrival)
    }
    this.arrivals = still
  }

  /** Another mirror: what it will never have was lost by the engine. */
  replaced(gave: (place: { readonly epoch: string; readonly seq: number }) => boolean): void {
    const lost = this.arrivals.filter((arrival) => !gave(arrival))
    this.arrivals = this.arrivals.filter(gave)
    for (const { done } of lost) done(Exit.fail(this.uncertain("the log has lost what it acknowledged")))
    this.moved()
  }

  /** The batch to send now: the one whose fate is unknown, or the next. */
  readonly next: Effect.Effect<Batch> = Effect.suspend(() => {
    if (this.inFlight !== undefined) return Effect.succeed(this.inFlight)
    if (this.waiting.length === 0) {
      this.work.unsafeClose()
      return Effect.zipRight(this.work.await, this.next)
    }
    const requests: Array<Request> = []
    let events = 0
    for (const request of this.waiting) {
      if (requests.length > 0 && events + request.drafts.length > BATCH_EVENTS) break
      requests.push(request)
      events += Math.max(1, request.drafts.length)
      this.waitingCharacters -= request.characters
    }
    this.waiting.splice(0, requests.length)
    const elements = requests.flatMap((request) => request.elements)
    const batch = { number: ++this.numbers, requests, elements, deadline: this.now() + this.patience, sent: false }
    this.inFlight = batch
    return Effect.succeed(batch)
  })

  /** A batch has its places. */
  answered(batch: Batch, answer: Answer): void {
    if (this.inFlight === batch) this.inFlight = undefined
    batch.requests.forEach(({ done }, i) => {
      done(Exit.succeed({ text: answer.places[i] ?? "", answer }))
    })
  }

  /** A batch was not executed, and will not be. */
  refused(batch: Batch, detail: string): void {
    if (this.inFlight === batch) this.inFlight = undefined
    for (const { done } of batch.requests) done(Exit.fail(this.unavailable(detail)))
  }

  /** What has waited too long fails. `false`: an append did not come back. */
  private look(): boolean {
    const now = this.now()
    const { inFlight } = this
    if (inFlight !== undefined && now > inFlight.deadline) {
      this.inFlight = undefined
      const error = inFlight.sent
        ? () => this.uncertain("the log did not answer in time")
        : () => this.unavailable("the log was not reached")
      for (const { done } of inFlight.requests) done(Exit.fail(error()))
    }
    const late = this.waiting.filter(({ since }) => now > since + this.patience)
    if (late.length > 0) {
      this.waiting = this.waiting.filter(({ since }) => now <= since + this.patience)
      for (const { characters, done } of late) {
        this.waitingCharacters -= characters
        done(Exit.fail(this.unavailable("the log is too slow")))
      }
    }
    const astray = this.arrivals.filter(({ by }) => now > by)
    if (astray.length > 0) {
      this.arrivals = this.arrivals.filter(({ by }) => now <= by)
      for (const { done } of astray) done(Exit.fail(this.uncertain("the log did not show what it had acknowledged")))
    }
    return astray.length === 0
  }

  /** Looks after what waits until the scope closes; `onAstray` runs when an append did not come back by the tail. */
  watch(onAstray: () => void): Effect.Effect<void, never, Scope.Scope> {
    return Effect.sync(() => {
      if (!this.look()) onAstray()
    }).pipe(Effect.zipRight(Effect.sleep(LOOK)), Effect.forever, Effect.interruptible, Effect.forkScoped, Effect.asVoid)
  }
}
