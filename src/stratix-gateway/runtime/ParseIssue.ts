/** What is wrong with data that does not fit its schema, in the schema's own words. */
import * as ParseResult from "effect/ParseResult"

/** A fault in data. */
export interface ParseIssue {
  /** `Missing`, `Unexpected` and so on. */
  readonly kind: ParseResult.ArrayFormatterIssue["_tag"]
  /** Where it is, as in `payload.agentId`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** All faults, in the order of the data. */
export const all = (error: ParseResult.ParseError): ReadonlyArray<ParseIssue> =>
  ParseResult.ArrayFormatter.formatErrorSync(error).map(({ _tag, message, path }) => ({
    kind: _tag,
    message,
    path: path.join(".")
  }))

/** The first fault, for answers that name only one. */
export const first = (error: ParseResult.ParseError): ParseIssue =>
  all(error)[0] ?? { kind: "Type", message: error.message, path: "" }
