/**
 * What a plain client is told of the things that it may not see any more: their removals. A sync client gets a snapshot instead.
 */
import * as Effect from "effect/Effect"
import type * as EventLog from "../log/EventLog.js"
import * as Filter from "../log/Filter.js"
import { removalOf } from "../log/mirror/Removals.js"
import type { Stamp } from "../log/Stamps.js"
import type { Subscriber } from "./Subscribers.js"

/** Narrows a screen, as of now. */
export type Withdraw = (
  from: Filter.Filter,
  to: Filter.Filter,
  subscriber: Pick<Subscriber, "state" | "cursor" | "conflateFrom">
) => ReadonlyArray<string>

/** Withdrawals from a log whose reads are immediate, as those of every log with a mirror are; from another one they throw. */
export const make = (log: typeof EventLog.EventLog.Service, nextStamp: () => Stamp): Withdraw => {
  // Many connections of one principal, or of one team, lose the same things at the same moment.
  let last: { readonly name: string; readonly texts: ReadonlyArray<string> } | undefined

  const latest = (filter: Filter.Filter) => Effect.runSync(log.latest(filter)).entries

  /** The removals of what is there, and again what such a removal takes with it though it stays in sight. */
  const ofState = (from: Filter.Filter, to: Filter.Filter): ReadonlyArray<string> => {
    const name = JSON.stringify([from.key, to.key, log.head().offset])
    if (last?.name === name) return last.texts
    const ended = new Set<string>()
    const texts: Array<string> = []
    for (const entry of latest(from)) {
      if (Filter.matches(to, entry) || (entry.key !== undefined && ended.has(entry.key))) continue
      const removal = removalOf(entry, nextStamp())
      for (const key of removal.removes) ended.add(key)
      texts.push(removal.json)
    }
    if (texts.length > 0) {
      for (const { json, key } of latest(to)) if (key !== undefined && ended.has(key)) texts.push(json)
    }
    last = { name, texts }
    return texts
  }

  /** Of what was removed since a place: what it was shown before then would else stay. */
  const removedSince = (cursor: string, conflateFrom: string, from: Filter.Filter, to: Filter.Filter) => {
    const texts: Array<string> = []
    let place = cursor
    for (;;) {
      const step = Effect.runSync(log.since(place, { filter: from, conflateFrom, neverSnapshot: true }))
      for (const entry of step.entries) {
        if (entry.removes.length > 0 && !Filter.matches(to, entry)) texts.push(entry.json)
      }
      if (!step.more) return texts
      place = step.to
    }
  }

  return (from, to, { conflateFrom, cursor, state }) => {
    if (state === "live") return ofState(from, to)
    // It has been shown nothing yet.
    if (cursor === undefined) return []
    return [...removedSince(cursor, conflateFrom ?? cursor, from, to), ...ofState(from, to)]
  }
}
