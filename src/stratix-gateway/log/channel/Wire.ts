/**
 * What the owner of a log and its copies in other processes say to each other, as texts.
 */
import * as Schema from "effect/Schema"
import type { Draft } from "../EventLog.js"
import { EventLogError } from "../EventLog.js"
import type { MirrorCopy } from "../mirror/Copy.js"
import { headerOf, pack, readDraft, unpack } from "../mirror/Packed.js"
import type { Kept, Recorded } from "../mirror/Records.js"

/** What the texts of a snapshot are, by their first character: an event of the history; a state, a removal or a departure, as a whole or as the sequence number of an event of the history. */
type Kind = "h" | "s" | "r" | "d"

const AT = "#"

/** A copy as texts: the history, then what is held of it, then the rest. */
export const textsOf = function* (copy: MirrorCopy): Generator<string> {
  const first = copy.history[0]?.place.seq ?? Number.POSITIVE_INFINITY
  const told = (kind: Kind, recorded: Recorded) =>
    recorded.place.seq >= first ? `${kind}${AT}${recorded.place.seq}` : `${kind}${pack(recorded)}`
  for (const recorded of copy.history) yield `h${pack(recorded)}`
  for (const recorded of copy.latest) yield told("s", recorded)
  for (const recorded of copy.marks) yield told(recorded.effects.removed ? "r" : "d", recorded)
}

/** A snapshot that comes in texts. `shift` is added to the times of the owner's clock. */
export class Incoming implements Kept {
  readonly history: Array<Recorded> = []
  readonly latest: Array<Recorded> = []
  readonly marks: Array<Recorded> = []

  constructor(
    readonly forgotten: number,
    private readonly shift: number
  ) {}

  add(text: string): void {
    const kind = text.charAt(0)
    const recorded = this.read(text.slice(1))
    if (kind === "h") this.history.push(recorded)
    else if (kind === "s") this.latest.push(recorded)
    else this.marks.push({ ...recorded, effects: { ...recorded.effects, removed: kind === "r" } })
  }

  private read(text: string): Recorded {
    if (!text.startsWith(AT)) return eventOf(text, this.shift)
    const seq = Number(text.slice(AT.length))
    const recorded = this.history[seq - (this.history[0]?.place.seq ?? 0)]
    if (recorded === undefined) throw new Error(`the snapshot has no event ${seq}`)
    return recorded
  }
}

/** An event of the log, whose time was that of the owner's clock. */
export const eventOf = (text: string, shift: number): Recorded => {
  const recorded = unpack(text)
  return { ...recorded, now: recorded.now + shift }
}

/** An append as texts. */
export const appendOf = (drafts: ReadonlyArray<Draft>, idempotencyKey: string | undefined): ReadonlyArray<string> => [
  JSON.stringify(idempotencyKey ?? null),
  ...drafts.flatMap((draft) => [headerOf(draft), draft.json])
]

/** The events of an append. */
export const draftsOf = (texts: ReadonlyArray<string>): ReadonlyArray<Draft> => {
  const drafts: Array<Draft> = []
  for (let i = 1; i + 1 < texts.length; i += 2) drafts.push(readDraft(texts[i] ?? "", texts[i + 1] ?? ""))
  return drafts
}

/** The idempotency key of an append. */
export const keyOf = ([text = "null"]: ReadonlyArray<string>): string | undefined => {
  const key: unknown = JSON.parse(text)
  return typeof key === "string" ? key : undefined
}

const Failure = Schema.parseJson(
  Schema.Struct({
    reason: EventLogError.fields.reason,
    detail: Schema.optional(Schema.String)
  })
)
const encodeFailure = Schema.encodeSync(Failure)
const decodeFailure = Schema.decodeUnknownSync(Failure)

/** An answer: an empty text and what was asked for, or the error. */
export const failureOf = ({ detail, reason }: EventLogError): ReadonlyArray<string> => [
  encodeFailure(detail === undefined ? { reason } : { reason, detail })
]

/** The error in an answer; `undefined`: it has none. */
export const errorIn = ([text = ""]: ReadonlyArray<string>): EventLogError | undefined =>
  text === "" ? undefined : new EventLogError(decodeFailure(text))

const Count = Schema.Number

/** How the owner's log is, and what it has done so far: its numbers are those of the whole gateway. */
export const LogState = Schema.Struct({
  staleMillis: Count,
  epochChanges: Count,
  rebuilds: Count,
  unread: Count,
  failures: Schema.Struct({ unavailable: Count, uncertain: Count }),
  appended: Schema.Struct({
    agent_status_update: Count,
    command_status_update: Count,
    agent_create: Count,
    agent_remove: Count,
    command_remove: Count,
    other: Count
  }),
  finishedDropped: Count,
  keysDropped: Count,
  leasesExpired: Count
})

/** The same, read. */
export type LogState = typeof LogState.Type

const State = Schema.parseJson(LogState)

/** Reads the state of the owner's log. */
export const stateOf: (text: string) => LogState = Schema.decodeSync(State)

const Start = Schema.parseJson(
  Schema.Struct({
    id: Schema.String,
    epochs: Schema.Array(Schema.Struct({ epoch: Schema.String, start: Count })),
    after: Schema.Struct({ epoch: Schema.String, seq: Count, keyless: Count }),
    forgotten: Count,
    now: Count
  })
)

/** How a snapshot begins. */
export type Start = typeof Start.Type

/** Reads the beginning of a snapshot. */
export const startOf: (text: string) => Start = Schema.decodeSync(Start)

/** Writes the beginning of a snapshot. */
export const startText: (start: Start) => string = Schema.encodeSync(Start)

const Batch = Schema.parseJson(Schema.Struct({ epochs: Start.to.fields.epochs, now: Count }))

/** What stands before a batch of events: the epochs of the log, and the owner's clock. */
export const batchOf = Schema.decodeSync(Batch)

/** Writes what stands before a batch of events. */
export const batchText = Schema.encodeSync(Batch)
