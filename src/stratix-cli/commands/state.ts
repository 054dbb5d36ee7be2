/**
 * `state`: what every agent and every command is doing.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  AGENT_CREATE,
  AGENT_STATUS_UPDATE,
  AgentCreatePayload,
  AgentStatusPayload,
  COMMAND_STATUS_UPDATE,
  CommandStatusPayload
} from "../../stratix-core/stratix-protocol.js"
import type { State } from "../../stratix-gateway/api/http/StratixApi.js"
import * as Api from "../Api.js"
import { described } from "../Arguments.js"
import * as Gateway from "../Gateway.js"
import { jsonLine, Output, type Paint, shortDuration, status, table, visible } from "../Output.js"

const isAgentStatus = Schema.is(AgentStatusPayload)
const isAgentCreate = Schema.is(AgentCreatePayload)
const isCommandStatus = Schema.is(CommandStatusPayload)

const byFirst = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => (a[0] ?? "").localeCompare(b[0] ?? "")

/** The two tables. */
const tables = (
  events: typeof State.Type.events,
  now: number,
  paint: Paint,
  width: number | undefined
): ReadonlyArray<string> => {
  const agents = new Map<string, { status: string; at: number | undefined; name: string; type: string }>()
  const agent = (id: string) => {
    const known = agents.get(id) ?? { status: "", at: undefined, name: "", type: "" }
    agents.set(id, known)
    return known
  }
  const commands: Array<ReadonlyArray<string>> = []
  for (const { eventType, payload, timestamp } of events) {
    if (eventType === AGENT_STATUS_UPDATE && isAgentStatus(payload)) {
      Object.assign(agent(payload.agentId), { status: payload.status, at: timestamp })
    } else if (eventType === AGENT_CREATE && isAgentCreate(payload)) {
      Object.assign(agent(payload.agentId), { name: payload.name, type: payload.type })
    } else if (eventType === COMMAND_STATUS_UPDATE && isCommandStatus(payload)) {
      commands.push([
        visible(payload.commandId),
        visible(payload.agentId),
        status(payload.commandStatus, paint),
        payload.progress === undefined ? "" : `${payload.progress}%`,
        shortDuration(now - timestamp),
        visible(payload.error ?? "")
      ])
    }
  }
  const agentRows = [...agents].map(([id, known]) => [
    visible(id),
    status(known.status, paint),
    known.at === undefined ? "" : shortDuration(now - known.at),
    visible(known.name),
    visible(known.type)
  ])
  return [
    ...(agentRows.length === 0
      ? []
      : [table(["AGENT", "STATUS", "FOR", "NAME", "TYPE"], agentRows.sort(byFirst), paint, width)]),
    ...(commands.length === 0
      ? []
      : [table(["COMMAND", "AGENT", "STATUS", "PROGRESS", "FOR", "ERROR"], commands.sort(byFirst), paint, width)])
  ]
}

export const state = Command.make(
  "state",
  {
    url: Gateway.urlArg,
    token: Gateway.tokenOption,
    json: Options.boolean("json").pipe(Options.withDescription("As JSON: the head, and the newest event of every key"))
  },
  ({ json, ...given }) =>
    Effect.gen(function* () {
      const output = yield* Output
      const gateway = yield* Gateway.resolve(given)
      const found = yield* Api.state(gateway)
      if (json) return yield* output.write(jsonLine(found))
      const shown = tables(found.events, yield* Clock.currentTimeMillis, output.paint, yield* output.columns)
      if (shown.length === 0) return yield* output.note(`${gateway.shown} knows of no agent and no command`)
      yield* output.write(shown.join("\n"))
    })
).pipe(
  Command.withDescription(
    described(
      "Shows what every agent and every command is doing.",
      ["state", "of the gateway on this machine"],
      ["state wss://gateway.example/", "of another one"],
      ["state --json | jq '.events[].payload'", "for programs"]
    )
  )
)
