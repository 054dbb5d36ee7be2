/**
 * Why an event cannot be published, or was not.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as ParseIssue from "../runtime/ParseIssue.js"

/** An event that cannot be published, or could not be; nothing was sent, unless the reason is `Uncertain`: then it may have been. `field` names the part of the event that is wrong.
 * @since 0.1.0
 * @category errors */
export class PublishError extends Schema.TaggedError<PublishError>("stratix/PublishError")("PublishError", {
  reason: Schema.Literal("InvalidField", "NotJson", "TooLarge", "Closed", "Unavailable", "Uncertain"),
  field: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return this.field === "" ? this.detail : `${this.field}: ${this.detail}`
  }
}

/** What is wrong with a field of an event. */
export const invalid = (field: string, detail: string) =>
  Either.left(new PublishError({ reason: "InvalidField", field, detail }))

/** Characters of what a Schema says: an author's may repeat the whole value. Its kind and its beginning fit a line of a log. */
const MAX_DETAIL = 256

const shorten = (text: string): string => (text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}…` : text)

/** What a Schema has against a value, as a `PublishError` on `at` or a field below it. */
export const refusal = (error: ParseResult.ParseError, at: string): PublishError => {
  const { kind, message, path } = ParseIssue.first(error)
  const detail =
    kind === "Unexpected" ? "is not a field of this event type" : kind === "Missing" ? "is missing" : shorten(message)
  return new PublishError({ reason: "InvalidField", field: path === "" ? at : `${at}.${path}`, detail })
}

/** A decoder whose error is a `PublishError` on `at` or a field below it. Fields that the Schema does not name are left out. */
export const decoder = <A, I>(schema: Schema.Schema<A, I>, at: string) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "first" })
  return (value: unknown): Either.Either<A, PublishError> =>
    Either.mapLeft(decode(value), (error) => refusal(error, at))
}
