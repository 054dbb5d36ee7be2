/**
 * The state of a mirror from what the owner of its log kept: in any order, and bit by bit, so that no list of all of it is made first.
 */
import type { Recorded } from "./Records.js"
import type { Stored } from "./Stored.js"

/** What the owner of a log kept beside the history, on its way into a mirror. */
export interface Restoration {
  /** The newest of a key. */
  readonly state: (kept: Recorded) => void
  /** A removal that is remembered; of a departure with `effects.removed` unset. */
  readonly mark: (kept: Recorded) => void
  /** `forgotten`: sequence number of the newest removal that is not remembered any more. */
  readonly done: (forgotten: number) => void
}

const bySeq = (a: Stored, b: Stored) => a.seq - b.seq

/** What it does to the mirror: at the end, in the order of the log. */
export const restorationOf = (mirror: {
  readonly entryOf: (kept: Recorded) => Stored
  readonly begin: (forgotten: number) => void
  readonly hold: (entry: Stored) => void
  readonly mark: (entry: Stored) => void
}): Restoration => {
  const states: Array<Stored> = []
  const marks: Array<Stored> = []
  return {
    state: (kept) => {
      states.push(mirror.entryOf(kept))
    },
    mark: (kept) => {
      const entry = mirror.entryOf(kept)
      const removal = kept.effects.removed ? entry : entry.departure
      if (removal !== undefined) marks.push(removal)
    },
    done: (forgotten) => {
      mirror.begin(forgotten)
      marks.sort(bySeq)
      let next = 0
      for (const entry of states.sort(bySeq)) {
        // Of a command that moved, the removal comes first.
        for (let mark = marks[next]; mark !== undefined && mark.seq <= entry.seq; mark = marks[++next])
          mirror.mark(mark)
        mirror.hold(entry)
      }
      for (const mark of marks.slice(next)) mirror.mark(mark)
    }
  }
}
