/** The body of an answer that is a refusal. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Why a request was refused; `field` names the part of it that is wrong.
 * @since 0.1.0
 * @category schemas */
export const Problem = Schema.Struct({
  error: Schema.String,
  field: Schema.optionalWith(Schema.String, { exact: true }),
  message: Schema.String
}).annotations({ identifier: "Problem" })
/** @since 0.1.0
 * @category schemas */
export type Problem = typeof Problem.Type

/** A refusal as an answer. */
export const response = (
  status: number,
  error: string,
  message: string,
  options: { readonly field?: string; readonly headers?: Readonly<Record<string, string>> } = {}
): HttpServerResponse.HttpServerResponse => {
  const { field, headers = {} } = options
  const body: Problem = { error, ...(field !== undefined && { field }), message }
  return HttpServerResponse.unsafeJson(body, { status, headers })
}

/** Answers a refusal as it is. */
export const answered = <R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerResponse.HttpServerResponse, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> => Effect.catchAll(effect, Effect.succeed)

/** The answer to a plain request at the path of the WebSocket. */
export const upgradeRequired: HttpServerResponse.HttpServerResponse = response(
  426,
  "UpgradeRequired",
  "this is a WebSocket: connect to it with new WebSocket(url)",
  { headers: { upgrade: "websocket", connection: "Upgrade" } }
)
