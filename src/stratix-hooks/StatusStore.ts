/**
 * What a page draws, with a subscription for each part: a component that shows one agent hears of that one only. Shared by the bindings.
 *
 * @since 0.1.0
 */

import {
  connect,
  type Freshness,
  type StatusClient,
  type StatusClientOptions,
  type StatusState,
  type Unsubscribe
} from "../stratix-client/StatusClient.js"
import type { AgentStatusPayload, CommandStatusPayload } from "../stratix-core/stratix-protocol.js"

/** An agent, as its newest events say. The value is replaced when it changes.
 * @since 0.1.0
 * @category models */
export interface Agent {
  readonly id: string
  /** Absent where only its creation is known. */
  readonly status: AgentStatusPayload["status"] | undefined
  readonly reason: string | undefined
  readonly name: string | undefined
  readonly type: string | undefined
  /** When it last changed, in milliseconds since the Unix epoch, by the gateway's clock. */
  readonly timestamp: number
}

/** A command, as its newest event says. The value is replaced when it changes.
 * @since 0.1.0
 * @category models */
export interface Command {
  readonly id: string
  readonly agentId: string
  readonly status: CommandStatusPayload["commandStatus"]
  /** Percent. */
  readonly progress: number | undefined
  readonly result: unknown
  readonly error: string | undefined
  readonly timestamp: number
}

/** Which commands to show: all fields that are there must hold.
 * @since 0.1.0
 * @category models */
export interface CommandFilter {
  readonly agentId?: string | undefined
  readonly status?: Command["status"] | ReadonlyArray<Command["status"]> | undefined
}

/** What the bindings read. Nothing is connected before `start`.
 * @since 0.1.0
 * @category models */
export interface StatusStore {
  readonly agent: (id: string) => Agent | undefined
  /** The same array while nothing in it changes. */
  readonly agents: () => ReadonlyArray<Agent>
  readonly commands: () => ReadonlyArray<Command>
  readonly freshness: () => Freshness
  readonly onAgent: (id: string, listener: () => void) => Unsubscribe
  readonly onAgents: (listener: () => void) => Unsubscribe
  readonly onCommands: (listener: () => void) => Unsubscribe
  readonly onFreshness: (listener: () => void) => Unsubscribe
  /** The client, while it is connected. */
  readonly client: () => StatusClient | undefined
  /** Connects, unless it is; returns what ends that again. Several may have started it: the last to stop ends it. */
  readonly start: () => Unsubscribe
}

/** Where to connect to, or a client of the caller's own, which the bindings do not close.
 * @since 0.1.0
 * @category models */
export type StatusSource =
  | { readonly url: string | URL; readonly options?: StatusClientOptions | undefined; readonly client?: undefined }
  | { readonly client: StatusClient; readonly url?: undefined; readonly options?: undefined }

/** What is shown before there is a connection, and by a server. */
export const NO_AGENTS: ReadonlyArray<Agent> = []
export const NO_COMMANDS: ReadonlyArray<Command> = []
export const INITIAL_FRESHNESS: Freshness = { _tag: "connecting", since: 0, attempt: 0 }

const agentIn = (state: StatusState, id: string): Agent | undefined => {
  const status = state.agents.get(id)
  const info = state.agentInfos.get(id)
  if (!status && !info) return undefined
  return {
    id,
    status: status?.payload.status,
    reason: status?.payload.reason,
    name: info?.payload.name,
    type: info?.payload.type,
    timestamp: Math.max(status?.timestamp ?? 0, info?.timestamp ?? 0)
  }
}

const commandIn = (state: StatusState, id: string): Command | undefined => {
  const event = state.commands.get(id)
  if (!event) return undefined
  const { agentId, commandStatus, error, progress, result } = event.payload
  return { id, agentId, status: commandStatus, progress, result, error, timestamp: event.timestamp }
}

/** Values by id, each replaced when it changes, and all of them in one array. */
const makeTable = <A>() => {
  const values = new Map<string, A>()
  let all: ReadonlyArray<A> | undefined
  return {
    get: (id: string) => values.get(id),
    all: () => {
      all ??= [...values.values()]
      return all
    },
    put: (id: string, value: A | undefined) => {
      all = undefined
      if (value === undefined) values.delete(id)
      else values.set(id, value)
    }
  }
}

const makeListeners = () => {
  const all = new Set<() => void>()
  return {
    add: (listener: () => void): Unsubscribe => {
      const own = () => listener()
      all.add(own)
      return () => all.delete(own)
    },
    call: () => {
      for (const listener of [...all]) listener()
    },
    isEmpty: () => all.size === 0
  }
}

/** A store that is not connected yet. */
export const makeStatusStore = (source: StatusSource): StatusStore => {
  let client: StatusClient | undefined
  let users = 0
  let stop: Unsubscribe = () => undefined
  const agents = makeTable<Agent>()
  const commands = makeTable<Command>()
  // Bound: the agents that are shown.
  const ofAgent = new Map<string, ReturnType<typeof makeListeners>>()
  const ofAgents = makeListeners()
  const ofCommands = makeListeners()
  const ofFreshness = makeListeners()

  const take = (state: StatusState, keys: Iterable<string>) => {
    const changedAgents = new Set<string>()
    let commandsChanged = false
    for (const key of keys) {
      const at = key.indexOf(":")
      const id = key.slice(at + 1)
      if (key.startsWith("command:")) {
        commands.put(id, commandIn(state, id))
        commandsChanged = true
      } else changedAgents.add(id)
    }
    for (const id of changedAgents) agents.put(id, agentIn(state, id))
    for (const id of changedAgents) ofAgent.get(id)?.call()
    if (changedAgents.size > 0) ofAgents.call()
    if (commandsChanged) ofCommands.call()
  }
  const keysOf = ({ agentInfos, agents, commands }: StatusState) => [
    ...[...agents.keys(), ...agentInfos.keys()].map((id) => `agent:${id}`),
    ...[...commands.keys()].map((id) => `command:${id}`)
  ]

  const begin = () => {
    const made = source.client ?? connect(source.url, source.options)
    client = made
    const stops = [made.onState((keys) => take(made.state, keys)), made.onFreshness(ofFreshness.call)]
    // A client of the caller's own may know something already; one that was here before knew something else.
    take(made.state, [
      ...keysOf(made.state),
      ...agents.all().map(({ id }) => `agent:${id}`),
      ...commands.all().map(({ id }) => `command:${id}`)
    ])
    ofFreshness.call()
    stop = () => {
      for (const unsubscribe of stops) unsubscribe()
      if (!source.client) made.close()
      client = undefined
    }
  }

  return {
    agent: agents.get,
    agents: agents.all,
    commands: commands.all,
    freshness: () => client?.freshness ?? INITIAL_FRESHNESS,
    onAgent: (id, listener) => {
      const listeners = ofAgent.get(id) ?? makeListeners()
      ofAgent.set(id, listeners)
      const remove = listeners.add(listener)
      return () => {
        remove()
        if (listeners.isEmpty() && ofAgent.get(id) === listeners) ofAgent.delete(id)
      }
    },
    onAgents: ofAgents.add,
    onCommands: ofCommands.add,
    onFreshness: ofFreshness.add,
    client: () => client,
    start: () => {
      if (users++ === 0) begin()
      let started = true
      return () => {
        if (!started) return
        started = false
        if (--users === 0) stop()
      }
    }
  }
}

/** Reads the commands that a filter lets through: the same array while it would be equal. */
export const selectCommands = (
  store: StatusStore,
  { agentId, status }: CommandFilter
): (() => ReadonlyArray<Command>) => {
  const statuses = status === undefined ? undefined : [status].flat()
  let from: ReadonlyArray<Command> | undefined
  let selected = NO_COMMANDS
  return () => {
    const all = store.commands()
    if (all === from) return selected
    from = all
    const next = all.filter(
      (command) =>
        (agentId === undefined || command.agentId === agentId) &&
        (statuses === undefined || statuses.includes(command.status))
    )
    if (next.length !== selected.length || next.some((command, i) => command !== selected[i])) selected = next
    return selected
  }
}

/** A filter as a text: equal where the filters are. */
export const keyOfFilter = ({ agentId, status }: CommandFilter): string =>
  JSON.stringify([agentId, status === undefined ? undefined : [status].flat()])

/** What a hook throws outside of a provider. */
export const noProvider = (hook: string, provider: string): Error => new Error(`${hook} is used outside of ${provider}`)
