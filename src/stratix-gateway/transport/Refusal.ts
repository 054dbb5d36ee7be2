/**
 * A refused upgrade, as the client sees it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/** An upgrade that is refused, with the HTTP status of the answer.
 * @since 0.1.0
 * @category errors */
export class Refusal extends Schema.TaggedError<Refusal>("stratix/Refusal")("Refusal", {
  reason: Schema.Literal(
    "malformed",
    "unauthorized",
    "forbidden",
    "not-found",
    "method",
    "upgrade-required",
    "too-many",
    "full",
    "unavailable",
    "closing"
  ),
  status: Schema.Number,
  message: Schema.String,
  headers: Schema.Record({ key: Schema.String, value: Schema.String })
}) {
  /** The body of the answer. */
  get body(): string {
    return JSON.stringify({ error: this.reason, message: this.message })
  }
}

/** Makes a refusal.
 * @since 0.1.0
 * @category errors */
export const refuse = (
  reason: Refusal["reason"],
  status: number,
  message: string,
  headers: Record<string, string> = {}
): Refusal => new Refusal({ reason, status, message, headers })
