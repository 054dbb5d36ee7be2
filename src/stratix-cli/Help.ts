/**
 * Shortens the help and the error messages of `@effect/cli`, which describes every option as an optional piece of text.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Output, plain } from "./Output.js"
import { Stdio } from "./Stdio.js"

/** Lines in the help of every option that carry no information. */
const NOISE: ReadonlySet<string> = new Set([
  "",
  "A true or false value.",
  "A user-defined piece of text.",
  "A user-defined piece of text that is confidential.",
  "An integer.",
  "A floating point number.",
  "This setting is optional.",
  "This option may be repeated zero or more times."
])

const isHeading = (line: string) => /^[A-Z]+( [A-Z]+)*$/.test(line)

/** A usage line with all options as one word: they are listed below it. */
const shortUsage = (line: string): string =>
  line
    .replaceAll(/\[--?[^[\]]*\]|--\S+ \S+\.\.\./g, "[options]")
    .replaceAll(/(\[options\] )(?:\[options\] ?)+/g, "$1")
    .trimEnd()

/** The usage line, with the program and the commands before it. */
const usageOf = (text: string, name: string, typed: string): string => {
  const usage = shortUsage(text)
  if (usage === name) return `${name} <command> [options]`
  const above = typed === "" || usage.split(" ", 1)[0] === typed ? "" : `${typed} `
  return `${name} ${above}${usage}`
}

const bodyLine = (heading: string, line: string, name: string, typed: string): string => {
  const text = line.trim()
  switch (heading) {
    case "USAGE":
      return `  ${usageOf(text.replace(/^\$ /, ""), name, typed)}`
    case "COMMANDS":
      return `  ${shortUsage(text.replace(/^- /, ""))}`
    case "ARGUMENTS":
    case "OPTIONS":
      return line.startsWith(" ") ? `      ${text}` : `  ${text}`
    default:
      return heading === "" ? text : `  ${text}`
  }
}

/** The help as sections of lines; `typed` is the command it was asked for. Of two sections with one heading, the first is the one written for people. */
export const tidy = (text: string, name: string, typed: string, heading: (text: string) => string): string => {
  const sections: Array<{ readonly heading: string; readonly lines: Array<string> }> = [{ heading: "", lines: [] }]
  for (const line of plain(text).split("\n")) {
    if (NOISE.has(line.trim())) continue
    const last = sections.at(-1)
    if (isHeading(line)) sections.push({ heading: line, lines: [] })
    else if (last?.lines.length === 0 && line === name) continue
    else last?.lines.push(bodyLine(last.heading, line.trimEnd(), name, typed))
  }
  const seen = new Set<string>()
  return sections
    .filter((section) => !seen.has(section.heading) && seen.add(section.heading))
    .map((section) => [...(section.heading === "" ? [] : [heading(section.heading)]), ...section.lines].join("\n"))
    .filter((section) => section !== "")
    .join("\n\n")
}

/** The console on which `@effect/cli` prints help, completions and errors. */
export const layerConsole = (name: string, typed: string): Layer.Layer<never, never, Output | Stdio> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { paint, paintNote } = yield* Output
      const { stderr, stdout } = yield* Stdio
      const outer = yield* Effect.console
      return Console.setConsole<Console.Console>({
        ...outer,
        log: (...lines: ReadonlyArray<unknown>) => {
          const text = lines.map(String).join(" ")
          // A completion script is for a shell, and is printed as it is.
          const isHelp = /^OPTIONS$|^USAGE$|^\d+\.\d+\.\d+/m.test(plain(text))
          const shown = isHelp ? tidy(text, name, typed, (heading) => paint("bold", heading)) : text
          return Effect.ignore(stdout.write(`${shown}\n`))
        },
        error: (...lines: ReadonlyArray<unknown>) => {
          const text = plain(lines.map(String).join(" ")).replaceAll(/\s+/g, " ").trim()
          return Effect.ignore(
            stderr.write(`${paintNote("red", name)}: ${text}${text.includes("--help") ? "" : "; see --help"}\n`)
          )
        }
      })
    })
  )
