/**
 * What was typed and does not exist, with what was probably meant.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import { nearest } from "../../stratix-gateway/config/Nearest.js"
import { plain, visible } from "../Output.js"

/** Options that every command has; whether a value follows. */
const BUILT_IN: ReadonlyMap<string, boolean> = new Map([
  ["--help", false],
  ["--version", false],
  ["--wizard", false],
  ["--completions", true],
  ["--log-level", true]
])

const meant = (typed: string, known: Iterable<string>): string => {
  const word = nearest(typed, known)
  return word === undefined ? "see --help" : `did you mean ${word}?`
}

/** The options of a command, and whether a value follows: its help is where they are all told. */
const optionsOf = (command: CommandDescriptor.Command<unknown>): ReadonlyMap<string, boolean> => {
  const help = plain(HelpDoc.toAnsiText(CommandDescriptor.getHelp(command, CliConfig.defaultConfig)))
  return new Map(
    help.split("\n").flatMap((line) => {
      const [, name, value] = /^\s*\(?(?:-\w, )?(--[a-z][\w-]*)(?: ([^\s)]+))?/.exec(line) ?? []
      return name === undefined ? [] : [[name, value !== undefined] as const]
    })
  )
}

/** The mistake in the name of a command, if there is one. */
export const inCommand = (word: string, known: Iterable<string>): string =>
  `there is no command ${visible(word)}: ${meant(word, known)}`

/** The first option or command below `command` that does not exist. */
export const below = (
  command: CommandDescriptor.Command<unknown>,
  words: ReadonlyArray<string>
): string | undefined => {
  const options = new Map([...BUILT_IN, ...optionsOf(command)])
  // A command with none below it names itself.
  let subcommands = HashMap.filter(
    CommandDescriptor.getSubcommands(command),
    (_, name) => !HashSet.has(CommandDescriptor.getNames(command), name)
  )
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ""
    if (word === "--") return undefined
    if (word.startsWith("--")) {
      const [name = word] = word.split("=", 1)
      const hasValue = options.get(name)
      if (hasValue === undefined) return `there is no option ${visible(name)}: ${meant(name, options.keys())}`
      if (hasValue && name === word) i++
    } else if (!word.startsWith("-") && HashMap.size(subcommands) > 0) {
      const subcommand = HashMap.get(subcommands, word)
      if (subcommand._tag === "None") return inCommand(word, HashMap.keys(subcommands))
      for (const [name, hasValue] of optionsOf(subcommand.value)) options.set(name, hasValue)
      // Commands are nested once.
      subcommands = HashMap.empty()
    }
  }
  return undefined
}
