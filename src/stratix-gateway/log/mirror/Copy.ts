/**
 * What a mirror holds, for another process that makes the same one.
 */
import type { Epochs, Place } from "./Epochs.js"
import type { History } from "./History.js"
import type { Kept, Origin, Recorded } from "./Records.js"
import type { Stored } from "./Stored.js"

/** Where a mirror begins, and what it holds. */
export type MirrorCopy = Kept & Omit<Origin, "index">

/** An event with its place; whether it removed a key is told where that is asked. */
export const recordedOf = (entry: Stored): Recorded => {
  const { departure } = entry
  // The departure ended the key, and so has none itself.
  const moved = departure && { ...departure, key: departure.removes[0] }
  return { draft: entry, place: entry, now: entry.appendedAt, effects: { moved, removed: false } }
}

/** A removal that is remembered. Of a departure, the event that it belongs to is gone: what makes the same departure takes its place. */
const markOf = (mark: Stored): Recorded => {
  const { instead } = mark
  if (instead === undefined) return { ...recordedOf(mark), effects: { moved: undefined, removed: true } }
  const [key] = mark.removes
  const draft = {
    ...instead,
    key,
    own: mark.own,
    removes: [],
    status: undefined,
    finished: false,
    lease: undefined,
    stamp: mark.stamp,
    json: ""
  }
  return { draft, place: mark, now: mark.appendedAt, effects: { moved: { ...mark, key }, removed: false } }
}

/** Copies as of now: what the mirror does later changes nothing in it. */
export const copyOf = (
  mirror: {
    readonly history: History<Stored>
    readonly newest: Place
    readonly epochs: Epochs
    readonly latest: Iterable<Stored>
    readonly marks: Iterable<Stored>
  },
  forgotten: number
): MirrorCopy => {
  const { history, newest } = mirror
  const recent = history.after(history.first - 1) ?? []
  const [oldest] = recent
  return {
    // The place before the first event of the history: its own epoch does not matter, it is never told.
    after: oldest === undefined ? newest : placeBefore(oldest),
    epochs: mirror.epochs.chain,
    latest: [...mirror.latest].map(recordedOf),
    marks: [...mirror.marks].map(markOf),
    forgotten,
    history: recent.map(recordedOf)
  }
}

const placeBefore = ({ epoch, keyless, seq }: Place): Place => ({ epoch, keyless, seq: seq - 1 })
