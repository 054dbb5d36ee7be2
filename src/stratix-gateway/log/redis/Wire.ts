/**
 * How events stand in Redis: a line of numbers, a line with the agent that a command had before, a line of what routes the event, and its JSON.
 *
 * JSON has no line breaks outside of strings, and escapes those within.
 */
import * as Schema from "effect/Schema"
import { AgentStatus, CommandStatus } from "../../../stratix-core/stratix-protocol.js"
import type { Draft } from "../EventLog.js"
import type { Recorded } from "../mirror/Records.js"

/** What the script is given of an event. */
export const argumentsOf = (draft: Draft): ReadonlyArray<string> => [
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
    draft.tenant
  ]),
  draft.json,
  draft.key ?? "",
  draft.removes.length === 0 ? "" : JSON.stringify(draft.removes),
  String((draft.finished ? 1 : 0) + (draft.commandId !== undefined && draft.status === "running" ? 2 : 0)),
  String(draft.json.length),
  draft.agentId ?? "",
  draft.commandId ?? "",
  draft.lease === undefined ? "" : String(draft.lease.millis)
]

const isStatus = Schema.is(Schema.Union(AgentStatus, CommandStatus))

const textOrNone = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What stands in Redis, with the time at which this process heard of it. Throws on what the script did not write. */
export const decode = (packed: string, now: number): Recorded => {
  const first = packed.indexOf("\n")
  const second = packed.indexOf("\n", first + 1)
  const third = packed.indexOf("\n", second + 1)
  const [seq, keyless, epoch, , , , removed] = packed.slice(0, first).split(" ")
  if (first === -1 || third === -1 || epoch === undefined) throw new Error(`no event: ${packed.slice(0, 200)}`)
  const from = packed.slice(first + 1, second)
  const header: ReadonlyArray<unknown> = listOf(JSON.parse(packed.slice(second + 1, third)))
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
    tenant
  ] = header
  const draft: Draft = {
    tenant: String(tenant),
    eventType: String(eventType),
    agentId: textOrNone(agentId),
    commandId: textOrNone(commandId),
    key: textOrNone(key),
    removes: listOf(removes).map(String),
    status: isStatus(status) ? status : undefined,
    finished: finished === true,
    lease: typeof lease === "number" ? { millis: lease, endCommands: endCommands === true } : undefined,
    stamp: { timestamp: Number(timestamp), requestId: String(requestId) },
    json: packed.slice(third + 1)
  }
  return {
    draft,
    place: { epoch, seq: Number(seq), keyless: Number(keyless) },
    now,
    effects: {
      moved:
        from === ""
          ? undefined
          : {
              tenant: draft.tenant,
              agentId: textOrNone(listOf(JSON.parse(from))[0]),
              commandId: draft.commandId,
              key: draft.key ?? draft.removes[0]
            },
      removed: removed === "1"
    }
  }
}
