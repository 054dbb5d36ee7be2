/**
 * The HTTP routes at work: publish, state, health, OpenAPI.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { AGENT_CREATE, AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE } from "../../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import * as Connections from "../websocket/Connections.js"
import * as EventLog from "../websocket/EventLog.js"
import * as Origin from "../websocket/Origin.js"
import * as StatusSync from "../websocket/StatusSync.js"
import { NodeServer } from "./NodeServer.js"
import { MAX_EVENTS, type Problem, StratixApi } from "./StratixApi.js"

const problem = (
  status: number,
  error: string,
  message: string,
  field?: string
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson({ error, ...(field !== undefined && { field }), message } satisfies Problem, { status })

const refused = (response: HttpServerResponse.HttpServerResponse) => Effect.fail(response)

type Json = Effect.Effect<unknown, HttpServerResponse.HttpServerResponse, StatusSyncConfig.StatusSyncConfig>

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
    const tooLarge = problem(413, "TooLarge", `the body must be at most ${maxBodyBytes} bytes`)
    if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return yield* refused(tooLarge)
    const text = yield* request.text.pipe(
      HttpIncomingMessage.withMaxBodySize(Option.some(FileSystem.Size(maxBodyBytes))),
      Effect.mapError(() => tooLarge)
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

const publishOne = (eventType: string, body: object, path: object) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    for (const name of Object.keys(path)) {
      if (name in body) return yield* refused(problem(400, "InvalidField", `${name}: is in the path already`, name))
    }
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
          const body = yield* json(request)
          if (isEvents(body)) {
            if (body.length < 1 || body.length > MAX_EVENTS) {
              return yield* refused(
                problem(400, "InvalidField", `an array must have 1 to ${MAX_EVENTS} events, has ${body.length}`)
              )
            }
            const offsets = yield* sync.broadcastAll(body).pipe(Effect.mapError((error) => notPublished(error, false)))
            return acceptedAs({ offsets })
          }
          const event = yield* fields(body)
          const offset = yield* sync
            .broadcast({ eventType: "", payload: undefined, ...event })
            .pipe(Effect.mapError((error) => notPublished(error, false)))
          return acceptedAs({ offsets: [offset] })
        })
      )
    )
    .handleRaw("publishAgentStatus", ({ path, request }) =>
      answer(
        Effect.flatMap(Effect.flatMap(json(request), fields), (body) => publishOne(AGENT_STATUS_UPDATE, body, path))
      )
    )
    .handleRaw("publishCommandStatus", ({ path, request }) =>
      answer(
        Effect.flatMap(Effect.flatMap(json(request), fields), (body) => publishOne(COMMAND_STATUS_UPDATE, body, path))
      )
    )
    .handleRaw("publishAgentCreate", ({ request }) =>
      answer(Effect.flatMap(Effect.flatMap(json(request), fields), (body) => publishOne(AGENT_CREATE, body, {})))
    )
)

const state = HttpApiBuilder.group(StratixApi, "state", (handlers) =>
  handlers.handleRaw("state", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const { entries, head } = yield* log.latest()
      const events = entries.map((entry) => EventLog.withOffset(entry))
      return HttpServerResponse.text(`{"head":${JSON.stringify(head)},"events":[${events.join(",")}]}`, {
        contentType: "application/json"
      })
    }).pipe(Effect.catchAll((error) => Effect.succeed(problem(503, error.reason, error.message))))
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

/** Refuses what web pages of other origins ask for, and says in JSON what is not found. */
const guard = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R | StatusSyncConfig.StatusSyncConfig> =>
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const request = yield* HttpServerRequest.HttpServerRequest
    const { localAddress } = NodeHttpServerRequest.toIncomingMessage(request).socket
    const { host, origin } = request.headers
    if (!Origin.isAllowed({ origin, host, local: Origin.isLoopback(localAddress ?? "") }, config.allowedOrigins)) {
      return problem(403, "Forbidden", `pages from ${origin} may not use this gateway: its origin is not allowed`)
    }
    const path = request.url.split("?", 1)[0]
    if (path === config.path) {
      return HttpServerResponse.setHeaders(
        problem(426, "UpgradeRequired", "this is a WebSocket: connect to it with new WebSocket(url)"),
        { upgrade: "websocket", connection: "Upgrade" }
      )
    }
    return yield* app
  })

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

const routes = HttpApiBuilder.middlewareOpenApi().pipe(
  Layer.provideMerge(Layer.provide(HttpApiBuilder.api(StratixApi), [publish, state, health])),
  Layer.provideMerge(
    Layer.mergeAll(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext)
  )
)

/** The routes as an `HttpApp`, for a host application to mount among its own.
 * @since 0.1.0
 * @category constructors */
export const app: Effect.Effect<HttpApp.Default, never, AppServices | Scope.Scope> = Effect.gen(function* () {
  const config = yield* Effect.context<StatusSyncConfig.StatusSyncConfig>()
  const context = yield* Layer.build(routes)
  const built = yield* Effect.provide(HttpApiBuilder.httpApp, context)
  return Effect.provide(guard(notFound(built)), Context.merge(config, context))
})

/** The routes on the `NodeServer`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<never, never, AppServices | NodeServer> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const server = yield* NodeServer
    const handler = yield* Effect.flatMap(app, (routes) => NodeHttpServer.makeHandler(routes))
    yield* Effect.acquireRelease(
      Effect.sync(() => server.on("request", handler)),
      () => Effect.sync(() => server.off("request", handler))
    )
  })
)
