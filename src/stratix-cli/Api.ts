/**
 * The HTTP routes of a gateway, from outside.
 */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import { type ConnectionReports, GatewayApi, type State } from "../stratix-gateway/api/http/StratixApi.js"
import * as ParseIssue from "../stratix-gateway/runtime/ParseIssue.js"
import { CliError, failed } from "./CliError.js"
import { explain, explainStatus, type Gateway } from "./Gateway.js"
import { visible } from "./Output.js"

/** What a gateway answered. */
export interface Answer {
  readonly status: number
  readonly body: string
  /** Seconds to wait before asking again, where the gateway says so. */
  readonly retryAfter: number | undefined
}

/** For one answer: a gateway answers in milliseconds. */
const TIMEOUT = "30 seconds"

const authorized =
  ({ tenant, token }: Gateway) =>
  (request: HttpClientRequest.HttpClientRequest) => {
    const chosen = tenant === undefined ? request : HttpClientRequest.setUrlParam(request, "tenant", tenant)
    return token === undefined ? chosen : HttpClientRequest.bearerToken(chosen, Redacted.value(token))
  }

const inTime =
  (gateway: Gateway) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | CliError, R> =>
    Effect.timeoutFail(effect, {
      duration: TIMEOUT,
      onTimeout: () => failed(`${gateway.shown} does not answer in time`)
    })

/** Posts JSON as it stands. Not through `HttpApiClient`, which would decode every event first and drop the fields that the gateway should refuse. */
export const post = (
  gateway: Gateway,
  path: string,
  json: string,
  idempotencyKey: string
): Effect.Effect<Answer, CliError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post(`${gateway.http}${path}`).pipe(
      HttpClientRequest.bodyText(json, "application/json"),
      HttpClientRequest.setHeader("idempotency-key", idempotencyKey),
      authorized(gateway)
    )
    const response = yield* client.execute(request)
    const after = response.headers["retry-after"]
    return {
      status: response.status,
      body: yield* response.text,
      retryAfter: after !== undefined && /^\d+$/.test(after) ? Number(after) : undefined
    }
  }).pipe(
    Effect.mapError((error) => failed(explain(error.cause, gateway))),
    inTime(gateway)
  )

const refusal = (gateway: Gateway, response: HttpClientResponse.HttpClientResponse) =>
  Effect.flatMap(response.text, (body) => failed(explainStatus(response.status, body, gateway)))

const explained = (gateway: Gateway) => (error: unknown) => {
  if (error instanceof CliError) return error
  const strange = (detail: string) =>
    failed(`${gateway.shown} does not answer as a gateway of this version does: ${visible(detail).slice(0, 200)}`)
  if (ParseResult.isParseError(error)) {
    const { message, path } = ParseIssue.first(error)
    return strange(`${path} ${message}`.trim())
  }
  if (!HttpClientError.isHttpClientError(error)) return failed(explain(error, gateway))
  return error.reason === "Decode" ? strange("its answer is not JSON") : failed(explain(error.cause, gateway))
}

/** The routes by their names, each with its answer decoded; a refusal is a `CliError` that explains it. */
const client = (gateway: Gateway) =>
  Effect.flatMap(HttpClient.HttpClient, (platform) =>
    HttpApiClient.makeWith(GatewayApi, {
      baseUrl: gateway.http,
      httpClient: platform.pipe(
        HttpClient.mapRequest(authorized(gateway)),
        HttpClient.transformResponse((responding) =>
          Effect.flatMap(responding, (response) =>
            response.status === 200 ? Effect.succeed(response) : refusal(gateway, response)
          )
        )
      )
    })
  )

/** The newest event of every key. */
export const state = (gateway: Gateway): Effect.Effect<typeof State.Type, CliError, HttpClient.HttpClient> =>
  Effect.flatMap(client(gateway), (routes) => routes["stratix.state"].state({})).pipe(
    Effect.mapError(explained(gateway)),
    inTime(gateway)
  )

/** Every connection. */
export const connections = (gateway: Gateway): Effect.Effect<ConnectionReports, CliError, HttpClient.HttpClient> =>
  Effect.flatMap(client(gateway), (routes) => routes["stratix.operations"].connections({})).pipe(
    Effect.mapError(explained(gateway)),
    inTime(gateway)
  )
