/**
 * What the events say: the newest of each agent, command and agent info.
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
  /** Tells every key whose event differs from the one before, and every key that was only there before. */
  readonly differ: (before: StatusState) => void
}

const refuse = (): never => {
  throw new TypeError("read-only")
}

/** A map that is copied before a change only if it was read since the last one. It tells the keys that change. */
const makeTable = <T extends string>(prefix: string, changed: (key: string) => void) => {
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
      changed(prefix + id)
    },
    /** Whether it was there. */
    remove: (id: string): boolean => {
      if (!map.has(id)) return false
      own().delete(id)
      changed(prefix + id)
      return true
    },
    size: () => map.size,
    differ: (before: ReadonlyMap<string, Message>) => {
      for (const id of new Set([...map.keys(), ...before.keys()])) {
        const offset = map.get(id)?.offset
        // What has no offset comes from a plain gateway, and cannot be compared.
        if (offset === undefined || offset !== before.get(id)?.offset) changed(prefix + id)
      }
    }
  }
}

/** An empty state, which tells the keys that change. It holds what the gateway holds: what leaves there is told as a removal.
 * @since 0.1.0
 * @category constructors */
export const makeFold = (changed: (key: string) => void): Fold => {
  const agents = makeTable<typeof AGENT_STATUS_UPDATE>("agent:", changed)
  const commands = makeTable<typeof COMMAND_STATUS_UPDATE>("command:", changed)
  const agentInfos = makeTable<typeof AGENT_CREATE>("agent-info:", changed)
  let current: StatusState | undefined

  return {
    state: () => {
      current ??= { agents: agents.read(), commands: commands.read(), agentInfos: agentInfos.read() }
      return current
    },
    isEmpty: () => agents.size() + commands.size() + agentInfos.size() === 0,
    apply: (event) => {
      if (isOfType(event, AGENT_STATUS_UPDATE)) agents.set(event.payload.agentId, event)
      else if (isOfType(event, AGENT_CREATE)) agentInfos.set(event.payload.agentId, event)
      else if (isOfType(event, COMMAND_STATUS_UPDATE)) {
        commands.set(event.payload.commandId, event)
      } else if (isOfType(event, AGENT_REMOVE)) {
        const { agentId } = event.payload
        if ([agents.remove(agentId), agentInfos.remove(agentId)].every((wasThere) => !wasThere)) return
      } else if (isOfType(event, COMMAND_REMOVE)) {
        if (!commands.remove(event.payload.commandId)) return
      } else return
      current = undefined
    },
    differ: (before) => {
      agents.differ(before.agents)
      commands.differ(before.commands)
      agentInfos.differ(before.agentInfos)
    }
  }
}
