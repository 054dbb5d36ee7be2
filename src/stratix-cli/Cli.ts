/**
 * The command line: all commands under one name.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { version } from "../stratix-gateway/runtime/Version.js"
import { type CliError, usage } from "./CliError.js"
import { layerConsole } from "./Help.js"
import * as Output from "./Output.js"
import type { Stdio } from "./Stdio.js"
import * as Mistakes from "./typed/Mistakes.js"

const NAME = "stratix-status-sync"

const section = (heading: string, ...lines: ReadonlyArray<string>): ReadonlyArray<HelpDoc.HelpDoc> => [
  HelpDoc.h1(heading),
  ...lines.map((line) => HelpDoc.p(line))
]

const program = Command.make(NAME).pipe(
  Command.withDescription(
    HelpDoc.blocks([
      HelpDoc.p("Tells every open dashboard what each agent and each command is doing."),
      ...section(
        "COMMANDS",
        "serve         runs the gateway",
        "watch         shows events as they happen",
        "publish       publishes one event, or many from standard input",
        "state         shows what every agent and every command is doing",
        "record        writes events into a file",
        "replay        publishes what was recorded, at the pace it came",
        "connections   shows who is connected, and how far behind",
        "doctor        says what is wrong with the settings of the gateway"
      ),
      ...section(
        "OPTIONS",
        "-h, --help                      what a command does, with examples, behind its name",
        "--version                       the version of this program",
        "--completions bash|zsh|fish     a completion script for your shell",
        "--wizard                        asks for what is needed, and puts the command together"
      ),
      ...section(
        "ENVIRONMENT",
        "STRATIX_URL     where the gateway is; ws://127.0.0.1:3001/ if absent",
        "STRATIX_TOKEN   bearer token, where the gateway asks for one",
        "NO_COLOR        no colours, whatever it is set to",
        "STRATIX_...     settings of serve and doctor: see docs/configuration.md"
      ),
      ...section(
        "EXIT CODES",
        "0     it worked; serve, watch or record was stopped; the output was closed",
        "1     it was tried and did not work",
        "2     what was typed cannot be done",
        "130   Ctrl-C before the work was done"
      )
    ])
  )
)

const described = { name: NAME, version }

/** A command that is loaded when it is asked for: together they take most of the time of a start. */
const lazily = <Name extends string, R, E, A>(load: () => Promise<Command.Command<Name, R, E, A>>) => ({
  load,
  alone: async (words: ReadonlyArray<string>) => {
    const command = await load()
    const mistake = Mistakes.below(command.descriptor, words)
    const run = Command.run(Command.withSubcommands(program, [command]), described)
    return mistake === undefined ? run : () => usage(mistake)
  }
})

const commands = {
  serve: lazily(() => import("./commands/serve.js").then(({ serve }) => serve)),
  watch: lazily(() => import("./commands/watch.js").then(({ watch }) => watch)),
  publish: lazily(() => import("./commands/publish.js").then(({ publish }) => publish)),
  state: lazily(() => import("./commands/state.js").then(({ state }) => state)),
  record: lazily(() => import("./commands/record.js").then(({ record }) => record)),
  replay: lazily(() => import("./commands/replay.js").then(({ replay }) => replay)),
  connections: lazily(() => import("./commands/connections.js").then(({ connections }) => connections)),
  doctor: lazily(() => import("./commands/doctor.js").then(({ doctor }) => doctor))
}

const isCommand = (word: string): word is keyof typeof commands => Object.hasOwn(commands, word)

/** All commands, for what concerns them all: completions, the wizard, and what is not understood. */
const all = async () => {
  const { connections, doctor, publish, record, replay, serve, state, watch } = commands
  const loaded = Command.withSubcommands(program, [
    await serve.load(),
    await watch.load(),
    await publish.load(),
    await state.load(),
    await record.load(),
    await replay.load(),
    await connections.load(),
    await doctor.load()
  ])
  return Command.run(loaded, described)
}

/** The program, as far as these words need it. */
const parser = async ([first, ...more]: ReadonlyArray<string>) => {
  if (first === undefined) return Command.run(program, described)
  if (isCommand(first)) return commands[first].alone(more)
  if (!first.startsWith("-")) return () => usage(Mistakes.inCommand(first, Object.keys(commands)))
  const mistake = Mistakes.below(program.descriptor, [first])
  if (mistake !== undefined) return () => usage(mistake)
  return more.length === 0 && ["-h", "--help", "--version"].includes(first) ? Command.run(program, described) : all()
}

/** The arguments with `-`, a standard stream, behind all options: `@effect/cli` reads no option behind it. */
const inOrder = (argv: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...argv.filter((arg) => arg !== "-"),
  ...argv.filter((arg) => arg === "-")
]

/** Runs the program with these arguments, which begin with Node's own two, and reports a failure on standard error. */
export const run = (
  argv: ReadonlyArray<string>
): Effect.Effect<void, CliError | ValidationError.ValidationError, Stdio> =>
  Effect.promise(() => parser(argv.slice(2))).pipe(
    Effect.flatMap((parse) => parse(inOrder(argv))),
    Effect.tapErrorTag("CliError", ({ message, reason }) =>
      reason === "ReaderGone"
        ? Effect.void
        : Effect.flatMap(Output.Output, ({ note, paintNote }) => note(`${paintNote("red", NAME)}: ${message}`))
    ),
    Effect.provide(layerConsole(NAME, argv.slice(2).find((arg) => !arg.startsWith("-")) ?? "")),
    Effect.provide(Layer.mergeAll(FetchHttpClient.layer, CliConfig.layer({ showBuiltIns: false }))),
    Effect.provide(Layer.merge(Output.layer, NodeContext.layer))
  )
