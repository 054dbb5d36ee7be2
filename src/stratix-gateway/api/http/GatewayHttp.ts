/**
 * The HTTP routes at work: publish, state, connections, metrics, health, OpenAPI.
 *
 * @since 0.1.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import {
  AGENT_CREATE,
  AGENT_STATUS_UPDATE,
  COMMAND_STATUS_UPDATE,
  MAX_ID_LENGTH
} from "../../../stratix-core/stratix-protocol.js"
import * as Handshake from "../../admission/Handshake.js"
import * as Limits from "../../admission/Limits.js"
import * as Origin from "../../admission/Origin.js"
import type * as Authenticator from "../../auth/Authenticator.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import type * as Broadcast from "../../fanout/Broadcast.js"
import * as EventLog from "../../log/EventLog.js"
import * as MetricsCollector from "../../operations/MetricsCollector.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import * as Prometheus from "../../telemetry/Prometheus.js"
import * as Refusals from "../../telemetry/Refusals.js"
import * as Tracing from "../../telemetry/Tracing.js"
import { NodeServer } from "../../transport/NodeServer.js"
import * as Connections from "../websocket/Connections.js"
import * as StatusSync from "../websocket/StatusSync.js"
import * as ConnectionReports from "./ConnectionReports.js"
import * as RequestBody from "./RequestBody.js"
import { MAX_EVENTS, type Problem, StratixApi } from "./StratixApi.js"

const problem = (
  status: number,
  error: string,
  message: string,
  field?: string
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson({ error, ...(field !== undefined && { field }), message } satisfies Problem, { status })

const refused = (response: HttpServerResponse.HttpServerResponse) => Effect.fail(response)

/** Where a request comes from, as `ClientAddress.of` says. */
const addressOf = (
  request: HttpServerRequest.HttpServerRequest,
  { clientAddress }: typeof Limits.Limits.Service
): string =>
  clientAddress(
    NodeHttpServerRequest.toIncomingMessage(request).socket.remoteAddress ?? "",
    request.headers["x-forwarded-for"]
  )

/** One who may do what a route does. */
interface Permitted {
  readonly principal: Authenticator.Principal
  /** Takes `count` events off what it may publish. */
  readonly spend: (count: number) => Effect.Effect<void, HttpServerResponse.HttpServerResponse>
}

/** Asks whoever comes to a route for a token, and whether it may do what the route does. */
class Gate extends Context.Tag("stratix/GatewayHttp/Gate")<
  Gate,
  {
    readonly permit: (
      permission: Authenticator.Permission,
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<Permitted, HttpServerResponse.HttpServerResponse>
  }
>() {}

const gate = Layer.scoped(
  Gate,
  Effect.gen(function* () {
    const limits = yield* Limits.Limits
    const { recordRefusal } = yield* Refusals.Refusals
    const verify = yield* Handshake.verifier

    const unrecognised = (error: Authenticator.Unauthenticated, address: string) => {
      const unavailable = error.reason === "Unavailable"
      recordRefusal(unavailable ? "unavailable" : "unauthenticated", error.message, address)
      return unavailable
        ? HttpServerResponse.setHeader(
            problem(503, "Unavailable", error.message),
            "retry-after",
            Handshake.UNAVAILABLE_RETRY
          )
        : HttpServerResponse.setHeader(
            problem(401, "Unauthenticated", error.message),
            "www-authenticate",
            Handshake.challenge(error)
          )
    }
    const forbidden = (permission: Authenticator.Permission, name: string, address: string) => {
      const message = `${name} may not ${permission === "operator" ? "operate this gateway" : permission}`
      recordRefusal("forbidden", message, address)
      return HttpServerResponse.setHeader(
        problem(403, "Forbidden", message),
        "www-authenticate",
        Handshake.scopeChallenge(permission)
      )
    }

    return Gate.of({
      permit: Effect.fnUntraced(function* (permission, request) {
        const address = addressOf(request, limits)
        const principal = yield* verify({
          token: Handshake.bearerToken(request.headers["authorization"]),
          remoteAddress: address
        }).pipe(Effect.mapError((error) => unrecognised(error, address)))
        if (!principal.permissions.has(permission)) {
          return yield* refused(forbidden(permission, principal.name, address))
        }
        const spend = (count: number) =>
          Effect.suspend(() =>
            Either.match(limits.takePublishes(principal, address, count), {
              onLeft: ({ message, reason, retryAfterSeconds, status }) => {
                recordRefusal(reason, message, address)
                return refused(
                  HttpServerResponse.setHeader(
                    problem(status, "TooMany", message),
                    "retry-after",
                    String(retryAfterSeconds)
                  )
                )
              },
              onRight: () => Effect.void
            })
          )
        // One who has published too much is told so before the gateway reads what else there is.
        if (permission === "publish") yield* spend(0)
        return { principal, spend }
      })
    })
  })
)

type Json = Effect.Effect<
  unknown,
  HttpServerResponse.HttpServerResponse,
  StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals
>

/** The body, if it says it is JSON (which a web page cannot say of a form), is no larger than allowed, and is JSON. */
const json = (request: HttpServerRequest.HttpServerRequest): Json =>
  Effect.gen(function* () {
    const { maxBodyBytes } = yield* StatusSyncConfig.StatusSyncConfig
    const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()
    if (type !== "application/json") {
      return yield* refused(
        problem(415, "UnsupportedMediaType", `content-type must be application/json, is ${type ?? "absent"}`)
      )
    }
    const address = addressOf(request, yield* Limits.Limits)
    const { recordRefusal } = yield* Refusals.Refusals
    const tooLarge = Effect.suspend(() => {
      const message = `the body must be at most ${maxBodyBytes} bytes`
      recordRefusal("body_size", message, address)
      return refused(problem(413, "TooLarge", message))
    })
    if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return yield* tooLarge
    const text = yield* Effect.catchAll(
      RequestBody.text(NodeHttpServerRequest.toIncomingMessage(request), maxBodyBytes),
      () => tooLarge
    )
    return yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (error) =>
        problem(400, "NotJson", `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`)
    })
  })

const fields = (body: unknown): Effect.Effect<object, HttpServerResponse.HttpServerResponse> =>
  typeof body === "object" && body !== null && !Array.isArray(body)
    ? Effect.succeed(body)
    : refused(problem(400, "InvalidField", "the body must be a JSON object"))

const statusOf: { readonly [R in StatusSync.PublishError["reason"]]: number } = {
  InvalidField: 400,
  NotJson: 400,
  TooLarge: 400,
  Closed: 503,
  Unavailable: 503
}

/** The answer to what could not be published. Where the route says what the payload is, its fields stand by themselves. */
const notPublished = ({ detail, field, reason }: StatusSync.PublishError, bare: boolean) => {
  const at = bare ? field.replace(/^payload\.?/, "") : field
  return problem(statusOf[reason], reason, at === "" ? detail : `${at}: ${detail}`, at)
}

const acceptedAs = (body: unknown) => HttpServerResponse.unsafeJson(body, { status: 202 })

const answer = <R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerResponse.HttpServerResponse, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> => Effect.catchAll(effect, Effect.succeed)

/** Publishes the one event of a route whose path or type says the rest. */
const publishOne = (eventType: string, request: HttpServerRequest.HttpServerRequest, path: object) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    const { spend } = yield* Effect.flatMap(Gate, ({ permit }) => permit("publish", request))
    const body = yield* Effect.flatMap(json(request), fields)
    for (const name of Object.keys(path)) {
      if (name in body) return yield* refused(problem(400, "InvalidField", `${name}: is in the path already`, name))
    }
    yield* spend(1)
    const offset = yield* sync
      .broadcast({ eventType, payload: { ...path, ...body } })
      .pipe(Effect.mapError((error) => notPublished(error, true)))
    return acceptedAs({ offset })
  })

const isEvents = (body: unknown): body is ReadonlyArray<StatusSync.EventInput> => Array.isArray(body)

const publish = HttpApiBuilder.group(StratixApi, "publish", (handlers) =>
  handlers
    .handleRaw("publishEvents", ({ request }) =>
      answer(
        Effect.gen(function* () {
          const sync = yield* StatusSync.StatusSync
          const { recordRefusal } = yield* Refusals.Refusals
          const { spend } = yield* Effect.flatMap(Gate, ({ permit }) => permit("publish", request))
          const body = yield* json(request)
          if (isEvents(body)) {
            if (body.length < 1 || body.length > MAX_EVENTS) {
              recordRefusal("array_length", `an array of ${body.length} events`)
              return yield* refused(
                problem(400, "InvalidField", `an array must have 1 to ${MAX_EVENTS} events, has ${body.length}`)
              )
            }
            yield* spend(body.length)
            const offsets = yield* sync.broadcastAll(body).pipe(Effect.mapError((error) => notPublished(error, false)))
            return acceptedAs({ offsets })
          }
          const event = yield* fields(body)
          yield* spend(1)
          const offset = yield* sync
            .broadcast({ eventType: "", payload: undefined, ...event })
            .pipe(Effect.mapError((error) => notPublished(error, false)))
          return acceptedAs({ offsets: [offset] })
        })
      )
    )
    .handleRaw("publishAgentStatus", ({ path, request }) => answer(publishOne(AGENT_STATUS_UPDATE, request, path)))
    .handleRaw("publishCommandStatus", ({ path, request }) => answer(publishOne(COMMAND_STATUS_UPDATE, request, path)))
    .handleRaw("publishAgentCreate", ({ request }) => answer(publishOne(AGENT_CREATE, request, {})))
)

const state = HttpApiBuilder.group(StratixApi, "state", (handlers) =>
  handlers.handleRaw("state", ({ request }) =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const { principal } = yield* Effect.flatMap(Gate, ({ permit }) => permit("subscribe", request))
      const { entries, head } = yield* log
        .latest(principal.visible)
        .pipe(Effect.mapError((error) => problem(503, error.reason, error.message)))
      const events = entries.map((entry) => EventLog.withOffset(entry))
      return HttpServerResponse.text(`{"head":${JSON.stringify(head)},"events":[${events.join(",")}]}`, {
        contentType: "application/json"
      })
    }).pipe(answer)
  )
)

/** Prefix of the gateway's own metrics: a host application has others in the same registry, and an exporter of its own for them. */
const OWN_METRICS = "stratix_"

const operations = HttpApiBuilder.group(StratixApi, "operations", (handlers) =>
  handlers
    .handleRaw("connections", ({ request }) =>
      Effect.gen(function* () {
        yield* Effect.flatMap(Gate, ({ permit }) => permit("operator", request))
        return HttpServerResponse.text(yield* ConnectionReports.json, { contentType: "application/json" })
      }).pipe(answer)
    )
    .handleRaw("metrics", ({ request }) =>
      Effect.gen(function* () {
        const { metrics } = yield* StatusSyncConfig.StatusSyncConfig
        if (!metrics) {
          return yield* refused(problem(404, "NotFound", "metrics are switched off: STRATIX_METRICS is false"))
        }
        yield* Effect.flatMap(Gate, ({ permit }) => permit("operator", request))
        yield* Effect.flatMap(MetricsCollector.MetricsCollector, ({ collect }) => collect)
        return HttpServerResponse.text(Prometheus.render(yield* Metric.snapshot, OWN_METRICS), {
          contentType: Prometheus.CONTENT_TYPE
        })
      }).pipe(answer)
    )
)

const health = HttpApiBuilder.group(StratixApi, "health", (handlers) =>
  handlers
    .handle("healthz", () => Effect.succeed({ status: "ok" as const }))
    .handle("readyz", () =>
      Effect.gen(function* () {
        const connections = yield* Connections.Connections
        return (yield* connections.accepting)
          ? { status: "ok" as const }
          : yield* Effect.fail({ status: "draining" as const })
      })
    )
)

/** Lets pages of allowed origins read the answers: what may connect may use the routes, too. */
const cors = HttpMiddleware.cors({
  allowedOrigins: () => true,
  allowedMethods: ["GET", "POST", "PUT"],
  allowedHeaders: ["authorization", "content-type", "traceparent", "tracestate"],
  exposedHeaders: ["retry-after", "www-authenticate"],
  maxAge: 600
})

/** Refuses what web pages of other origins ask for, and says in JSON what is not found. */
const guard = <E, R>(
  app: HttpApp.Default<E, R>
): HttpApp.Default<E, R | StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals> => {
  const open = cors(app)
  return Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const request = yield* HttpServerRequest.HttpServerRequest
    const { localAddress } = NodeHttpServerRequest.toIncomingMessage(request).socket
    const { host, origin } = request.headers
    if (!Origin.isAllowed({ origin, host, local: isLoopback(localAddress ?? "") }, config.allowedOrigins)) {
      const message = `pages from ${origin} may not use this gateway: its origin is not allowed`
      const { recordRefusal } = yield* Refusals.Refusals
      recordRefusal("origin", message, addressOf(request, yield* Limits.Limits))
      return problem(403, "Forbidden", message)
    }
    const path = request.url.split("?", 1)[0]
    if (path === config.path) {
      return HttpServerResponse.setHeaders(
        problem(426, "UpgradeRequired", "this is a WebSocket: connect to it with new WebSocket(url)"),
        { upgrade: "websocket", connection: "Upgrade" }
      )
    }
    return yield* origin === undefined ? app : open
  }).pipe(Effect.tap(() => Effect.flatMap(HttpServerRequest.HttpServerRequest, RequestBody.discarded)))
}

/** Says in JSON what is not found; anything else that comes here is a defect, and stays one. */
const notFound = <R>(app: HttpApp.Default<never, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) => {
    const error = Cause.squash(cause)
    if (!(error instanceof HttpServerError.RouteNotFound)) return Effect.failCause(cause)
    const { method, url } = error.request
    return Effect.succeed(problem(404, "NotFound", `there is no ${method} ${url.split("?", 1)[0]}: see /openapi.json`))
  })

/** What the routes work with.
 * @since 0.1.0
 * @category models */
export type AppServices =
  | StatusSyncConfig.StatusSyncConfig
  | StatusSync.StatusSync
  | Connections.Connections
  | EventLog.EventLog
  | Authenticator.Authenticator
  | Limits.Limits
  | Refusals.Refusals
  | Broadcast.Broadcast
  | MetricsCollector.MetricsCollector

const routes = HttpApiBuilder.middlewareOpenApi().pipe(
  Layer.provideMerge(Layer.provide(HttpApiBuilder.api(StratixApi), [publish, state, operations, health])),
  Layer.provide(gate),
  Layer.provideMerge(
    Layer.mergeAll(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext)
  )
)

/** Characters that one UTF-16 unit of an id takes in a path at the most: three bytes, each as `%XX`. The router's own limit of 100 would hide longer ids behind a 404. */
const ENCODED_LENGTH = 9

/** The routes as an `HttpApp`, for a host application to mount among its own.
 * @since 0.1.0
 * @category constructors */
export const app: Effect.Effect<HttpApp.Default, never, AppServices | Scope.Scope> = Effect.gen(function* () {
  const given = yield* Effect.context<StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals>()
  const context = yield* Layer.build(routes)
  const built = yield* Effect.provide(HttpApiBuilder.httpApp, context).pipe(
    HttpRouter.withRouterConfig({ maxParamLength: MAX_ID_LENGTH * ENCODED_LENGTH })
  )
  return Effect.provide(guard(notFound(built)), Context.merge(given, context))
})

/** Asked for every few seconds by machines; nobody looks at their traces. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"])

/** Serves the routes, in the trace of whoever asks; where nobody listens, without the spans that the platform would make for nobody. */
const handler = Effect.gen(function* () {
  const served = yield* app
  const tracer = yield* Tracing.listening
  return yield* HttpMiddleware.withTracerDisabledWhenEffect(
    NodeHttpServer.makeHandler(served),
    ({ headers, url }) =>
      tracer === undefined ||
      PROBES.has(url.split("?", 1)[0] ?? "") ||
      // Who does not record its trace does not want it recorded here.
      Tracing.callerOf(headers)?.sampled === false
  )
})

/** The routes on the `NodeServer`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<never, never, AppServices | NodeServer> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const server = yield* NodeServer
    const onRequest = yield* handler
    yield* Effect.acquireRelease(
      Effect.sync(() => server.on("request", onRequest)),
      () => Effect.sync(() => server.off("request", onRequest))
    )
  })
)
