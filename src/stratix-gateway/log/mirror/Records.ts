/**
 * Events with their places, as the owner of a log keeps them and gives them to mirrors.
 */

import type { Draft } from "../EventLog.js"
import type { Epoch, Place } from "./Epochs.js"
import type { Removed } from "./Removals.js"

/** What an event did to the state. Known to the owner of the log; a mirror that holds the whole state can tell by itself. */
export interface Effects {
  /** What the key was until now, where that had another agent or command. */
  readonly moved: Removed | undefined
  /** Whether it removed a key that was there. */
  readonly removed: boolean
}

/** Of an event that did neither. */
export const NOTHING: Effects = { moved: undefined, removed: false }

/** What an event does to a state, whose events are told by their keys. */
export const effectsOf = (draft: Draft, newestOf: (key: string) => Removed | undefined): Effects => {
  const before = newestOf(draft.key ?? draft.removes[0] ?? "")
  const moves = before !== undefined && (before.agentId !== draft.agentId || before.commandId !== draft.commandId)
  return { moved: moves ? before : undefined, removed: draft.removes.some((key) => newestOf(key) !== undefined) }
}

/** An event that has its place. */
export interface Recorded {
  readonly draft: Draft
  readonly place: Place
  /** When it was appended, or heard of where the owner's clock is not this process's. */
  readonly now: number
  readonly effects: Effects
}

/** What the owner of a log keeps. */
export interface Kept {
  /** The newest of every key. */
  readonly latest: ReadonlyArray<Recorded>
  /** Removals that are remembered; of a departure with `effects.removed` unset. */
  readonly marks: ReadonlyArray<Recorded>
  /** Sequence number of the newest removal that is not remembered any more. */
  readonly forgotten: number
  /** The newest events, without a gap. */
  readonly history: ReadonlyArray<Recorded>
}

/** Which events of a log are needed: those from `first` on, and older ones. */
export interface Retained {
  readonly first: number
  /** Sequence numbers, in their order: the newest of a key, or a removal that is remembered. */
  readonly older: ReadonlyArray<number>
  /** Sequence number of the newest removal that is not remembered any more. */
  readonly forgotten: number
}

/** Where a mirror begins. */
export interface Origin {
  /** The place before the first event of its history. */
  readonly after: Place
  /** The index of that place. */
  readonly index: number
  readonly epochs: ReadonlyArray<Epoch>
}

/** The origin of a log that has no event yet. */
export const emptyLog = (epoch: string): Origin => ({
  after: { epoch, seq: 0, keyless: 0 },
  index: 0,
  epochs: [{ epoch, start: 0 }]
})

/** Whether an event is the state of nothing: those are counted where they are left out. */
export const isKeyless = ({ key, removes }: Draft): boolean => key === undefined && removes.length === 0
