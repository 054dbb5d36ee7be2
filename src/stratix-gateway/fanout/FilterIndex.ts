/**
 * Finds the filters an event concerns without asking all of them.
 */
import * as Filter from "../log/Filter.js"

/** Values by filter. A value stands under one field of its filter, the most selective one, so an event costs by the values it may concern. */
export interface FilterIndex<A> {
  readonly add: (filter: Filter.Filter, value: A) => void
  readonly remove: (filter: Filter.Filter, value: A) => void
  /** Every value whose filter lets the event through, once. */
  readonly forEach: (event: Filter.Filterable, f: (value: A) => void) => void
  /** Values and the names they stand under: none once every value is removed. */
  readonly size: () => number
}

interface Entry<A> {
  readonly filter: Filter.Filter
  /** Whether it stands under all that its filter asks for: then what is found there passes. */
  readonly exact: boolean
  readonly value: A
}

/** What stands under one name. A set only where there are several: a filter of a thousand names has mostly names of its own. */
type Slot<A> = Entry<A> | Set<Entry<A>>

/** The filters of one tenant. */
const ofTenant = <A>(): FilterIndex<A> => {
  const entries = new Map<A, Entry<A>>()
  const everything = new Set<Entry<A>>()
  const byCommand = new Map<string, Slot<A>>()
  const byAgent = new Map<string, Slot<A>>()
  const byEvent = new Map<string, Slot<A>>()

  const place = (filter: Filter.Filter): readonly [Map<string, Slot<A>>, ReadonlySet<string>] | undefined => {
    if (filter.commands !== undefined) return [byCommand, filter.commands]
    if (filter.agents !== undefined) return [byAgent, filter.agents]
    if (filter.events !== undefined) return [byEvent, Filter.admittedTypes(filter.events)]
    return undefined
  }
  const visit = (slot: Slot<A> | undefined, event: Filter.Filterable, f: (value: A) => void) => {
    if (slot === undefined) return
    if (!(slot instanceof Set)) {
      if (slot.exact || Filter.matches(slot.filter, event)) f(slot.value)
      return
    }
    for (const { exact, filter, value } of slot) if (exact || Filter.matches(filter, event)) f(value)
  }

  return {
    size: () => entries.size + everything.size + byCommand.size + byAgent.size + byEvent.size,
    add: (filter, value) => {
      const fields = [filter.events, filter.agents, filter.commands].filter((names) => names !== undefined)
      const entry = { filter, exact: fields.length === 1, value }
      entries.set(value, entry)
      const found = place(filter)
      if (found === undefined) {
        everything.add(entry)
        return
      }
      const [by, names] = found
      for (const name of names) {
        const slot = by.get(name)
        if (slot === undefined) by.set(name, entry)
        else if (slot instanceof Set) slot.add(entry)
        else by.set(name, new Set([slot, entry]))
      }
    },
    remove: (filter, value) => {
      const entry = entries.get(value)
      if (entry === undefined) return
      entries.delete(value)
      const found = place(filter)
      if (found === undefined) {
        everything.delete(entry)
        return
      }
      const [by, names] = found
      for (const name of names) {
        const slot = by.get(name)
        if (slot instanceof Set) {
          slot.delete(entry)
          if (slot.size === 0) by.delete(name)
        } else by.delete(name)
      }
    },
    forEach: (event, f) => {
      for (const { value } of everything) f(value)
      if (event.commandId !== undefined) visit(byCommand.get(event.commandId), event, f)
      if (event.agentId !== undefined) visit(byAgent.get(event.agentId), event, f)
      visit(byEvent.get(event.eventType), event, f)
    }
  }
}

/** An index of its own for each tenant, so that an event costs nothing for the filters of others. */
export const make = <A>(): FilterIndex<A> => {
  // Bound: the tenants of the filters that are there.
  const byTenant = new Map<string, ReturnType<typeof ofTenant<A>>>()
  return {
    add: (filter, value) => {
      let index = byTenant.get(filter.tenant)
      if (index === undefined) {
        index = ofTenant()
        byTenant.set(filter.tenant, index)
      }
      index.add(filter, value)
    },
    remove: (filter, value) => {
      const index = byTenant.get(filter.tenant)
      if (index === undefined) return
      index.remove(filter, value)
      if (index.size() === 0) byTenant.delete(filter.tenant)
    },
    forEach: (event, f) => byTenant.get(event.tenant)?.forEach(event, f),
    size: () => [...byTenant.values()].reduce((sum, index) => sum + index.size(), byTenant.size)
  }
}
