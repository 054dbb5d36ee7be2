/** What stands before the routes: the Host and Origin policies, CORS, and answers to requests that no route takes. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as ClientModule from "./files/ClientModule.js"
import type * as Dashboard from "./files/Dashboard.js"
import * as Problem from "./Problem.js"
import * as RequestBody from "./RequestBody.js"

/** Lets pages of allowed origins read the answers: a page that may connect may also use the routes. */
const cors = HttpMiddleware.cors({
  allowedOrigins: () => true,
  allowedMethods: ["GET", "POST", "PUT", "DELETE"],
  allowedHeaders: [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "tracestate"
  ],
  exposedHeaders: ["etag", "retry-after", "stratix-stale-ms", "www-authenticate"],
  // Browsers ask again after ten minutes at the latest, so a changed policy is soon known.
  maxAge: 600
})

const absent = ({ method, url }: HttpServerRequest.HttpServerRequest) =>
  Problem.response(404, "NotFound", `there is no ${method} ${url.split("?", 1)[0]}: see /openapi.json`)

/**
 * Nothing is percent-encoded but the id, which is the fourth part, no part is empty, and no `;` or `#` ends the path for the router only: a
 * proxy that guards a route by its path must not see another path than the router.
 */
const PLAIN_PATH = /^(?:\/[^%/;#]+){1,3}$|^(?:\/[^%/;#]+){3}\/[^/;#]+(?:\/[^%/;#]+)?$/

/** Answers a refusal of a middleware as it is, and an unknown route in JSON. Any other cause is a defect, and stays one. */
const recovered = <R>(app: HttpApp.Default<never, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) => {
    const error = Cause.squash(cause)
    if (HttpServerResponse.isServerResponse(error)) return Effect.succeed(error)
    if (!(error instanceof HttpServerError.RouteNotFound)) return Effect.failCause(cause)
    return Effect.succeed(absent(error.request))
  })

/** The module for a page of an allowed origin. Its `vary` says more than that of `cors`, which would replace it. */
const clientModule = (origin: string | undefined) =>
  Effect.map(
    ClientModule.respond,
    HttpServerResponse.setHeaders({
      vary: "Accept-Encoding, Origin",
      ...(origin !== undefined && { "access-control-allow-origin": origin })
    })
  )

const READING: ReadonlySet<string> = new Set(["GET", "HEAD"])

/** What the guard goes by. */
export interface Guard {
  /** Fails with the answer to a request that is not allowed. */
  readonly check: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<void, HttpServerResponse.HttpServerResponse>
  readonly dashboard: Dashboard.Dashboard
  /** The path of the WebSocket. */
  readonly path: string
}

/** Refuses requests to hosts and of web pages that are not allowed, and plain requests to the path of the WebSocket. */
export const guard = <R>(
  routes: HttpApp.Default<never, R>,
  { check, dashboard, path: webSocketPath }: Guard
): HttpApp.Default<never, R> => {
  const app = recovered(routes)
  const appForPages = cors(app)
  const serve = (request: HttpServerRequest.HttpServerRequest) => {
    const page = dashboard(request)
    if (page !== undefined) return Effect.succeed(page)
    const path = request.url.split("?", 1)[0]
    const { origin } = request.headers
    if (path === ClientModule.PATH && READING.has(request.method)) return clientModule(origin)
    if (path === webSocketPath) return Effect.succeed(Problem.upgradeRequired)
    if (path === undefined || !PLAIN_PATH.test(path)) return Effect.succeed(absent(request))
    return origin === undefined ? app : appForPages
  }
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.matchEffect(check(request), { onFailure: Effect.succeed, onSuccess: () => serve(request) }).pipe(
      Effect.tap(() => RequestBody.discarded(request))
    )
  )
}
