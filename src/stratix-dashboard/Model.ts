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
  /** Those that changed last first. */
  readonly commands: ReadonlyArray<CommandEvent>
  readonly commandsOf: (agentId: string) => ReadonlyArray<CommandEvent>
  readonly agentCounts: Readonly<Record<AgentStatus, number>>
  readonly commandCounts: Readonly<Record<CommandStatus, number>>
}

/** agent-2 before agent-10. */
const byName = new Intl.Collator(undefined, { numeric: true })

const inOrder = (a: Agent, b: Agent): number => byName.compare(a.type, b.type) || byName.compare(a.name, b.name)

/** A view that follows the state key by key: of ten thousand agents, those that changed since the last frame are looked at. */
export interface Model {
  /** The view after these keys have changed; without keys, of a state it knows nothing of. */
  readonly update: (state: StatusState, keys?: Iterable<string>) => View
}

const splitKey = (key: string): readonly [kind: string, id: string] => {
  const at = key.indexOf(":")
  return [key.slice(0, at), key.slice(at + 1)]
}

/** The commands as they are counted and listed: in the order in which they last changed. */
class CommandTable {
  private readonly all = new Map<string, CommandEvent>()
  /** Of each agent, by id. */
  private readonly byAgent = new Map<string, Map<string, CommandEvent>>()
  readonly counts: Record<CommandStatus, number> = { running: 0, pending: 0, failed: 0, success: 0 }

  get(id: string): CommandEvent | undefined {
    return this.all.get(id)
  }

  put(id: string, event: CommandEvent | undefined): void {
    const before = this.all.get(id)
    if (before !== undefined) {
      this.counts[before.payload.commandStatus]--
      this.all.delete(id)
      const siblings = this.byAgent.get(before.payload.agentId)
      siblings?.delete(id)
      if (siblings?.size === 0) this.byAgent.delete(before.payload.agentId)
    }
    if (event === undefined) return
    const { agentId, commandStatus } = event.payload
    this.counts[commandStatus]++
    this.all.set(id, event)
    const siblings = this.byAgent.get(agentId) ?? new Map<string, CommandEvent>()
    this.byAgent.set(agentId, siblings.set(id, event))
  }

  of(agentId: string): Iterable<CommandEvent> {
    return this.byAgent.get(agentId)?.values() ?? []
  }

  newestFirst(): ReadonlyArray<CommandEvent> {
    return [...this.all.values()].reverse()
  }
}

/** A model that knows nothing yet. */
export const makeModel = (): Model => {
  let commands = new CommandTable()
  let agents = new Map<string, Agent>()
  // Ids in the order in which they are shown; `undefined` where it has to be made anew.
  let order: ReadonlyArray<string> | undefined
  let newestFirst: ReadonlyArray<CommandEvent> | undefined

  const agentOf = (state: StatusState, id: string): Agent | undefined => {
    const event = state.agents.get(id)
    if (event === undefined) return undefined
    const info = state.agentInfos.get(id)?.payload
    let running: CommandEvent | undefined
    let finished: CommandEvent | undefined
    for (const command of commands.of(id)) {
      const { commandStatus } = command.payload
      if (commandStatus === "running") running = command
      else if (commandStatus !== "pending") finished = command
    }
    return {
      id,
      name: info?.name ?? id,
      type: info?.type ?? "",
      status: event.payload.status,
      since: event.timestamp,
      isRunning: running !== undefined,
      progress: running?.payload.progress,
      finished
    }
  }

  const refresh = (state: StatusState, id: string) => {
    const before = agents.get(id)
    const next = agentOf(state, id)
    if (next === undefined) agents.delete(id)
    else agents.set(id, next)
    if (before?.name !== next?.name || before?.type !== next?.type) order = undefined
  }

  const everyKey = function* (state: StatusState) {
    for (const id of state.commands.keys()) yield `command:${id}`
    for (const id of state.agents.keys()) yield `agent:${id}`
  }

  return {
    update: (state, keys) => {
      if (keys === undefined) {
        commands = new CommandTable()
        agents = new Map()
        order = undefined
      }
      const touched = new Set<string>()
      for (const key of keys ?? everyKey(state)) {
        const [kind, id] = splitKey(key)
        if (kind === "command") {
          const before = commands.get(id)
          const event = state.commands.get(id)
          commands.put(id, event)
          newestFirst = undefined
          if (before !== undefined) touched.add(before.payload.agentId)
          if (event !== undefined) touched.add(event.payload.agentId)
        } else touched.add(id)
      }
      for (const id of touched) refresh(state, id)
      order ??= [...agents.values()].sort(inOrder).map(({ id }) => id)
      const agentCounts: Record<AgentStatus, number> = { online: 0, busy: 0, error: 0, offline: 0 }
      for (const { status } of agents.values()) agentCounts[status]++
      const shown: Array<Agent> = []
      for (const id of order) {
        const agent = agents.get(id)
        if (agent !== undefined) shown.push(agent)
      }
      return {
        agents: shown,
        // Made where it is read: most parts of the page do not list every command.
        get commands() {
          newestFirst ??= commands.newestFirst()
          return newestFirst
        },
        commandsOf: (agentId) => [...commands.of(agentId)].reverse(),
        agentCounts,
        commandCounts: { ...commands.counts }
      }
    }
  }
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
