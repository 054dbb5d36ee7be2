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
import { usage } from "../CliError.js"
import { asLongAsWanted } from "../ExitCode.js"
import { follow } from "../Follow.js"
import * as Gateway from "../Gateway.js"
import { jsonLine, Output, type Paint, shortDuration, status, table, visible } from "../Output.js"
import { described, listOption } from "../typed/Arguments.js"
import { makeTeller } from "./watch.js"

const isAgentStatus = Schema.is(AgentStatusPayload)
const isAgentCreate = Schema.is(AgentCreatePayload)
const isCommandStatus = Schema.is(CommandStatusPayload)

const byFirst = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => (a[0] ?? "").localeCompare(b[0] ?? "")

/** What is shown of all that is known. */
interface Selection {
  /** Only these; all if it is empty. */
  readonly agents: ReadonlyArray<string>
  /** Only commands that are running, and the agents that run them. */
  readonly running: boolean
}

type Events = ReadonlyArray<Pick<(typeof State.Type.events)[number], "eventType" | "payload" | "timestamp">>

const agentOf = (payload: unknown): string | undefined =>
  isAgentStatus(payload) || isAgentCreate(payload) || isCommandStatus(payload) ? payload.agentId : undefined

const selected = (events: Events, { agents, running }: Selection): Events => {
  const busy = new Set(
    events.flatMap(({ payload }) =>
      isCommandStatus(payload) && payload.commandStatus === "running" ? [payload.agentId] : []
    )
  )
  return events.filter(({ payload }) => {
    const agentId = agentOf(payload) ?? ""
    if (agents.length > 0 && !agents.includes(agentId)) return false
    return !running || (isCommandStatus(payload) ? payload.commandStatus === "running" : busy.has(agentId))
  })
}

/** The two tables. */
const tables = (events: Events, now: number, paint: Paint, width: number | undefined): ReadonlyArray<string> => {
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

const nothing = (gateway: Gateway.Gateway, { agents, running }: Selection) =>
  `${gateway.shown} knows of no ${agents.length > 0 || running ? "such agent or command" : "agent and no command"}`

/** A person cannot read faster, and a terminal need not draw faster. */
const BETWEEN_DRAWINGS = "250 millis"

/** Draws the tables again each time that something changes. */
const watchTables = (gateway: Gateway.Gateway, selection: Selection) =>
  Effect.gen(function* () {
    const output = yield* Output
    let howTrue = ""
    const tell = yield* makeTeller(gateway, (line) =>
      Effect.sync(() => {
        howTrue = line
      })
    )
    const filter = selection.agents.length > 0 ? { agents: selection.agents } : {}
    yield* follow(gateway, filter, (items, { agentInfos, agents, commands }) =>
      Effect.gen(function* () {
        const events = selected([...agents.values(), ...agentInfos.values(), ...commands.values()], selection)
        const shown = tables(events, yield* Clock.currentTimeMillis, output.paint, yield* output.columns)
        for (const item of items) if (item._tag === "Freshness") yield* tell(item)
        const about = shown.length === 0 ? `${nothing(gateway, selection)}\n` : shown.join("\n")
        yield* output.redraw(`${about}\n${howTrue}\n`)
        yield* Effect.sleep(BETWEEN_DRAWINGS)
      })
    )
  }).pipe(asLongAsWanted)

export const state = Command.make(
  "state",
  {
    url: Gateway.urlOption,
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    agents: listOption("agents", "Only these agents and their commands, with commas between them"),
    running: Options.boolean("running").pipe(
      Options.withDescription("Only commands that are running, and the agents that run them")
    ),
    watch: Options.boolean("watch").pipe(Options.withDescription("Shows it again when it changes, until Ctrl-C")),
    json: Options.boolean("json").pipe(Options.withDescription("As JSON: the head, and the newest event of every key"))
  },
  ({ agents, json, running, watch, ...given }) =>
    Effect.gen(function* () {
      const output = yield* Output
      const selection = { agents, running }
      if (watch && json) return yield* usage("state --watch draws tables; watch --json gives every event as JSON")
      const gateway = yield* Gateway.resolve(given)
      if (watch) return yield* watchTables(gateway, selection)
      const found = yield* Api.state(gateway)
      const events = selected(found.events, selection)
      if (json) return yield* output.write(jsonLine({ ...found, events }))
      const shown = tables(events, yield* Clock.currentTimeMillis, output.paint, yield* output.columns)
      if (shown.length === 0) return yield* output.note(nothing(gateway, selection))
      yield* output.write(shown.join("\n"))
    })
).pipe(
  Command.withDescription(
    described(
      "Shows what every agent and every command is doing.",
      ["state", "of the gateway on this machine"],
      ["state --url wss://gateway.example/", "of another one"],
      ["state --watch --running", "what is running, as it changes"],
      ["state --json | jq '.events[].payload'", "for programs"]
    )
  )
)
