/**
 * A mirror of what a file holds.
 *
 * The file has the events that a mirror needs, and some that it does not any more: those were replaced or removed by later ones that it has as well.
 * So the state is what is left after all of them, in their order.
 */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { EventLogStartError } from "../EventLog.js"
import { type Epoch, Epochs } from "../mirror/Epochs.js"
import { Mirror } from "../mirror/Mirror.js"
import { seqOf, unpack } from "../mirror/Packed.js"
import type { Origin, Recorded } from "../mirror/Records.js"
import { askAtStart, begin, type Journal } from "./Journal.js"

/** Epochs remembered: so many starts back an offset is still known. */
const EPOCHS = 128

/** What a file held. */
export interface Restored {
  /** The name of the log. */
  readonly id: string
  /** The one that began now. */
  readonly epoch: string
  readonly mirror: Mirror
  /** Time of the newest event. */
  readonly at: number
  /** Characters of all events in the file. */
  readonly characters: number
}

const newName = (): string => randomBytes(8).toString("hex")

const damaged = (what: string) =>
  new EventLogStartError({
    reason: "Refused",
    detail: `the file of the log is damaged, and nothing of it is used: ${what}. Put a backup in its place, or move it away and begin an empty log`
  })

const isEpoch = (value: unknown): value is Epoch =>
  typeof value === "object" &&
  value !== null &&
  "epoch" in value &&
  typeof value.epoch === "string" &&
  "start" in value &&
  typeof value.start === "number"

/** The epochs of the file, and one more: what the machine took with it when it crashed, or what a backup does not have, was given in the one before. */
const nextEpochs = (text: string | undefined, seq: number): ReadonlyArray<Epoch> => {
  const said: unknown = text === undefined ? [] : JSON.parse(text)
  const known = Array.isArray(said) ? said.filter(isEpoch) : []
  // One that gave no place is in no offset.
  const used = known.filter(({ start }, i) => start < (known[i + 1]?.start ?? seq))
  return [...used, { epoch: newName(), start: seq }].slice(-EPOCHS)
}

/** The events of the file in their order, page by page: the thread of the file reads the next one while a page is taken. */
export const eachPage = (
  journal: Journal,
  take: (page: ReadonlyArray<string>) => Effect.Effect<void, EventLogStartError>
): Effect.Effect<void, EventLogStartError> =>
  Effect.gen(function* () {
    let pending = yield* begin(journal, "rows", { after: -1 })
    while (true) {
      const page = yield* pending
      const last = page.at(-1)
      if (last === undefined) return
      pending = yield* begin(journal, "rows", { after: seqOf(last) })
      yield* take(page)
    }
  })

/** Where the mirror begins: before the oldest event of the history, which has no gap. */
const originOf = (journal: Journal, capacity: number): Effect.Effect<Origin, EventLogStartError> =>
  Effect.gen(function* () {
    const first = yield* askAtStart(journal, "historyFrom", { capacity })
    const [oldest] = first === undefined ? [] : yield* askAtStart(journal, "rows", { after: first - 1 })
    const read = oldest === undefined ? undefined : yield* unpacked(oldest)
    const after = read === undefined ? { epoch: "", seq: 0, keyless: 0 } : { ...read.place, seq: read.place.seq - 1 }
    return { after, index: after.seq, epochs: [] }
  })

const unpacked = (packed: string): Effect.Effect<Recorded, EventLogStartError> =>
  Effect.try({ try: () => unpack(packed), catch: () => damaged("an event cannot be read") })

/** Makes the mirror, and begins an epoch. */
export const read = (journal: Journal, settings: Settings): Effect.Effect<Restored, EventLogStartError> =>
  Effect.gen(function* () {
    const forgotten = Number((yield* askAtStart(journal, "meta", { name: "forgotten" })) ?? 0)
    const mirror = new Mirror(settings, yield* originOf(journal, settings.historyCapacity))
    const first = mirror.place.seq + 1
    let characters = 0
    let at = 0
    yield* eachPage(journal, (page) =>
      Effect.try({
        try: () => {
          for (const packed of page) {
            const recorded = unpack(packed)
            characters += packed.length
            at = recorded.now
            mirror.replay(recorded, forgotten, recorded.place.seq >= first)
          }
        },
        catch: () => damaged("an event cannot be read")
      })
    )
    const { seq } = mirror.place
    const epochs = nextEpochs(yield* askAtStart(journal, "meta", { name: "epochs" }), seq)
    const epoch = epochs.at(-1)?.epoch ?? ""
    const known = yield* askAtStart(journal, "meta", { name: "id" })
    if (known === undefined && seq > 0) return yield* damaged("its name is missing")
    const id = known ?? newName()
    if (known === undefined) yield* askAtStart(journal, "setMeta", { name: "id", value: id })
    yield* askAtStart(journal, "setMeta", { name: "epochs", value: JSON.stringify(epochs) })
    // Else a write-ahead log that is lost would make it a file that never had a log.
    if (known === undefined) yield* askAtStart(journal, "checkpoint", undefined)
    mirror.epochs = new Epochs(epochs)
    return { id, epoch, mirror, at, characters }
  })
