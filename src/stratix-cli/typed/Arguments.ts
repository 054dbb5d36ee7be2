/**
 * What the commands share: how arguments are parsed and examples are shown.
 */
import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parseDuration } from "../../stratix-gateway/config/Knob.js"
import { visible } from "../Output.js"

/** A description with examples. An example is what is typed after the name of the program, and what it does. */
export const described = (
  description: string,
  ...examples: ReadonlyArray<readonly [typed: string, does: string]>
): HelpDoc.HelpDoc => {
  const width = Math.max(0, ...examples.map(([typed]) => typed.length))
  return HelpDoc.blocks([
    HelpDoc.p(description),
    HelpDoc.h1("EXAMPLES"),
    ...examples.map(([typed, does]) => HelpDoc.p(`  stratix-status-sync ${typed.padEnd(width)}   # ${does}`))
  ])
}

const invalid = (message: string) => ValidationError.invalidValue(HelpDoc.p(message))

/** A text; what begins with two dashes is an option that does not exist. */
export const textArg = (name: string, description: string): Args.Args<string> =>
  Args.text({ name }).pipe(
    Args.withDescription(description),
    Args.mapEffect((text) =>
      text.startsWith("--")
        ? Effect.fail(HelpDoc.p(`there is no option ${visible(text)} here: see --help`))
        : Effect.succeed(text)
    )
  )

/** Exactly one of these words. */
export const wordArg = <A extends string>(name: string, words: ReadonlyArray<A>): Args.Args<A> =>
  textArg(name, words.join(", ")).pipe(
    Args.mapEffect((text) => {
      const word = words.find((one) => one === text)
      return word === undefined
        ? Effect.fail(HelpDoc.p(`<${name}> must be one of ${words.join(", ")}; is "${visible(text)}"`))
        : Effect.succeed(word)
    })
  )

/** Comma-separated values, or the option repeated. */
export const listOption = (name: string, description: string): Options.Options<ReadonlyArray<string>> =>
  Options.text(name).pipe(
    Options.withPseudoName("list"),
    Options.withDescription(description),
    Options.repeated,
    Options.map((all) => all.flatMap((text) => text.split(",")).filter((text) => text !== ""))
  )

/** A length of time, or none. */
export const durationOption = (name: string, description: string): Options.Options<Option.Option<Duration.Duration>> =>
  Options.text(name).pipe(
    Options.withPseudoName("time"),
    Options.withDescription(description),
    Options.mapEffect((text) =>
      Option.match(Option.fromNullable(parseDuration(text.trim())), {
        onNone: () =>
          Effect.fail(invalid(`--${name} must be a time like 30s, 5m or "30 seconds", is "${visible(text)}"`)),
        onSome: Effect.succeed
      })
    ),
    Options.optional
  )
