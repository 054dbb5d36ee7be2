/**
 * Finds the filters an event concerns without asking all of them.
 *
 * @since 0.1.0
 */
import * as Filter from "../log/Filter.js"

/** Values by filter. A value stands under one field of its filter, the most selective one, so an event costs by the values it may concern.
 * @since 0.1.0
 * @category models */
export interface FilterIndex<A> {
  readonly add: (filter: Filter.Filter, value: A) => void
  readonly remove: (filter: Filter.Filter, value: A) => void
  /** Every value whose filter lets the event through, once. */
  readonly forEach: (event: Filter.Filterable, f: (value: A) => void) => void
}

type Entries<A> = Map<A, Filter.Filter>

/** @since 0.1.0
 * @category constructors */
export const make = <A>(): FilterIndex<A> => {
  const everything: Entries<A> = new Map()
  const byCommand = new Map<string, Entries<A>>()
  const byAgent = new Map<string, Entries<A>>()
  const byEvent = new Map<string, Entries<A>>()

  const place = (filter: Filter.Filter): readonly [Map<string, Entries<A>>, ReadonlySet<string>] | undefined => {
    if (filter.commands !== undefined) return [byCommand, filter.commands]
    if (filter.agents !== undefined) return [byAgent, filter.agents]
    if (filter.events !== undefined) return [byEvent, Filter.admittedTypes(filter.events)]
    return undefined
  }
  const visit = (entries: Entries<A> | undefined, event: Filter.Filterable, f: (value: A) => void) => {
    if (entries === undefined) return
    for (const [value, filter] of entries) if (Filter.matches(filter, event)) f(value)
  }

  return {
    add: (filter, value) => {
      const found = place(filter)
      if (found === undefined) {
        everything.set(value, filter)
        return
      }
      const [by, names] = found
      for (const name of names) {
        const entries = by.get(name)
        if (entries === undefined) by.set(name, new Map([[value, filter]]))
        else entries.set(value, filter)
      }
    },
    remove: (filter, value) => {
      const found = place(filter)
      if (found === undefined) {
        everything.delete(value)
        return
      }
      const [by, names] = found
      for (const name of names) {
        const entries = by.get(name)
        entries?.delete(value)
        if (entries?.size === 0) by.delete(name)
      }
    },
    forEach: (event, f) => {
      for (const value of everything.keys()) f(value)
      if (event.commandId !== undefined) visit(byCommand.get(event.commandId), event, f)
      if (event.agentId !== undefined) visit(byAgent.get(event.agentId), event, f)
      visit(byEvent.get(event.eventType), event, f)
    }
  }
}
