/**
 * The HTTP routes of a gateway, from outside.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ParseIssue from "../stratix-gateway/runtime/ParseIssue.js"
import { type CliError, failed } from "./CliError.js"
import { explain, explainStatus, type Gateway } from "./Gateway.js"
import { visible } from "./Output.js"

/** What a gateway answered. */
export interface Answer {
  readonly status: number
  readonly body: string
  /** Seconds to wait before asking again, where the gateway says so. */
  readonly retryAfter: number | undefined
}

/** For one answer; a gateway answers in milliseconds. */
const TIMEOUT = "30 seconds"

const send = (
  gateway: Gateway,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Answer, CliError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const response = yield* client.execute(
      gateway.token === undefined ? request : HttpClientRequest.bearerToken(request, Redacted.value(gateway.token))
    )
    const after = response.headers["retry-after"]
    return {
      status: response.status,
      body: yield* response.text,
      retryAfter: after !== undefined && /^\d+$/.test(after) ? Number(after) : undefined
    }
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => failed(explain(error.cause, gateway))),
    Effect.timeoutFail({ duration: TIMEOUT, onTimeout: () => failed(`${gateway.shown} does not answer in time`) })
  )

/** Posts JSON. */
export const post = (
  gateway: Gateway,
  path: string,
  json: string
): Effect.Effect<Answer, CliError, HttpClient.HttpClient> =>
  send(
    gateway,
    HttpClientRequest.post(`${gateway.http}${path}`).pipe(HttpClientRequest.bodyText(json, "application/json"))
  )

/** Gets what a route answers. */
export const get = <A, I>(
  gateway: Gateway,
  path: string,
  schema: Schema.Schema<A, I>
): Effect.Effect<A, CliError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const { body, status } = yield* send(gateway, HttpClientRequest.get(`${gateway.http}${path}`))
    if (status !== 200) return yield* failed(explainStatus(status, body, gateway))
    return yield* Schema.decode(Schema.parseJson(schema))(body).pipe(
      Effect.mapError((error) => {
        const { message, path } = ParseIssue.first(error)
        return failed(
          `${gateway.shown} does not answer as a gateway of this version does: ${visible(`${path} ${message}`.trim()).slice(0, 200)}`
        )
      })
    )
  })
