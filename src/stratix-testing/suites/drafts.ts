/** Events for the log, as short as they may be. */
import type * as EventLog from "../../stratix-gateway/log/EventLog.js"
import * as Tenant from "../../stratix-gateway/log/Tenant.js"

/** An event that has no place in the log yet. */
export type Draft = EventLog.Draft

const stamp = { timestamp: 0, requestId: "r" }

export const agent = (agentId: string, n = 0): Draft => ({
  tenant: "default",
  eventType: "stratix:agent_status_update",
  agentId,
  commandId: undefined,
  key: `agent:${agentId}`,
  own: undefined,
  removes: [],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp,
  json: `{"agent":"${agentId}","n":${n}}`
})

export const command = (commandId: string, finished: boolean, n = 0): Draft => ({
  tenant: "default",
  eventType: "stratix:command_status_update",
  agentId: "a",
  commandId,
  key: `command:${commandId}`,
  own: undefined,
  removes: [],
  status: undefined,
  finished,
  lease: undefined,
  stamp,
  json: `{"command":"${commandId}","finished":${finished},"n":${n}}`
})
/** An agent whose status holds so many milliseconds, and the commands it runs with it. */
export const leased = (agentId: string, millis: number, n = 0): Draft => ({
  ...agent(agentId, n),
  lease: { millis, endCommands: true }
})
/** A command, given to an agent. */
export const commandOf = (commandId: string, agentId: string, n: number): Draft => ({
  ...command(commandId, false, n),
  agentId,
  json: `{"command":"${commandId}","of":"${agentId}","n":${n}}`
})
export const removal = (agentId: string): Draft => ({
  tenant: "default",
  eventType: "stratix:agent_remove",
  agentId,
  commandId: undefined,
  key: undefined,
  own: undefined,
  removes: [`agent:${agentId}`, `agent-info:${agentId}`],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp,
  json: `{"removed":"${agentId}"}`
})
export const note = (n = 0): Draft => ({
  tenant: "default",
  eventType: "stratix:note",
  agentId: undefined,
  commandId: undefined,
  key: undefined,
  own: undefined,
  removes: [],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp,
  json: `{"note":${n}}`
})
/** An event of a declared type, the newest state of its key; without an agent as those without agents are. */
export const own = (key: string, n = 0, agentId?: string): Draft => ({
  tenant: "default",
  eventType: "stratix:zone_update",
  agentId,
  commandId: undefined,
  key: `stratix:zone_update/${key}`,
  own: key,
  removes: [],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp,
  json: `{"zone":"${key}","n":${n}}`
})
/** Ends such a key, by a publisher who knows no agent. */
export const ownRemoval = (key: string): Draft => ({
  ...own(key),
  key: undefined,
  removes: [`stratix:zone_update/${key}`],
  json: `{"removed":"${key}"}`
})
/** The same event of another tenant. */
export const inTenant = (tenant: string, draft: Draft): Draft => ({
  ...draft,
  tenant,
  key: draft.key && Tenant.scoped(tenant, draft.key),
  removes: draft.removes.map((key) => Tenant.scoped(tenant, key))
})
