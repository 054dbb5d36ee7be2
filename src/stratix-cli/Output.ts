/**
 * Standard output for results, standard error for messages about them.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CliError } from "./CliError.js"
import { Stdio } from "./Stdio.js"

const colours = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, dim: 2, bold: 1 } as const

export type Colour = keyof typeof colours

/** Text in a colour, where there are colours. */
export type Paint = (colour: Colour, text: string) => string

/** The output of a command. */
export class Output extends Context.Tag("stratix/cli/Output")<
  Output,
  {
    /** Writes to standard output and waits until it is written. */
    readonly write: (text: string) => Effect.Effect<void, CliError>
    /** A line on standard error. */
    readonly note: (line: string) => Effect.Effect<void>
    /** A line on standard error that the next one replaces; nothing if that is not a terminal. */
    readonly progress: (line: string) => Effect.Effect<void>
    readonly paint: Paint
    /** Colours for `note`. */
    readonly paintNote: Paint
    /** As `write`; in a terminal in the place of what was there before. */
    readonly redraw: (text: string) => Effect.Effect<void, CliError>
    /** Width of the terminal; `undefined` if standard output is not one. */
    readonly columns: Effect.Effect<number | undefined>
  }
>() {}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ESCAPES = /\u001b\[[0-9;]*m/g

/** The text without its colours. */
export const plain = (text: string): string => text.replaceAll(ESCAPES, "")

// Control characters, and those that change the direction of text: a terminal obeys both.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Foreign text, with everything escaped that a terminal would obey. */
export const visible = (text: string): string =>
  text.replaceAll(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Line breaks, and the colours that `paint` writes: what a command itself may send to a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const OWN = /(\n|\u001b\[(?:0|1|2|3[1-6])m)/

/** Text in which a terminal obeys nothing but line breaks and colours: the last guard, for text that was not made `visible` where it came in. */
const guarded = (text: string): string =>
  text
    .split(OWN)
    .map((part, i) => (i % 2 === 1 ? part : visible(part)))
    .join("")

/** JSON on one line, with everything escaped that a terminal would obey. */
export const jsonLine = (value: unknown): string => `${visible(JSON.stringify(value))}\n`

const widthOf = (text: string): number => [...plain(text)].length

/** Rows below their headings, in columns as wide as their content. With `width`, rows are cut there. */
export const table = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  paint: Paint,
  width?: number
): string => {
  const all = [headings.map((text) => paint("bold", text)), ...rows]
  const widths = headings.map((_, i) => Math.max(...all.map((row) => widthOf(row[i] ?? ""))))
  return all
    .map((row) => {
      let left = width ?? Number.POSITIVE_INFINITY
      const cells = row.map((cell, i) => {
        const size = widthOf(cell)
        const room = Math.max(0, left)
        left -= (widths[i] ?? 0) + 2
        // A cell that does not fit loses its colours with its end.
        const shown = size <= room ? cell : room === 0 ? "" : `${[...plain(cell)].slice(0, room - 1).join("")}…`
        return i === row.length - 1 || size > room ? shown : shown + " ".repeat((widths[i] ?? 0) - size)
      })
      return cells.join("  ").trimEnd()
    })
    .join("\n")
    .concat("\n")
}

const two = (value: number) => String(value).padStart(2, "0")

/** A number of things. */
export const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? "" : "s"}`

/** A time of day in the zone of this machine. */
export const timeOfDay = (millis: number): string => {
  const local = DateTime.make(millis).pipe((made) =>
    made._tag === "Some" ? DateTime.setZone(made.value, DateTime.zoneMakeLocal()) : undefined
  )
  // Out of the range of dates.
  if (local === undefined) return String(millis)
  const { hours, millis: rest, minutes, seconds } = DateTime.toParts(local)
  return `${two(hours)}:${two(minutes)}:${two(seconds)}.${String(rest).padStart(3, "0")}`
}

/** A length of time in its two largest units. */
export const shortDuration = (millis: number): string => {
  if (millis < 1000) return `${Math.max(0, Math.round(millis))}ms`
  const seconds = Math.floor(millis / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d`
}

const coloursOf: ReadonlyMap<string, Colour> = new Map([
  ["online", "green"],
  ["busy", "yellow"],
  ["offline", "dim"],
  ["error", "red"],
  ["pending", "dim"],
  ["running", "cyan"],
  ["success", "green"],
  ["failed", "red"]
])

/** A status in its colour. */
export const status = (text: string, paint: Paint): string => {
  const colour = coloursOf.get(text)
  return colour === undefined ? visible(text) : paint(colour, text)
}

/** NO_COLOR with any value switches colours off (no-color.org). */
const wantsColours = Effect.gen(function* () {
  const noColour = yield* Config.withDefault(Config.string("NO_COLOR"), "")
  const force = yield* Config.withDefault(Config.string("FORCE_COLOR"), "")
  const term = yield* Config.withDefault(Config.string("TERM"), "")
  return { never: noColour !== "" || (term === "dumb" && force === ""), always: force !== "" && force !== "0" }
}).pipe(Effect.orDie)

/** To the upper left corner, and nothing from there on. */
const CLEAR = "\u001b[H\u001b[J"

const make = Effect.gen(function* () {
  const { stderr, stdout } = yield* Stdio
  const wants = yield* wantsColours
  const painter =
    (isTty: boolean): Paint =>
    (colour, text) =>
      !wants.never && (isTty || wants.always) ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text
  const erase = stderr.isTerminal ? "\r\u001b[K" : ""
  let hasProgress = false
  const note = (text: string) =>
    Effect.suspend(() => {
      const whole = hasProgress ? `${erase}${text}` : text
      hasProgress = false
      // Nowhere is left to say that standard error is closed.
      return Effect.ignore(stderr.write(whole))
    })

  const display = (text: string) =>
    Effect.mapError(
      stdout.write(text),
      ({ message }) => new CliError({ reason: "ReaderGone", message: `standard output is closed: ${message}` })
    )

  return Output.of({
    write: (text) => display(guarded(text)),
    redraw: (text) => display(`${stdout.isTerminal ? CLEAR : ""}${guarded(text)}`),
    note: (line) => note(`${guarded(line)}\n`),
    progress: (line) =>
      erase === ""
        ? Effect.void
        : Effect.zipRight(
            note(guarded(line)),
            Effect.sync(() => {
              hasProgress = true
            })
          ),
    paint: painter(stdout.isTerminal),
    paintNote: painter(stderr.isTerminal),
    columns: Effect.sync(() => (stdout.isTerminal ? stdout.columns() || undefined : undefined))
  })
})

/** Over the standard streams. */
export const layer: Layer.Layer<Output, never, Stdio> = Layer.effect(Output, make)
