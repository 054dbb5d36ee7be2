/**
 * `publish`: one event by its fields, or many from standard input.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  AGENT_CREATE,
  AGENT_STATUS_UPDATE,
  AgentStatus,
  COMMAND_STATUS_UPDATE,
  CommandStatus,
  Offset
} from "../../stratix-core/stratix-protocol.js"
import { failed, usage } from "../CliError.js"
import * as Gateway from "../Gateway.js"
import * as Lines from "../Lines.js"
import { Output, visible } from "../Output.js"
import * as Publisher from "../Publisher.js"
import { Stdio } from "../Stdio.js"
import { described, durationOption, textArg, wordArg } from "../typed/Arguments.js"

const common = { url: Gateway.urlOption, token: Gateway.tokenOption, tenant: Gateway.tenantOption }

interface Given {
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted<string>>
  readonly tenant: Option.Option<string>
}

const json = (name: string, text: string) =>
  Either.try({ try: (): unknown => JSON.parse(text), catch: () => usage(`${name} must be JSON, is ${visible(text)}`) })

/** What an option says in JSON, if it is there, as a field of an event. */
const objectOption = (name: string, given: Option.Option<string>) =>
  Option.match(given, {
    onNone: () => Either.right({}),
    onSome: (text) =>
      Either.flatMap(json(`--${name}`, text), (value) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
          ? Either.right({ [name]: value })
          : Either.left(usage(`--${name} must be a JSON object, is ${visible(text)}`))
      )
  })

/** One event a line. What `watch --json` writes is taken, too: its offset is the position in another log. */
const parseLine = (text: string): Either.Either<string, string> => {
  const parsed = Either.try({
    try: (): unknown => JSON.parse(text),
    catch: (error) => `is not JSON: ${visible(error instanceof Error ? error.message : String(error))}`
  })
  return Either.flatMap(parsed, (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return Either.left('must be an event like {"eventType":"stratix:…","payload":{…}}')
    }
    if (!("offset" in value)) return Either.right(text)
    const { offset: _, ...event } = value
    return Either.right(JSON.stringify(event))
  })
}

const fromInput = (given: Given, keepGoing: boolean) =>
  Effect.gen(function* () {
    const gateway = yield* Gateway.resolve(given)
    const { stdin } = yield* Stdio
    if (stdin.isTerminal) {
      return yield* usage(
        "publish what? Say agent-status, command-status, agent-create or event, or give events on standard input: see publish --help"
      )
    }
    const begin = yield* Clock.currentTimeMillis
    const publisher = yield* Publisher.make(gateway, keepGoing)
    let number = 0
    yield* Lines.split(stdin.bytes).pipe(
      Stream.runForEach((lines) =>
        Effect.gen(function* () {
          for (const line of lines) {
            number++
            if (Either.isRight(line) && line.right.trim() === "") continue
            const parsed = Either.flatMap(line, parseLine)
            if (Either.isLeft(parsed)) yield* publisher.refuse(number, parsed.left)
            else yield* publisher.add({ number, json: parsed.right })
          }
          // A slow writer expects each line to be published when it is written.
          if (lines.length > 0) yield* publisher.flush
        })
      ),
      Publisher.tellIfCutOff(publisher)
    )
    yield* Publisher.summarise(publisher, begin)
  })

const Offsets = Schema.parseJson(Schema.Struct({ offsets: Schema.Array(Offset) }))

const publishParent = Command.make(
  "publish",
  {
    ...common,
    keepGoing: Options.boolean("keep-going").pipe(
      Options.withDescription("Goes on after a line that is refused, and fails at the end; by default it stops there")
    )
  },
  ({ keepGoing, ...given }) => fromInput(given, keepGoing)
).pipe(
  Command.withDescription(
    described(
      "Publishes one event, or one for each line of standard input. Waits when the gateway asks for it.",
      ["publish agent-status agent-001 busy", "the status of an agent"],
      ["publish command-status cmd-001 agent-001 running --progress 40", "the status of a command"],
      ["publish agent-create agent-001 Scout researcher", "a new agent"],
      ['publish event stratix:maintenance \'{"from":"22:00"}\'', "anything else"],
      ["publish < events.ndjson", "many, one JSON object a line"],
      ["watch --json | stratix-status-sync publish --url ws://other:3001/", "one gateway into another"]
    )
  )
)

/** Publishes one event, and prints its offset. */
const one = (
  given: Given,
  event: {
    readonly eventType: string
    readonly payload: object
    readonly extra?: object
    readonly leaseMs?: number
    readonly endCommands?: boolean
  },
  requestId: Option.Option<string>
) =>
  Effect.gen(function* () {
    const output = yield* Output
    // Options may stand before or after the name of the event.
    const before = yield* publishParent
    const gateway = yield* Gateway.resolve({
      url: Option.orElse(given.url, () => before.url),
      token: Option.orElse(given.token, () => before.token),
      tenant: Option.orElse(given.tenant, () => before.tenant)
    })
    const outcome = yield* Publisher.publish(gateway, [
      JSON.stringify({
        ...event,
        ...Option.match(requestId, { onNone: () => ({}), onSome: (id) => ({ requestId: id }) })
      })
    ])
    switch (outcome._tag) {
      case "Refused":
        return yield* failed(`refused: ${outcome.why}`)
      case "TooLarge":
        return yield* failed("the event is larger than the gateway takes")
      case "Accepted": {
        const { offsets } = yield* Effect.mapError(Schema.decode(Offsets)(outcome.body), () =>
          failed(`${gateway.shown} does not answer as a gateway does`)
        )
        return yield* output.write(`${visible(offsets.join(" "))}\n`)
      }
    }
  })

const requestId = Options.text("request-id").pipe(
  Options.withDescription("The requestId of the event, instead of one that the gateway makes"),
  Options.optional
)

const extra = Options.text("extra").pipe(
  Options.withPseudoName("json"),
  Options.withDescription("Fields of your own beside these, as a JSON object"),
  Options.optional
)

const agentId = textArg("agent", "Id of the agent")

const agentStatus = Command.make(
  "agent-status",
  {
    agentId,
    status: wordArg("status", AgentStatus.literals),
    lease: durationOption(
      "lease",
      "How long it holds without being published again, like 30s; then the agent is offline"
    ),
    endCommands: Options.boolean("end-commands").pipe(
      Options.withDescription("With a lease: when it expires, the commands that the agent is running have failed")
    ),
    reason: Options.text("reason").pipe(Options.withDescription("Why the agent has this status"), Options.optional),
    extra,
    requestId,
    ...common
  },
  ({ agentId: id, endCommands, extra: further, lease, reason, requestId: request, status, ...given }) =>
    Effect.flatMap(objectOption("extra", further), (fields) =>
      one(
        given,
        {
          eventType: AGENT_STATUS_UPDATE,
          payload: { agentId: id, status, ...(Option.isSome(reason) && { reason: reason.value }) },
          ...fields,
          ...(Option.isSome(lease) && { leaseMs: Duration.toMillis(lease.value) }),
          ...(endCommands && { endCommands })
        },
        request
      )
    )
).pipe(
  Command.withDescription(
    described(
      "Publishes the status of an agent, and prints the offset of the event.",
      ["publish agent-status agent-001 busy", "agent-001 is busy"],
      ["publish agent-status agent-001 busy --lease 30s", "for 30 seconds, then it is offline"]
    )
  )
)

const commandStatus = Command.make(
  "command-status",
  {
    commandId: textArg("command", "Id of the command"),
    agentId,
    status: wordArg("status", CommandStatus.literals),
    progress: Options.float("progress").pipe(Options.withDescription("Percent, 0 to 100"), Options.optional),
    result: Options.text("result").pipe(
      Options.withPseudoName("json"),
      Options.withDescription("What the command has brought, as JSON"),
      Options.optional
    ),
    error: Options.text("error").pipe(Options.withDescription("Why it failed"), Options.optional),
    extra,
    requestId,
    ...common
  },
  ({ agentId: agent, commandId, error, extra: further, progress, requestId: request, result, status, ...given }) =>
    Effect.gen(function* () {
      const parsed = Option.isSome(result) ? { result: yield* json("--result", result.value) } : {}
      const payload = {
        commandId,
        agentId: agent,
        commandStatus: status,
        ...(Option.isSome(progress) && { progress: progress.value }),
        ...parsed,
        ...(Option.isSome(error) && { error: error.value })
      }
      const fields = yield* objectOption("extra", further)
      yield* one(given, { eventType: COMMAND_STATUS_UPDATE, payload, ...fields }, request)
    })
).pipe(
  Command.withDescription(
    described(
      "Publishes the status of a command, and prints the offset of the event.",
      ["publish command-status cmd-001 agent-001 running --progress 40", "40 % done"],
      ["publish command-status cmd-001 agent-001 success --result '{\"files\":2}'", "done"],
      ['publish command-status cmd-001 agent-001 failed --error "no space left"', "and not done"]
    )
  )
)

const agentCreate = Command.make(
  "agent-create",
  {
    agentId,
    name: textArg("name", "What people call it"),
    type: textArg("type", "What kind of agent it is"),
    extra,
    requestId,
    ...common
  },
  ({ agentId: id, extra: further, name, requestId: request, type, ...given }) =>
    Effect.flatMap(objectOption("extra", further), (fields) =>
      one(given, { eventType: AGENT_CREATE, payload: { agentId: id, name, type }, ...fields }, request)
    )
).pipe(
  Command.withDescription(
    described(
      "Publishes that there is a new agent, and prints the offset of the event.",
      ["publish agent-create agent-001 Scout researcher", "agent-001 is Scout"],
      ['publish agent-create agent-001 Scout researcher --extra \'{"title":"Ms"}\'', "with a field of your own"]
    )
  )
)

const event = Command.make(
  "event",
  {
    eventType: textArg("type", "stratix: and a name; the prefix may be left out"),
    payload: textArg("payload", "A JSON object"),
    requestId,
    ...common
  },
  ({ eventType, payload, requestId: request, ...given }) =>
    Effect.gen(function* () {
      const value = yield* json("<payload>", payload)
      if (typeof value !== "object" || value === null) {
        return yield* usage(`<payload> must be a JSON object, is ${visible(payload)}`)
      }
      const type = eventType.startsWith("stratix:") ? eventType : `stratix:${eventType}`
      yield* one(given, { eventType: type, payload: value }, request)
    })
).pipe(
  Command.withDescription(
    described("Publishes an event of any type, and prints its offset.", [
      'publish event stratix:maintenance \'{"from":"22:00"}\'',
      "something of your own"
    ])
  )
)

export const publish = publishParent.pipe(Command.withSubcommands([agentStatus, commandStatus, agentCreate, event]))
