/**
 * `GET /api/stratix/stream`: a connection as a WebSocket is, in the form of an event stream.
 */
import * as Cookies from "@effect/platform/Cookies"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import type * as Scope from "effect/Scope"
import type * as Admission from "../../../admission/Admission.js"
import type * as Handshake from "../../../admission/Handshake.js"
import * as EventStream from "../../../transport/EventStream.js"
import * as UpgradeGuard from "../../../transport/UpgradeGuard.js"
import * as Connections from "../../websocket/Connections.js"
import * as Problem from "../Problem.js"

/** The path of the route. */
export const PATH = "/api/stratix/stream"

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // `no-transform`: a proxy that compresses holds events back until it has enough of them.
  "cache-control": "no-store, no-transform",
  // nginx buffers answers unless it is told not to.
  "x-accel-buffering": "no"
}

const pipelined = Problem.response(
  400,
  "Pipelined",
  "an event stream cannot wait for the answers before it: ask for it on a connection of its own"
)

/** The headers as Node takes them, with what the middleware around the route has added. */
const headersOf = ({ cookies, headers }: HttpServerResponse.HttpServerResponse) =>
  Cookies.isEmpty(cookies) ? headers : { ...headers, "set-cookie": Cookies.toSetCookieHeaders(cookies) }

/** Takes the socket once all middleware has seen the answer, in place of the platform, for which a body is a fiber. */
const stream = (
  response: ReturnType<typeof NodeHttpServerRequest.toServerResponse>,
  admission: Admission.Admission,
  connections: typeof Connections.Connections.Service
) =>
  Effect.gen(function* () {
    const answer = HttpServerResponse.empty({ status: 200, headers: HEADERS })
    let taken = false
    // Where no answer is written.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (!taken) admission.permit.release()
      })
    )
    yield* HttpApp.appendPreResponseHandler((_request, given) =>
      Effect.sync(() => {
        if (given.body === answer.body && given.status === 200) {
          EventStream.accept(response, headersOf(given), admission, connections)
          taken = true
        } else {
          // A middleware answers something else, or has failed. Its place is free before the client knows.
          admission.permit.release()
        }
        return given
      }).pipe(Effect.onError(() => Effect.sync(() => response.destroy())))
    )
    return answer
  })

/** Answers a request with an event stream, or with why not. Requests are not logged by the platform: their URL may contain a token. */
export const serve = (
  host?: Handshake.HostDecision
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  Connections.Connections | HttpServerRequest.HttpServerRequest | Scope.Scope
> =>
  Effect.gen(function* () {
    const connections = yield* Connections.Connections
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* FiberRef.set(HttpMiddleware.loggerDisabled, true)
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const response = NodeHttpServerRequest.toServerResponse(request)
    if (!EventStream.isNext(response)) return pipelined
    const decision = connections.decide(
      UpgradeGuard.upgradeRequest({ request: source, socket: source.socket }, "stream"),
      host
    )
    return yield* Effect.matchEffect(decision, {
      onFailure: ({ body, headers, status }) =>
        Effect.succeed(HttpServerResponse.text(body, { status, contentType: "application/json", headers })),
      onSuccess: (admission) => stream(response, admission, connections)
    })
    // A client that leaves meanwhile must not keep its permit; the decision has a timeout of its own.
  }).pipe(Effect.uninterruptible)
