/**
 * The removals that a log makes itself: of what is too old or too much, and of what moved out of a reader's sight.
 */
import { AGENT_REMOVE, COMMAND_REMOVE, endedKeys } from "../../../stratix-core/stratix-protocol.js"
import { type Draft, jsonOf } from "../EventLog.js"
import type { Stamp } from "../Stamps.js"
import * as Tenant from "../Tenant.js"

/** Removes what an event is the newest state of: its command, or its agent. */
export const removalOf = (event: Pick<Draft, "tenant" | "agentId" | "commandId" | "key">, stamp: Stamp): Draft => {
  const { tenant } = event
  const isCommand = event.commandId !== undefined && event.key === Tenant.scoped(tenant, `command:${event.commandId}`)
  const commandId = isCommand ? event.commandId : undefined
  const eventType = isCommand ? COMMAND_REMOVE : AGENT_REMOVE
  const payload = { ...(commandId !== undefined && { commandId }), agentId: event.agentId ?? "" }
  return {
    tenant,
    eventType,
    agentId: event.agentId,
    commandId,
    key: undefined,
    removes: endedKeys({ eventType, payload }).map((key) => Tenant.scoped(tenant, key)),
    status: undefined,
    finished: false,
    lease: undefined,
    stamp,
    json: jsonOf(eventType, JSON.stringify(payload), stamp)
  }
}
