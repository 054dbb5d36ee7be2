/**
 * An event with its place as text, as the owners of logs keep it: a line of numbers, a line with the agent and the command that its key had
 * before, a line of what routes the event, and its JSON.
 *
 * JSON has no line breaks outside of strings, and escapes those within.
 */
import {
  AGENT_CREATE,
  AGENT_STATUS_UPDATE,
  AgentStatus,
  COMMAND_STATUS_UPDATE,
  CommandStatus
} from "../../../stratix-core/stratix-protocol.js"
import type { Draft } from "../EventLog.js"
import { NOTHING, type Recorded } from "./Records.js"
import type { Removed } from "./Removals.js"

/** Everything of an event but its JSON. */
export const headerOf = (draft: Draft): string =>
  JSON.stringify([
    draft.eventType,
    draft.agentId ?? null,
    draft.commandId ?? null,
    draft.key ?? null,
    draft.removes,
    draft.status ?? null,
    draft.finished,
    draft.lease?.millis ?? null,
    draft.lease?.endCommands ?? false,
    draft.stamp.timestamp,
    draft.stamp.requestId,
    draft.tenant,
    draft.own ?? null
  ])

const STATUSES = new Map([...AgentStatus.literals, ...CommandStatus.literals].map((status) => [String(status), status]))

/** One list for all events that end nothing, and one string for all of an event type or an epoch: a state has many, and a start should not take long. */
const NO_KEYS: ReadonlyArray<string> = []
const EVENT_TYPES = new Map(
  [AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE, AGENT_CREATE].map((type) => [String(type), type])
)
let recentEpoch = ""

const epochOf = (text: string): string => {
  if (text !== recentEpoch) recentEpoch = text
  return recentEpoch
}

const textOrNone = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const draftOf = (header: ReadonlyArray<unknown>, json: string): Draft => {
  const [
    eventType,
    agentId,
    commandId,
    key,
    removes,
    status,
    finished,
    lease,
    endCommands,
    timestamp,
    requestId,
    tenant,
    own
  ] = header
  return {
    tenant: String(tenant),
    eventType: EVENT_TYPES.get(String(eventType)) ?? String(eventType),
    agentId: textOrNone(agentId),
    commandId: textOrNone(commandId),
    key: textOrNone(key),
    own: textOrNone(own),
    removes: Array.isArray(removes) && removes.length > 0 ? removes.map(String) : NO_KEYS,
    status: STATUSES.get(String(status)),
    finished: finished === true,
    lease: typeof lease === "number" ? { millis: lease, endCommands: endCommands === true } : undefined,
    stamp: { timestamp: Number(timestamp), requestId: String(requestId) },
    json
  }
}

/** Reads an event whose header was written apart from its JSON. */
export const readDraft = (header: string, json: string): Draft => draftOf(listOf(JSON.parse(header)), json)

/** What Redis knows by them: 1 finished, 2 a running command. */
export const flagsOf = ({ commandId, finished, status }: Draft): number =>
  (finished ? 1 : 0) + (commandId !== undefined && status === "running" ? 2 : 0)

/** As the append script in Redis packs it. */
export const pack = ({ draft, effects: { moved, removed }, now, place: { epoch, keyless, seq } }: Recorded): string => {
  const numbers = [seq, keyless, epoch, Math.floor(now), draft.json.length, flagsOf(draft), removed ? 1 : 0].join(" ")
  const from = moved === undefined ? "" : JSON.stringify([moved.agentId ?? null, moved.commandId ?? null])
  return `${numbers}\n${from}\n${headerOf(draft)}\n${draft.json}`
}

/** What the key of an event was before, by the line that says so. */
const movedFrom = (from: string, draft: Draft): Removed | undefined => {
  if (from === "") return undefined
  const [agentId, commandId] = listOf(JSON.parse(from))
  return {
    tenant: draft.tenant,
    eventType: draft.eventType,
    agentId: textOrNone(agentId),
    commandId: textOrNone(commandId),
    key: draft.key ?? draft.removes[0],
    own: draft.own
  }
}

/** The sequence number in what was packed. */
export const seqOf = (packed: string): number => Number(packed.slice(0, packed.indexOf(" ")))

/** Reads what was packed. Without `now`, the time is that of the owner who appended it. Throws on what no owner wrote. */
export const unpack = (packed: string, now?: number): Recorded => {
  const first = packed.indexOf("\n")
  const second = packed.indexOf("\n", first + 1)
  const third = packed.indexOf("\n", second + 1)
  const [seq, keyless, epoch, at, , , removed] = packed.slice(0, first).split(" ")
  if (second === -1 || third === -1 || epoch === undefined) throw new Error(`no event: ${packed.slice(0, 200)}`)
  const from = packed.slice(first + 1, second)
  const draft = readDraft(packed.slice(second + 1, third), packed.slice(third + 1))
  return {
    draft,
    place: { epoch: epochOf(epoch), seq: Number(seq), keyless: Number(keyless) },
    now: now ?? Number(at),
    effects: from === "" && removed !== "1" ? NOTHING : { moved: movedFrom(from, draft), removed: removed === "1" }
  }
}
