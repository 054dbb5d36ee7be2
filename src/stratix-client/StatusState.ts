/**
 * What a screen shows: the newest event of every agent, command and agent info.
 *
 * @since 0.1.0
 */
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE
} from "../stratix-core/event-types.js"
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
  readonly isEmpty: () => boolean
  /** Takes an event. */
  readonly apply: (event: Message) => void
  /** It stands for the one before from now on: tells every key that was only there. */
  readonly replace: () => void
}

const refuse = (): never => {
  throw new TypeError("read-only")
}

/** A map that is copied before a change only if it was read since the last one. It tells the keys that change, or differ from the map before. */
const makeTable = <T extends string>(
  prefix: string,
  changed: (key: string) => void,
  before: ReadonlyMap<string, Message> | undefined
) => {
  let map = new Map<string, Message<T>>()
  let isRead = false
  const own = () => {
    if (isRead) map = new Map(map)
    isRead = false
    return map
  }
  return {
    // The type forbids changes; a script without types must not change by mistake what others are shown.
    read: (): ReadonlyMap<string, Message<T>> => {
      isRead = true
      return Object.assign(map, { set: refuse, delete: refuse, clear: refuse })
    },
    set: (id: string, event: Message<T>) => {
      own().set(id, event)
      // What has no offset comes from a plain gateway, and cannot be compared.
      if (!event.offset || event.offset !== before?.get(id)?.offset) changed(prefix + id)
    },
    remove: (id: string) => {
      if (!map.has(id)) return
      own().delete(id)
      changed(prefix + id)
    },
    isEmpty: () => map.size === 0,
    replace: () => {
      for (const id of before?.keys() ?? []) if (!map.has(id)) changed(prefix + id)
      before = undefined
    }
  }
}

/** An empty state, which tells the keys that change; with a state `before` it, those that differ. It holds what the gateway holds: what leaves
 * there is told as a removal.
 * @since 0.1.0
 * @category constructors */
export const makeFold = (changed: (key: string) => void, before?: StatusState): Fold => {
  let current: StatusState | undefined
  const tell = (key: string) => {
    current = undefined
    changed(key)
  }
  const agents = makeTable<typeof AGENT_STATUS_UPDATE>("agent:", tell, before?.agents)
  const commands = makeTable<typeof COMMAND_STATUS_UPDATE>("command:", tell, before?.commands)
  const agentInfos = makeTable<typeof AGENT_CREATE>("agent-info:", tell, before?.agentInfos)
  const tables = [agents, commands, agentInfos]

  return {
    state: () => {
      current ??= { agents: agents.read(), commands: commands.read(), agentInfos: agentInfos.read() }
      return current
    },
    isEmpty: () => tables.every(({ isEmpty }) => isEmpty()),
    apply: (event) => {
      if (isOfType(event, AGENT_STATUS_UPDATE)) agents.set(event.payload.agentId, event)
      else if (isOfType(event, AGENT_CREATE)) agentInfos.set(event.payload.agentId, event)
      else if (isOfType(event, COMMAND_STATUS_UPDATE)) commands.set(event.payload.commandId, event)
      else if (isOfType(event, AGENT_REMOVE)) {
        agents.remove(event.payload.agentId)
        agentInfos.remove(event.payload.agentId)
      } else if (isOfType(event, COMMAND_REMOVE)) commands.remove(event.payload.commandId)
    },
    replace: () => {
      for (const { replace } of tables) replace()
    }
  }
}
