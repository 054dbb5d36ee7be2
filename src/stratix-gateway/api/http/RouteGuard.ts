/** What stands before the routes: the Host and Origin policies, CORS, and answers to requests that no route takes. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Host from "../../admission/Host.js"
import * as Limits from "../../admission/Limits.js"
import * as Origin from "../../admission/Origin.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import * as Refusals from "../../telemetry/Refusals.js"
import type * as Dashboard from "./Dashboard.js"
import * as Problem from "./Problem.js"
import * as RequestAddress from "./RequestAddress.js"
import * as RequestBody from "./RequestBody.js"

/** Lets pages of allowed origins read the answers: a page that may connect may also use the routes. */
const cors = HttpMiddleware.cors({
  allowedOrigins: () => true,
  allowedMethods: ["GET", "POST", "PUT", "DELETE"],
  allowedHeaders: ["authorization", "content-type", "idempotency-key", "traceparent", "tracestate"],
  exposedHeaders: ["retry-after", "www-authenticate"],
  // Browsers ask again after ten minutes at the latest, so a changed policy is soon known.
  maxAge: 600
})

const absent = ({ method, url }: HttpServerRequest.HttpServerRequest) =>
  Problem.response(404, "NotFound", `there is no ${method} ${url.split("?", 1)[0]}: see /openapi.json`)

/** Nothing is percent-encoded but the id, which is the fourth part: a proxy that guards a route by its path must not see another path than the router. */
const PLAIN_PATH = /^(?:\/[^%/]*){1,3}$|^(?:\/[^%/]*){3}\/[^/]*(?:\/[^%]*)?$/

/** Answers a refusal of a middleware as it is, and an unknown route in JSON. Any other cause is a defect, and stays one. */
const recovered = <R>(app: HttpApp.Default<never, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) => {
    const error = Cause.squash(cause)
    if (HttpServerResponse.isServerResponse(error)) return Effect.succeed(error)
    if (!(error instanceof HttpServerError.RouteNotFound)) return Effect.failCause(cause)
    return Effect.succeed(absent(error.request))
  })

/** Refuses requests to hosts and of web pages that are not allowed, and plain requests to the path of the WebSocket. */
export const guard = <R>(
  routes: HttpApp.Default<never, R>,
  dashboard: Dashboard.Dashboard
): HttpApp.Default<never, R | StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals> => {
  const app = recovered(routes)
  const appForPages = cors(app)
  return Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const request = yield* HttpServerRequest.HttpServerRequest
    const { localAddress } = NodeHttpServerRequest.toIncomingMessage(request).socket
    const { host, origin } = request.headers
    const local = isLoopback(localAddress ?? "")
    const forbidden = (reason: "host" | "origin", message: string) =>
      Effect.gen(function* () {
        const { recordRefusal } = yield* Refusals.Refusals
        recordRefusal(reason, message, RequestAddress.of(request, yield* Limits.Limits))
        return Problem.response(403, "Forbidden", message)
      })
    if (host !== undefined && !Host.isAllowed({ host, local }, config)) {
      return yield* forbidden("host", Host.refusalOf(host))
    }
    const hostListed = host !== undefined && Host.isListed(host, config)
    if (!Origin.isAllowed({ origin, host, local, hostListed }, config.allowedOrigins)) {
      return yield* forbidden("origin", `pages from ${origin} may not use this gateway: its origin is not allowed`)
    }
    const page = dashboard(request)
    if (page !== undefined) return page
    const path = request.url.split("?", 1)[0]
    if (path === config.path) {
      return Problem.response(426, "UpgradeRequired", "this is a WebSocket: connect to it with new WebSocket(url)", {
        headers: { upgrade: "websocket", connection: "Upgrade" }
      })
    }
    if (path === undefined || !PLAIN_PATH.test(path)) return absent(request)
    return yield* origin === undefined ? app : appForPages
  }).pipe(Effect.tap(() => Effect.flatMap(HttpServerRequest.HttpServerRequest, RequestBody.discarded)))
}
