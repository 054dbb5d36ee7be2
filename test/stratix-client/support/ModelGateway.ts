/**
 * The sync protocol over a log, as plainly as it can be said: the judge of the client, so it shares no code with the gateway.
 * Frames travel only when told to, in both directions, and a connection may end between any two of them.
 */
import type { Filter } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import type { FakeSocket } from "./World.js"

export interface ModelEvent {
  readonly eventType: string
  readonly payload: { readonly agentId?: string; readonly commandId?: string; readonly [name: string]: unknown }
  /** Of a declared type: its key among those of the type. */
  readonly own?: string
}

interface Entry extends ModelEvent {
  readonly seq: number
  readonly key: string | undefined
  readonly finished: boolean
  /** What filters look at, where that is not the event itself: of the end of a declared key, the event whose key it ends. */
  readonly seenAs?: ModelEvent
  /** The removal that stands for it where only the agent that had the command or the declared key until now is seen. */
  readonly departure?: Pick<Entry, "eventType" | "payload" | "seenAs">
}

const removes = ({ eventType, payload }: ModelEvent): ReadonlyArray<string> =>
  eventType === Types.AGENT_REMOVE
    ? [`agent:${payload.agentId}`, `agent-info:${payload.agentId}`]
    : eventType === Types.COMMAND_REMOVE
      ? [`command:${payload.commandId}`]
      : eventType === Types.KEY_REMOVE
        ? [`${payload["eventType"]}/${payload["key"]}`]
        : []

/** The types that a type of a filter lets through: a removal goes where what it ends went. */
const lets = (wanted: string, eventType: string): boolean =>
  wanted === eventType ||
  (eventType === Types.AGENT_REMOVE && (wanted === Types.AGENT_STATUS_UPDATE || wanted === Types.AGENT_CREATE)) ||
  (eventType === Types.COMMAND_REMOVE && wanted === Types.COMMAND_STATUS_UPDATE)

const keyOf = ({ eventType, own, payload }: ModelEvent): string | undefined =>
  eventType === Types.AGENT_STATUS_UPDATE
    ? `agent:${payload.agentId}`
    : eventType === Types.COMMAND_STATUS_UPDATE
      ? `command:${payload.commandId}`
      : eventType === Types.AGENT_CREATE
        ? `agent-info:${payload.agentId}`
        : own === undefined
          ? undefined
          : `${eventType}/${own}`

/** What ends a declared key. It goes where the event goes that has the key. */
const keyRemoval = ({ eventType, own, payload }: ModelEvent) => ({
  eventType: Types.KEY_REMOVE,
  payload: { eventType, key: own },
  seenAs: { eventType, payload }
})

const commandRemoval = ({ payload: { agentId = "", commandId = "" } }: ModelEvent) => ({
  eventType: Types.COMMAND_REMOVE,
  payload: { commandId, agentId }
})

export const admits = ({ agents, commands, events }: Filter, { eventType, payload }: ModelEvent): boolean =>
  (events === undefined || events.some((wanted) => lets(wanted, eventType))) &&
  (agents === undefined || (payload.agentId !== undefined && agents.includes(payload.agentId))) &&
  (commands === undefined || (payload.commandId !== undefined && commands.includes(payload.commandId)))

const filterOf = (query: string): Filter => {
  const list = (name: string) =>
    new RegExp(`(?:^|&)${name}=([^&]*)`).exec(query)?.[1]?.split(",").map(decodeURIComponent)
  const [events, agents, commands] = [list("events"), list("agents"), list("commands")]
  return { ...(events && { events }), ...(agents && { agents }), ...(commands && { commands }) }
}

/** One client's connection: what it has on the way in both directions, and where it is. */
export class ModelConnection {
  readonly down: Array<() => void> = []
  readonly up: Array<() => void> = []
  live = false
  cursor: number | undefined
  /** Up to where the reader knew everything when a conflated catch-up or a snapshot began. */
  base: number | undefined

  constructor(
    readonly gateway: ModelGateway,
    readonly socket: FakeSocket,
    public filter: Filter
  ) {
    socket.onClose = () => gateway.connections.delete(this)
    socket.onSend = (message) => this.up.push(() => this.receive(message))
  }

  /** Delivers frames to the client. */
  deliver(count: number): void {
    for (const frame of this.down.splice(0, count)) frame()
  }

  private receive(message: unknown): void {
    if (typeof message !== "object" || message === null || !("type" in message)) throw new Error("not understood")
    if (message.type !== "subscribe") return
    const { type: _, ...filter } = message
    this.filter = filter
    this.live = false
    this.cursor = undefined
    this.base = undefined
    this.down.push(() => this.socket.message(Types.SUBSCRIBED, filter))
  }
}

export class ModelGateway {
  epoch = 0
  /** Everything since the start of the epoch. */
  log: Array<Entry> = []
  /** Up to where removals are forgotten: who may have missed one of those starts afresh. */
  private forgotten = 0
  readonly connections = new Set<ModelConnection>()

  /** Limits: events kept for exact catch-up; events in one chunk; frames on their way above which a connection is behind. */
  constructor(
    readonly history: number,
    readonly chunk: number,
    readonly highWater: number
  ) {}

  get head(): number {
    return this.log.length
  }

  /** The newest event of every key, in the order of the log. */
  latest(filter: Filter = {}): ReadonlyArray<Entry> {
    const byKey = new Map<string, Entry>()
    for (const entry of this.log) {
      for (const key of removes(entry)) byKey.delete(key)
      if (entry.key !== undefined) byKey.set(entry.key, entry)
    }
    return [...byKey.values()].filter((entry) => admits(filter, entry)).sort((left, right) => left.seq - right.seq)
  }

  offset(seq: number): string {
    return `${this.epoch}-${seq}`
  }

  publish(event: ModelEvent): void {
    const { commandStatus, over } = event.payload
    const finished = commandStatus === "success" || commandStatus === "failed" || over === true
    const key = keyOf(event)
    const [ended] = removes(event)
    const before = this.latest().find((held) => held.key === (key ?? ended))
    const moved = before !== undefined && before.payload.agentId !== event.payload.agentId
    const departure = before?.own !== undefined ? keyRemoval : before?.payload.commandId && commandRemoval
    const entry: Entry = {
      ...event,
      key,
      finished,
      seq: this.head + 1,
      ...(moved && key !== undefined && departure && { departure: departure(before) }),
      ...(event.eventType === Types.KEY_REMOVE && {
        seenAs: { eventType: String(event.payload["eventType"]), payload: before?.payload ?? {} }
      })
    }
    this.log.push(entry)
    for (const connection of this.connections) {
      if (!connection.live) continue
      if (connection.down.length >= this.highWater) {
        connection.live = false
        connection.cursor = entry.seq - 1
      } else for (const told of this.told(entry, connection.filter)) this.push(connection, told)
    }
  }

  /** Finished commands and declared keys are removed, all of them. */
  prune(): void {
    for (const entry of this.latest())
      if (entry.finished) this.publish(entry.own === undefined ? commandRemoval(entry) : keyRemoval(entry))
  }

  /** The marks of all removals up to now are forgotten. */
  forget(): void {
    this.forgotten = this.head
  }

  private told(entry: Entry, filter: Filter): ReadonlyArray<Entry> {
    if (admits(filter, entry.seenAs ?? entry)) return [entry]
    const { departure, finished, seq } = entry
    return departure !== undefined && admits(filter, departure.seenAs ?? departure)
      ? [{ ...departure, key: undefined, finished, seq }]
      : []
  }

  /** A new process with an empty log; every connection ends. */
  restart(): void {
    this.epoch++
    this.log = []
    this.forgotten = 0
    for (const connection of [...this.connections]) this.end(connection, 1012)
  }

  accept(socket: FakeSocket): ModelConnection {
    const connection = new ModelConnection(this, socket, filterOf(socket.query))
    const since = /(?:^|&)since=([^&]*)/.exec(socket.query)?.[1]
    const [epoch, seq] = since === undefined ? [] : decodeURIComponent(since).split("-")
    if (epoch === String(this.epoch)) connection.cursor = Number(seq)
    connection.down.push(() => socket.welcome())
    this.connections.add(connection)
    return connection
  }

  /** The connection ends; what was on its way is lost. */
  end(connection: ModelConnection, code: number): void {
    this.connections.delete(connection)
    connection.socket.end(code)
  }

  /** One step of a catch-up. */
  step(connection: ModelConnection): void {
    if (connection.live || connection.down.length >= this.highWater) return
    const { cursor, filter } = connection
    const found = this.since(cursor, filter, connection.base)
    if (found.mode === "snapshot") connection.base = this.head
    else if (found.mode === "conflated") connection.base ??= cursor
    const live = found.to === this.head
    connection.down.push(() => connection.socket.sync(found.mode, this.offset(found.to), found.entries.length, !live))
    for (const entry of found.entries) this.push(connection, entry)
    connection.cursor = found.to
    connection.live = live
    if (live) connection.base = undefined
  }

  private push({ down, socket }: ModelConnection, { eventType, own, payload, seq }: Entry): void {
    const offset = this.offset(seq)
    down.push(() => socket.message(eventType, payload, offset, own))
  }

  private since(cursor: number | undefined, filter: Filter, base: number | undefined) {
    if (cursor !== undefined && base === undefined && cursor >= this.head - this.history) {
      const to = Math.min(this.head, cursor + this.chunk)
      return {
        mode: "resume" as const,
        to,
        entries: this.log.slice(cursor, to).flatMap((entry) => this.told(entry, filter))
      }
    }
    const snapshot = cursor === undefined || this.forgotten > (base ?? cursor)
    const newest = new Set(this.latest())
    // Of what is not the newest of its key only the removals: those that are removals, and those that a move is to some.
    const all = this.log.filter(
      (entry) =>
        (snapshot || entry.seq > cursor) &&
        (newest.has(entry) || (!snapshot && (removes(entry).length > 0 || entry.departure !== undefined)))
    )
    const some = all.slice(0, this.chunk)
    const to = some.length === all.length ? this.head : (some.at(-1)?.seq ?? this.head)
    return {
      mode: snapshot ? ("snapshot" as const) : ("conflated" as const),
      to,
      entries: some
        .flatMap((entry) => this.told(entry, filter))
        .filter((entry) => entry.key === undefined || [...newest].some(({ seq }) => seq === entry.seq))
    }
  }
}
