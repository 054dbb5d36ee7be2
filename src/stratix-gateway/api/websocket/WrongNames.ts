/**
 * Names in a filter that no event has: a filter with a typing error in it would be a screen that stays blank without a word.
 */
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE
} from "../../../stratix-core/stratix-protocol.js"
import type { DeclaredEvents } from "../../log/DeclaredEvents.js"
import { type EventLog, MAX_EVENT_TYPES } from "../../log/EventLog.js"
import type { Filter } from "../../log/Filter.js"
import * as Tenant from "../../log/Tenant.js"

const known: ReadonlySet<string> = new Set([
  AGENT_STATUS_UPDATE,
  COMMAND_STATUS_UPDATE,
  AGENT_CREATE,
  AGENT_REMOVE,
  COMMAND_REMOVE
])

/** What a query says that wants nothing, because an empty list cannot be written in one: no event has such a name, and none is meant to. */
const NOTHING = "stratix: "

/** Names in one answer: enough to see what is wrong, and no answer as long as the filter. */
const NAMED = 5

/** What is wrong with the event types of a filter: those that are neither known to the protocol nor seen in the tenant's part of the log. */
export const problemIn = (
  filter: Filter,
  { stats }: EventLog["Type"],
  declared: typeof DeclaredEvents.Service
): string | undefined => {
  if (filter.events === undefined) return undefined
  const { eventTypes } = stats()
  // What came after so many types was not taken note of.
  if (eventTypes.size >= MAX_EVENT_TYPES) return undefined
  const isSeen = (name: string) => eventTypes.has(Tenant.scoped(filter.tenant, name))
  const isKnown = (name: string) => known.has(name) || declared.has(name) || name === NOTHING
  const unknown = [...filter.events].filter((name) => !isKnown(name) && !isSeen(name))
  if (unknown.length === 0) return undefined
  const names = unknown.slice(0, NAMED).map((name) => JSON.stringify(name))
  const more = unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : ""
  return `nothing has been published yet of type ${names.join(", ")}${more}; the protocol's own types are ${[...known].join(", ")}`
}
