/**
 * What a command's end means to the shell.
 */
import * as ValidationError from "@effect/cli/ValidationError"
import type { Teardown } from "@effect/platform/Runtime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { CliError } from "./CliError.js"

/** It worked, or it runs until it is stopped and was. */
export const OK = 0

/** It was tried and did not work. */
export const FAILED = 1

/** What was typed cannot be done. */
export const USAGE = 2

/** Ctrl-C before the work was done: 128 and the number of SIGINT, as in shells. */
export const INTERRUPTED = 130

/** For a command without an end: being stopped is how it succeeds. */
export const asLongAsWanted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onInterrupt(effect, () =>
    Effect.sync(() => {
      process.exitCode = OK
    })
  )

const codeOf = (error: unknown): number => {
  if (error instanceof CliError) return error.reason === "ReaderGone" ? OK : error.reason === "Usage" ? USAGE : FAILED
  return ValidationError.isValidationError(error) ? USAGE : FAILED
}

/** Ends the process with the exit code of its outcome. */
export const teardown: Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(OK)
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure)) return onExit(codeOf(failure.value))
  onExit(Cause.isInterruptedOnly(exit.cause) ? Number(process.exitCode ?? INTERRUPTED) : FAILED)
}
