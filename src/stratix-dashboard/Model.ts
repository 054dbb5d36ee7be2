/** What the page shows, folded from the client's state: agents with their commands, counts, a bounded feed. */
import type { StatusClient, StatusEvent, StatusState } from "../stratix-client/StatusClient.js"

/** The statuses of an agent, in the order of the counts. */
export const agentStatuses = ["online", "busy", "error", "offline"] as const

/** A status of an agent. */
export type AgentStatus = (typeof agentStatuses)[number]

/** The statuses of a command, in the order of the tabs. */
export const commandStatuses = ["running", "pending", "failed", "success"] as const

/** A status of a command. */
export type CommandStatus = (typeof commandStatuses)[number]

/** The newest event of a command. */
export type CommandEvent = StatusState["commands"] extends ReadonlyMap<string, infer Event> ? Event : never

/** One agent. */
export interface Agent {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly status: AgentStatus
  /** When its status began, in milliseconds since the Unix epoch. */
  readonly since: number
  /** Percent of its running command; `undefined` where none runs or none tells. */
  readonly progress: number | undefined
  readonly isRunning: boolean
  /** Its newest finished command, for the flash. */
  readonly finished: CommandEvent | undefined
}

/** Everything on the page at one moment. */
export interface View {
  readonly agents: ReadonlyArray<Agent>
  readonly commands: ReadonlyArray<CommandEvent>
  readonly agentCounts: Readonly<Record<AgentStatus, number>>
  readonly commandCounts: Readonly<Record<CommandStatus, number>>
}

/** agent-2 before agent-10. */
const byName = new Intl.Collator(undefined, { numeric: true })

/** The view of a state: agents by type and name, commands newest first. */
export const viewOf = (state: StatusState): View => {
  const agentCounts: Record<AgentStatus, number> = { online: 0, busy: 0, error: 0, offline: 0 }
  const commandCounts: Record<CommandStatus, number> = { running: 0, pending: 0, failed: 0, success: 0 }
  const running = new Map<string, CommandEvent>()
  const finished = new Map<string, CommandEvent>()
  const commands = [...state.commands.values()]
  for (const event of commands) {
    const { agentId, commandStatus } = event.payload
    commandCounts[commandStatus]++
    if (commandStatus === "running") running.set(agentId, event)
    if (commandStatus === "success" || commandStatus === "failed") {
      const before = finished.get(agentId)
      if (before === undefined || before.timestamp <= event.timestamp) finished.set(agentId, event)
    }
  }
  const agents: Array<Agent> = []
  for (const [id, event] of state.agents) {
    const info = state.agentInfos.get(id)?.payload
    const { status } = event.payload
    const current = running.get(id)
    agentCounts[status]++
    agents.push({
      id,
      name: info?.name ?? id,
      type: info?.type ?? "",
      status,
      since: event.timestamp,
      isRunning: current !== undefined,
      progress: current?.payload.progress,
      finished: finished.get(id)
    })
  }
  agents.sort((a, b) => byName.compare(a.type, b.type) || byName.compare(a.name, b.name))
  commands.sort((a, b) => b.timestamp - a.timestamp)
  return { agents, commands, agentCounts, commandCounts }
}

/** Events kept for the feed; the oldest leave. A screen shows some thirty. */
const FEED_CAPACITY = 500

/** The newest events, newest first. */
export interface Feed {
  readonly events: () => ReadonlyArray<StatusEvent>
  /** Events since the client connected. */
  readonly total: () => number
}

/** Collects a feed for as long as the client lives. */
export const feedOf = (client: StatusClient): Feed => {
  let events: Array<StatusEvent> = []
  let total = 0
  client.onEvent((event) => {
    total++
    events.push(event)
    if (events.length > 2 * FEED_CAPACITY) events = events.slice(-FEED_CAPACITY)
  })
  return { events: () => events.slice(-FEED_CAPACITY).reverse(), total: () => total }
}
