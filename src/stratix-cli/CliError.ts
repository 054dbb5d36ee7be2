/**
 * What ends a command before its work is done, in one line.
 */
import * as Schema from "effect/Schema"

/** `Usage`: what was typed cannot be done (exit code 2). `Failed`: it was tried and did not work (1). `ReaderGone`: the
 * output was closed, which is not a failure (0). */
export class CliError extends Schema.TaggedError<CliError>("stratix/CliError")("CliError", {
  reason: Schema.Literal("Usage", "Failed", "ReaderGone"),
  message: Schema.String
}) {}

export const failed = (message: string): CliError => new CliError({ reason: "Failed", message })

export const usage = (message: string): CliError => new CliError({ reason: "Usage", message })
