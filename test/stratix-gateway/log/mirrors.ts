/** Mirrors for tests, and events for them. */
import { defaults, type Settings } from "../../../src/stratix-gateway/config/StatusSyncConfig.js"
import type { Draft, LogEntry } from "../../../src/stratix-gateway/log/EventLog.js"
import { Mirror } from "../../../src/stratix-gateway/log/mirror/Mirror.js"
import { emptyLog, isKeyless, type Origin } from "../../../src/stratix-gateway/log/mirror/Records.js"
import { draft } from "../../support/draft.js"

export const stampOf = () => ({ timestamp: 0, requestId: "r" })

/** A mirror, and how it takes the next event. */
export const world = (settings: Partial<Settings> = {}, origin: Origin = emptyLog("e")) => {
  const mirror = new Mirror({ ...defaults, ...settings }, origin)
  const apply = (rest: Partial<Draft>, now = 0) => {
    const next = draft(rest)
    const { keyless, seq } = mirror.place
    return mirror.apply(next, { epoch: "e", seq: seq + 1, keyless: keyless + (isKeyless(next) ? 1 : 0) }, now)
  }
  /** Takes what the mirror itself asks for, and tells it. */
  const due = (now = 0) => {
    const asked: Array<LogEntry> = []
    for (let next = mirror.overdue(now, stampOf); next !== undefined; next = mirror.overdue(now, stampOf))
      asked.push(apply(next, now))
    return asked
  }
  return { mirror, apply, due }
}

export const agent = (agentId: string, json = "{}"): Partial<Draft> => ({
  eventType: "stratix:agent_status_update",
  agentId,
  key: `agent:${agentId}`,
  json
})
export const info = (agentId: string): Partial<Draft> => ({ ...agent(agentId), key: `agent-info:${agentId}` })
/** An agent whose status holds for so long. */
export const leased = (agentId: string, millis: number, endCommands = false): Partial<Draft> => ({
  ...agent(agentId),
  lease: { millis, endCommands }
})
export const command = (commandId: string, agentId = "a", rest: Partial<Draft> = {}): Partial<Draft> => ({
  eventType: "stratix:command_status_update",
  agentId,
  commandId,
  key: `command:${commandId}`,
  ...rest
})
export const finished = (commandId: string, agentId = "a"): Partial<Draft> =>
  command(commandId, agentId, { finished: true, status: "success" })
export const removal = (agentId: string, json = "{}"): Partial<Draft> => ({
  eventType: "stratix:agent_remove",
  agentId,
  removes: [`agent:${agentId}`, `agent-info:${agentId}`],
  json
})

export const keys = (entries: ReadonlyArray<LogEntry>) => entries.map(({ key }) => key)
export const indexes = (entries: ReadonlyArray<LogEntry>) => entries.map(({ index }) => index)
