/**
 * The epochs of a log, and which offsets each of them gave.
 *
 * An epoch is a time in which one engine gave the places. Where an engine loses what it had acknowledged, places are given anew, in another
 * epoch: an offset counts only if its place was given before the next epoch began.
 */
import type { Offset } from "../../../stratix-core/stratix-protocol.js"

/** A place in the log: epoch, sequence number, and how many events up to it were the state of nothing. The last lets a resume say how many of them it lost. */
export interface Place {
  readonly epoch: string
  readonly seq: number
  readonly keyless: number
}

/** An epoch, and the newest place that there was when it began. */
export interface Epoch {
  readonly epoch: string
  readonly start: number
}

/** The offset of a place. Joined, it is one string of 40 bytes; a template would be a tree of its parts, of 120. */
export const offsetOf = ({ epoch, keyless, seq }: Place): Offset =>
  [epoch, seq.toString(36), keyless.toString(36)].join("-")

/** The place that an offset is the text of; `undefined` where it is none. */
export const placeOf = (offset: Offset): Place | undefined => {
  const [epoch = "", seq = "", keyless = ""] = offset.split("-")
  const place = { epoch, seq: Number.parseInt(seq, 36), keyless: Number.parseInt(keyless, 36) }
  return offsetOf(place) === offset ? place : undefined
}

/** Epochs in their order, at least one. */
export class Epochs {
  constructor(readonly chain: ReadonlyArray<Epoch>) {}

  get current(): string {
    return this.chain.at(-1)?.epoch ?? ""
  }

  /** Whether an epoch gave this place, and no later one gave it anew. */
  gave({ epoch, seq }: Pick<Place, "epoch" | "seq">): boolean {
    const at = this.chain.findIndex((each) => each.epoch === epoch)
    const found = this.chain[at]
    if (found === undefined) return false
    const next = this.chain[at + 1]
    return seq >= found.start && (next === undefined || seq <= next.start)
  }
}
