/**
 * An event as a mirror holds it, and the state that such events are.
 */
import type { Offset } from "../../../stratix-core/stratix-protocol.js"
import type { Draft, LogEntry } from "../EventLog.js"
import * as Filter from "../Filter.js"
import { offsetOf, type Place } from "./Epochs.js"
import { NOTHING, type Recorded } from "./Records.js"
import { removalOf } from "./Removals.js"

/** An event with its place, and whether a newer one has taken what it was the state of. */
export interface Stored extends LogEntry, Place {
  readonly appendedAt: number
  readonly departure: Stored | undefined
  /** Of a departure: what those are told who still see the command. */
  readonly instead: Filter.Filterable | undefined
  /** 0 while it is the newest of what it is the state of; then how many of its mirror were superseded before it, and itself. */
  superseded: number
}

/** Whether it is the state of nothing: in the state it marks a removal. */
export const isMark = ({ key }: Stored): boolean => key === undefined

/** `shift`: from sequence numbers to indexes. */
export const storedOf = (
  { draft, effects: { moved }, now, place }: Recorded,
  shift: number,
  instead?: Draft
): Stored => {
  const departure =
    moved === undefined
      ? undefined
      : storedOf({ draft: removalOf(moved, draft.stamp), place, now, effects: NOTHING }, shift, draft)
  return {
    tenant: draft.tenant,
    eventType: draft.eventType,
    agentId: draft.agentId,
    commandId: draft.commandId,
    key: draft.key,
    own: draft.own,
    removes: draft.removes,
    status: draft.status,
    finished: draft.finished,
    lease: draft.lease,
    stamp: draft.stamp,
    json: draft.json,
    offset: offsetOf(place),
    index: place.seq + shift,
    departure,
    instead: instead && {
      tenant: instead.tenant,
      eventType: instead.eventType,
      agentId: instead.agentId,
      commandId: instead.commandId
    },
    epoch: place.epoch,
    seq: place.seq,
    keyless: place.keyless,
    appendedAt: now,
    superseded: 0
  }
}

/** Entries that are looked at for one part: some 0.5 ms. */
const LOOKED_AT = 4096

/** The newest event of every key that a filter lets through, in offset order: in parts, each made when it is asked for. */
export interface StateParts {
  readonly head: Offset
  readonly parts: Iterable<ReadonlyArray<LogEntry>>
}

/** The state of entries in offset order, when so many had been superseded: whatever is added to them, and superseded, while its parts are taken. */
export const statePartsOf = (
  head: Offset,
  ordered: ReadonlyArray<Stored>,
  superseded: number,
  filter: Filter.Filter
): StateParts => {
  const { length } = ordered
  const isNewest = (entry: Stored) => entry.superseded === 0 || entry.superseded > superseded
  const parts = function* () {
    for (let from = 0; from < length; from += LOOKED_AT) {
      yield ordered
        .slice(from, Math.min(from + LOOKED_AT, length))
        .filter((entry) => isNewest(entry) && !isMark(entry) && Filter.matches(filter, entry))
    }
  }
  return { head, parts: parts() }
}
