/**
 * The removals that a log makes itself: of what is too old or too much, and of what moved out of a reader's sight.
 */
import { AGENT_REMOVE, COMMAND_REMOVE, endedKeys, KEY_REMOVE } from "../../../stratix-core/stratix-protocol.js"
import { type Draft, jsonOf } from "../EventLog.js"
import type { Stamp } from "../Stamps.js"
import * as Tenant from "../Tenant.js"

/** What a removal is made of. */
export type Removed = Pick<Draft, "tenant" | "eventType" | "agentId" | "commandId" | "key" | "own">

const ofOwn = ({ agentId, commandId, eventType, tenant }: Removed, key: string, stamp: Stamp): Draft => {
  const payload = { eventType, key }
  return {
    tenant,
    eventType,
    agentId,
    commandId,
    key: undefined,
    own: key,
    removes: endedKeys({ eventType: KEY_REMOVE, payload }).map((ended) => Tenant.scoped(tenant, ended)),
    status: undefined,
    finished: false,
    lease: undefined,
    stamp,
    json: jsonOf(KEY_REMOVE, JSON.stringify(payload), stamp)
  }
}

/** Removes what an event is the newest state of: its command, its agent, or its key of the author's own. */
export const removalOf = (event: Removed, stamp: Stamp): Draft => {
  if (event.own !== undefined) return ofOwn(event, event.own, stamp)
  const { tenant } = event
  const isCommand = event.commandId !== undefined && event.key === Tenant.scoped(tenant, `command:${event.commandId}`)
  const commandId = isCommand ? event.commandId : undefined
  const eventType = isCommand ? COMMAND_REMOVE : AGENT_REMOVE
  const payload = { commandId, agentId: event.agentId ?? "" }
  return {
    tenant,
    eventType,
    agentId: event.agentId,
    commandId,
    key: undefined,
    own: undefined,
    removes: endedKeys({ eventType, payload }).map((key) => Tenant.scoped(tenant, key)),
    status: undefined,
    finished: false,
    lease: undefined,
    stamp,
    json: jsonOf(eventType, JSON.stringify(payload), stamp)
  }
}
