/**
 * `watch`: events as they happen.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { type Filter, type Freshness, isOfType, type StatusEvent } from "../../stratix-client/StatusClient.js"
import { AGENT_CREATE, AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE } from "../../stratix-core/event-types.js"
import { asLongAsWanted } from "../ExitCode.js"
import { follow, type Item } from "../Follow.js"
import * as Gateway from "../Gateway.js"
import { jsonLine, Output, type Paint, status, timeOfDay, visible } from "../Output.js"
import { described, listOption } from "../typed/Arguments.js"

/** The options of a filter. */
export const filterOptions = {
  events: listOption("events", "Only events of these types, with commas between them; stratix: may be left out"),
  agents: listOption("agents", "Only events of these agents"),
  commands: listOption("commands", "Only events of these commands")
}

export const snapshotOption: Options.Options<boolean> = Options.boolean("no-snapshot", {
  ifPresent: false,
  negationNames: ["snapshot"]
}).pipe(
  Options.withDescription(
    "Whether it begins with the newest event of every agent and command; it does if neither is said"
  )
)

/** The filter that options ask for. */
export const filterOf = (given: { readonly [K in keyof Required<Filter>]: ReadonlyArray<string> }): Filter => ({
  ...(given.events.length > 0 && { events: given.events }),
  ...(given.agents.length > 0 && { agents: given.agents }),
  ...(given.commands.length > 0 && { commands: given.commands })
})

const KIND_WIDTH = 8

/** An event for people, on one line. */
const line = (event: StatusEvent, paint: Paint): string => {
  const begin = (kind: string, id: string) =>
    `${paint("dim", timeOfDay(event.timestamp))}  ${kind.padEnd(KIND_WIDTH)}${paint("bold", visible(id))}`
  if (isOfType(event, AGENT_STATUS_UPDATE)) {
    const { agentId, status: of } = event.payload
    return `${begin("agent", agentId)}  ${status(of, paint)}`
  }
  if (isOfType(event, AGENT_CREATE)) {
    const { agentId, name, type } = event.payload
    return `${begin("new", agentId)}  ${visible(name)} (${visible(type)})`
  }
  if (isOfType(event, COMMAND_STATUS_UPDATE)) {
    const { agentId, commandId, commandStatus, error, progress, result } = event.payload
    return [
      begin("command", commandId),
      status(commandStatus, paint),
      ...(progress === undefined ? [] : [`${progress}%`]),
      paint("dim", `by ${visible(agentId)}`),
      ...(error === undefined ? [] : [paint("red", visible(error))]),
      ...(result === undefined ? [] : [visible(JSON.stringify(result))])
    ].join("  ")
  }
  return `${begin("event", event.eventType)}  ${visible(JSON.stringify(event.payload))}`
}

/** Tells how true the output is, on standard error unless told otherwise; answers a function because it depends on what was said before. */
export const makeTeller = (
  gateway: Gateway.Gateway,
  to?: (line: string) => Effect.Effect<void>
): Effect.Effect<(item: Exclude<Item, { readonly _tag: "Event" }>) => Effect.Effect<void>, never, Output> =>
  Effect.map(Output, ({ note, paintNote }) => {
    let wasLive = false
    let last: Freshness["_tag"] | undefined
    const say = (colour: "green" | "yellow", text: string) => (to ?? note)(`${paintNote(colour, "●")} ${text}`)
    return (item) => {
      if (item._tag === "Lost") {
        return say(
          "yellow",
          item.events > 0
            ? `fell behind: ${item.events} events are not shown, and of others only the newest`
            : "fell behind: of each agent and command only the newest event is shown"
        )
      }
      const { freshness, trouble } = item
      const isSame = last === freshness._tag
      last = freshness._tag
      switch (freshness._tag) {
        case "live": {
          // Only that there is something to show now.
          if (isSame) return Effect.void
          const text = wasLive ? "live again" : `live: ${gateway.shown}`
          wasLive = true
          return say("green", text)
        }
        case "stale":
          return say("yellow", `the gateway says nothing since ${timeOfDay(freshness.since)}`)
        case "cut-off":
          return say("yellow", `the gateway has no contact with its log since ${timeOfDay(freshness.since)}`)
        case "behind":
          return isSame ? Effect.void : say("yellow", `behind by ${freshness.ms / 1000} s: what comes is old`)
        case "restarted":
          return say("yellow", "the gateway has restarted with an empty log")
        case "connecting":
        case "reconnecting":
          return say("yellow", `${trouble ?? "the connection is lost"}; trying again (${freshness.attempt})`)
        default:
          return Effect.void
      }
    }
  })

export const watch = Command.make(
  "watch",
  {
    url: Gateway.urlOption,
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    ...filterOptions,
    snapshot: snapshotOption,
    json: Options.boolean("json").pipe(Options.withDescription("Each event as JSON on one line, for programs"))
  },
  ({ agents, commands, events, json, snapshot, ...given }) =>
    Effect.gen(function* () {
      const output = yield* Output
      const gateway = yield* Gateway.resolve(given)
      const tell = yield* makeTeller(gateway)
      const shown = (event: StatusEvent) => (json ? jsonLine(event) : `${line(event, output.paint)}\n`)
      yield* follow(gateway, filterOf({ agents, commands, events }), (items) =>
        Effect.gen(function* () {
          // One write for all events up to the next thing that has to be said on the other stream.
          let text = ""
          for (const item of items) {
            if (item._tag === "Event") {
              if (snapshot || !item.inFirstSnapshot) text += shown(item.event)
              continue
            }
            if (text !== "") yield* output.write(text)
            text = ""
            yield* tell(item)
          }
          if (text !== "") yield* output.write(text)
        })
      )
      yield* output.note("the gateway has ended the connection for good")
    }).pipe(asLongAsWanted)
).pipe(
  Command.withDescription(
    described(
      "Shows events as they happen, until Ctrl-C. Comes back by itself after the connection was lost, and shows what was missed.",
      ["watch", "the gateway on this machine"],
      ["watch --agents agent-001,agent-002", "two agents"],
      ["watch --events agent_status_update --no-snapshot", "what changes from now on"],
      ["watch --json | jq -c .payload", "for programs"]
    )
  )
)
