/**
 * What a screen shows: the newest event of every agent, command and agent info, and of every key of a declared event type.
 *
 * @since 0.1.0
 */
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  type EventReference,
  KEY_REMOVE
} from "../stratix-core/event-types.js"
import { isOfType, type Message, type PayloadOf } from "./Message.js"

/** The newest event of every key, by id. A value that was read never changes any more; a map is replaced only when it differs.
 * @since 0.1.0
 * @category models */
export interface StatusState {
  readonly agents: ReadonlyMap<string, Message<typeof AGENT_STATUS_UPDATE>>
  readonly commands: ReadonlyMap<string, Message<typeof COMMAND_STATUS_UPDATE>>
  readonly agentInfos: ReadonlyMap<string, Message<typeof AGENT_CREATE>>
  /** The newest event of every key of a declared event type, by key. In sync mode. */
  readonly of: <T extends string, P = PayloadOf<T>>(event: EventReference<T, P>) => ReadonlyMap<string, Message<T, P>>
}

/** What is held under keys that begin alike, by the rest of the key. */
interface Table {
  /** What is held now. */
  readonly peek: () => ReadonlyMap<string, Message>
  readonly read: () => ReadonlyMap<string, Message>
  readonly set: (id: string, event: Message) => void
  readonly remove: (id: string) => void
}

/** A state that takes events.
 * @since 0.1.0
 * @category models */
export interface Fold {
  readonly tables: ReadonlyMap<string, Table>
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

// The type forbids changes; a script without types must not change by mistake what others are shown.
const lock = <A>(map: Map<string, A>) => Object.assign(map, { set: refuse, delete: refuse, clear: refuse })

const EMPTY = lock(new Map<string, never>())

/** A map that is copied before a change only if it was read since the last one. */
const makeTable = (changed: (id: string, event?: Message) => void): Table => {
  let map = new Map<string, Message>()
  let isRead = false
  const own = () => {
    if (isRead) map = new Map(map)
    isRead = false
    return map
  }
  return {
    peek: () => map,
    read: () => {
      isRead = true
      return lock(map)
    },
    set: (id, event) => {
      own().set(id, event)
      changed(id, event)
    },
    remove: (id) => {
      if (map.has(id) && own().delete(id)) changed(id)
    }
  }
}

/** What was put under the name of an event type is of that type. */
const holds = <T extends string, P>(map: unknown): map is ReadonlyMap<string, Message<T, P>> => !!map

/** An empty state, which tells the keys that change; with a state `before` it, those that differ. It holds what the gateway holds: what leaves
 * there is told as a removal.
 * @since 0.1.0
 * @category constructors */
export const makeFold = (changed: (key: string) => void, before?: Fold["tables"]): Fold => {
  let current: StatusState | undefined
  // Bound: the event types of what is held. Named as their keys begin.
  const tables = new Map<string, Table>()
  const table = (prefix: string) => {
    const made =
      tables.get(prefix) ??
      makeTable((id, event) => {
        current = undefined
        // What has no offset comes from a plain gateway, and cannot be compared.
        if (!event?.offset || event.offset !== before?.get(prefix)?.peek().get(id)?.offset) changed(prefix + id)
      })
    tables.set(prefix, made)
    return made
  }
  const agents = table("agent:")
  const commands = table("command:")
  const agentInfos = table("agent-info:")

  const readAll = (): StatusState => {
    const maps = new Map([...tables].map(([prefix, { read }]) => [prefix, read()]))
    const read = <T extends string, P = PayloadOf<T>>(prefix: string): ReadonlyMap<string, Message<T, P>> => {
      const map = maps.get(prefix)
      return holds<T, P>(map) ? map : EMPTY
    }
    return {
      agents: read("agent:"),
      commands: read("command:"),
      agentInfos: read("agent-info:"),
      of: ({ eventType }) => read(`${eventType}/`)
    }
  }

  return {
    tables,
    state: () => {
      current ??= readAll()
      return current
    },
    isEmpty: () => ![...tables.values()].some(({ peek }) => peek().size),
    apply: (event) => {
      if (isOfType(event, AGENT_STATUS_UPDATE)) agents.set(event.payload.agentId, event)
      else if (isOfType(event, AGENT_CREATE)) agentInfos.set(event.payload.agentId, event)
      else if (isOfType(event, COMMAND_STATUS_UPDATE)) commands.set(event.payload.commandId, event)
      else if (isOfType(event, AGENT_REMOVE)) {
        agents.remove(event.payload.agentId)
        agentInfos.remove(event.payload.agentId)
      } else if (isOfType(event, COMMAND_REMOVE)) commands.remove(event.payload.commandId)
      else if (isOfType(event, KEY_REMOVE)) table(`${event.payload.eventType}/`).remove(event.payload.key)
      else if (event.key) table(`${event.eventType}/`).set(event.key, event)
    },
    replace: () => {
      before?.forEach(({ peek }, prefix) => {
        for (const id of peek().keys()) if (!table(prefix).peek().has(id)) changed(prefix + id)
      })
      before = undefined
    }
  }
}
