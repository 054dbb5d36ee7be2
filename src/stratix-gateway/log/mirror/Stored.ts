/**
 * An event as a mirror holds it.
 */
import type { Draft, LogEntry } from "../EventLog.js"
import type * as Filter from "../Filter.js"
import { offsetOf, type Place } from "./Epochs.js"
import { NOTHING, type Recorded } from "./Records.js"
import { removalOf } from "./Removals.js"

/** An event with its place, and whether a newer one has taken what it was the state of. */
export interface Stored extends LogEntry, Place {
  readonly appendedAt: number
  readonly departure: Stored | undefined
  /** Of a departure: what those are told who still see the command. */
  readonly instead: Filter.Filterable | undefined
  superseded: boolean
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
    superseded: false
  }
}
