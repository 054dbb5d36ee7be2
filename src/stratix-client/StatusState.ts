/**
 * What the events say: the newest of each agent, command and agent info.
 *
 * @since 0.1.0
 */
import { AGENT_CREATE, AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE } from "../stratix-core/event-types.js"
import { isOfType, type Message } from "./Message.js"

/** The newest event of every key, by id. A value that was read never changes any more; a map is replaced only when it differs.
 * @since 0.1.0
 * @category models */
export interface StatusState {
  readonly agents: ReadonlyMap<string, Message<typeof AGENT_STATUS_UPDATE>>
  readonly commands: ReadonlyMap<string, Message<typeof COMMAND_STATUS_UPDATE>>
  readonly agentInfos: ReadonlyMap<string, Message<typeof AGENT_CREATE>>
}

/** A state that takes events.
 * @since 0.1.0
 * @category models */
export interface Fold {
  readonly state: () => StatusState
  /** Whether the event changed the state. */
  readonly apply: (event: Message) => boolean
}

/** A map that is copied before a change only if somebody has read it since the last one. */
const makeTable = <T extends string>() => {
  let map = new Map<string, Message<T>>()
  let isRead = false
  return {
    read: (): ReadonlyMap<string, Message<T>> => {
      isRead = true
      return map
    },
    own: (): Map<string, Message<T>> => {
      if (isRead) map = new Map(map)
      isRead = false
      return map
    }
  }
}

/** An empty state. Of finished commands it keeps `maxFinished`: the one that finished first leaves, as it leaves the gateway's state.
 * @since 0.1.0
 * @category constructors */
export const makeFold = (maxFinished: number): Fold => {
  const agents = makeTable<typeof AGENT_STATUS_UPDATE>()
  const commands = makeTable<typeof COMMAND_STATUS_UPDATE>()
  const agentInfos = makeTable<typeof AGENT_CREATE>()
  // Bound: maxFinished ids, in the order they finished; above it the oldest leaves, and its command with it.
  const finished = new Set<string>()
  let current: StatusState | undefined

  const applyCommand = (event: Message<typeof COMMAND_STATUS_UPDATE>) => {
    const { commandId, commandStatus } = event.payload
    const map = commands.own().set(commandId, event)
    finished.delete(commandId)
    if (commandStatus === "success" || commandStatus === "failed") finished.add(commandId)
    for (const oldest of finished) {
      if (finished.size <= maxFinished) break
      finished.delete(oldest)
      map.delete(oldest)
    }
  }

  return {
    state: () => {
      current ??= { agents: agents.read(), commands: commands.read(), agentInfos: agentInfos.read() }
      return current
    },
    apply: (event) => {
      if (isOfType(event, AGENT_STATUS_UPDATE)) agents.own().set(event.payload.agentId, event)
      else if (isOfType(event, AGENT_CREATE)) agentInfos.own().set(event.payload.agentId, event)
      else if (isOfType(event, COMMAND_STATUS_UPDATE)) applyCommand(event)
      else return false
      current = undefined
      return true
    }
  }
}
