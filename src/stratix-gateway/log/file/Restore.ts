/**
 * A mirror of what a file holds.
 *
 * The file has the events that a mirror needs, and some that it does not any more: those were replaced or removed by later ones that it has as well.
 * So the state is what is left after all of them, in their order.
 */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { EventLogStartError } from "../EventLog.js"
import type { Epoch } from "../mirror/Epochs.js"
import { Mirror } from "../mirror/Mirror.js"
import { unpack } from "../mirror/Packed.js"
import type { Kept, Recorded } from "../mirror/Records.js"
import { askAtStart, type Journal } from "./Journal.js"

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

/** What is left of all events, in their order. */
const keptOf = (all: ReadonlyArray<Recorded>, forgotten: number): Kept => {
  const latest = new Map<string, Recorded>()
  const marks: Array<Recorded> = []
  let begin = 0
  for (const [i, recorded] of all.entries()) {
    const { draft, effects, place } = recorded
    if (i > 0 && place.seq !== (all[i - 1]?.place.seq ?? 0) + 1) begin = i
    for (const key of draft.removes) latest.delete(key)
    if (place.seq >= forgotten) {
      if (effects.moved !== undefined) marks.push({ ...recorded, effects: { ...effects, removed: false } })
      if (effects.removed) marks.push(recorded)
    }
    if (draft.key === undefined) continue
    latest.delete(draft.key)
    latest.set(draft.key, recorded)
  }
  return { latest: [...latest.values()], marks, forgotten, history: all.slice(begin) }
}

/** All events of the file. */
export const readAll = (journal: Journal): Effect.Effect<ReadonlyArray<string>, EventLogStartError> =>
  Effect.gen(function* () {
    const all: Array<string> = []
    let after = -1
    while (true) {
      const page = yield* askAtStart(journal, "rows", { after })
      const last = page.at(-1)
      if (last === undefined) return all
      for (const packed of page) all.push(packed)
      after = Number(last.slice(0, last.indexOf(" ")))
    }
  })

/** Makes the mirror, and begins an epoch. */
export const read = (journal: Journal, settings: Settings): Effect.Effect<Restored, EventLogStartError> =>
  Effect.gen(function* () {
    const all: Array<Recorded> = []
    let characters = 0
    for (const packed of yield* readAll(journal)) {
      const recorded = Either.try(() => unpack(packed))
      if (Either.isLeft(recorded)) return yield* damaged("an event cannot be read")
      characters += packed.length
      all.push(recorded.right)
    }
    const newest = all.at(-1)
    const seq = newest?.place.seq ?? 0
    const epochs = nextEpochs(yield* askAtStart(journal, "meta", { name: "epochs" }), seq)
    const epoch = epochs.at(-1)?.epoch ?? ""
    const known = yield* askAtStart(journal, "meta", { name: "id" })
    if (known === undefined && newest !== undefined) return yield* damaged("its name is missing")
    const id = known ?? newName()
    const forgotten = Number((yield* askAtStart(journal, "meta", { name: "forgotten" })) ?? 0)
    if (known === undefined) yield* askAtStart(journal, "setMeta", { name: "id", value: id })
    yield* askAtStart(journal, "setMeta", { name: "epochs", value: JSON.stringify(epochs) })
    // Else a write-ahead log that is lost would make it a file that never had a log.
    if (known === undefined) yield* askAtStart(journal, "checkpoint", undefined)

    const kept = keptOf(all, forgotten)
    const [oldest] = kept.history
    const after = oldest === undefined ? { epoch, seq: 0, keyless: 0 } : { ...oldest.place, seq: oldest.place.seq - 1 }
    const mirror = new Mirror(settings, { after, index: after.seq, epochs })
    mirror.restore(kept)
    return { id, epoch, mirror, at: newest?.now ?? 0, characters }
  })
