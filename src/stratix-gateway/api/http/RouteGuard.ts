/** What stands before the routes: the Origin policy, CORS, and answers to requests that no route takes. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Limits from "../../admission/Limits.js"
import * as Origin from "../../admission/Origin.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import * as Refusals from "../../telemetry/Refusals.js"
import * as Problem from "./Problem.js"
import * as RequestAddress from "./RequestAddress.js"
import * as RequestBody from "./RequestBody.js"

/** Lets pages of allowed origins read the answers: a page that may connect may also use the routes. */
const cors = HttpMiddleware.cors({
  allowedOrigins: () => true,
  allowedMethods: ["GET", "POST", "PUT"],
  allowedHeaders: ["authorization", "content-type", "traceparent", "tracestate"],
  exposedHeaders: ["retry-after", "www-authenticate"],
  // Browsers ask again after ten minutes at the latest, so a changed policy is soon known.
  maxAge: 600
})

/** Answers a refusal of a middleware as it is, and an unknown route in JSON. Any other cause is a defect, and stays one. */
const recovered = <R>(app: HttpApp.Default<never, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) => {
    const error = Cause.squash(cause)
    if (HttpServerResponse.isServerResponse(error)) return Effect.succeed(error)
    if (!(error instanceof HttpServerError.RouteNotFound)) return Effect.failCause(cause)
    const { method, url } = error.request
    return Effect.succeed(
      Problem.response(404, "NotFound", `there is no ${method} ${url.split("?", 1)[0]}: see /openapi.json`)
    )
  })

/** Refuses requests of web pages whose origin is not allowed, and plain requests to the path of the WebSocket. */
export const guard = <R>(
  routes: HttpApp.Default<never, R>
): HttpApp.Default<never, R | StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals> => {
  const app = recovered(routes)
  const appForPages = cors(app)
  return Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const request = yield* HttpServerRequest.HttpServerRequest
    const { localAddress } = NodeHttpServerRequest.toIncomingMessage(request).socket
    const { host, origin } = request.headers
    if (!Origin.isAllowed({ origin, host, local: isLoopback(localAddress ?? "") }, config.allowedOrigins)) {
      const message = `pages from ${origin} may not use this gateway: its origin is not allowed`
      const { recordRefusal } = yield* Refusals.Refusals
      recordRefusal("origin", message, RequestAddress.of(request, yield* Limits.Limits))
      return Problem.response(403, "Forbidden", message)
    }
    const path = request.url.split("?", 1)[0]
    if (path === config.path) {
      return Problem.response(426, "UpgradeRequired", "this is a WebSocket: connect to it with new WebSocket(url)", {
        headers: { upgrade: "websocket", connection: "Upgrade" }
      })
    }
    return yield* origin === undefined ? app : appForPages
  }).pipe(Effect.tap(() => Effect.flatMap(HttpServerRequest.HttpServerRequest, RequestBody.discarded)))
}
