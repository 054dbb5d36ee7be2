/**
 * The HTTP routes at work: publish, state, connections, metrics, health, OpenAPI.
 *
 * @since 0.1.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { MAX_ID_LENGTH } from "../../../stratix-core/stratix-protocol.js"
import type * as Limits from "../../admission/Limits.js"
import type * as Authenticator from "../../auth/Authenticator.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as Broadcast from "../../fanout/Broadcast.js"
import * as EventLog from "../../log/EventLog.js"
import * as MetricsCollector from "../../operations/MetricsCollector.js"
import { version } from "../../runtime/Version.js"
import * as Prometheus from "../../telemetry/Prometheus.js"
import type * as Refusals from "../../telemetry/Refusals.js"
import * as Tracing from "../../telemetry/Tracing.js"
import * as HttpPipeline from "../../transport/HttpPipeline.js"
import { NodeServer } from "../../transport/NodeServer.js"
import * as Connections from "../websocket/Connections.js"
import type * as StatusSync from "../websocket/StatusSync.js"
import * as ConnectionReports from "./ConnectionReports.js"
import { CurrentPrincipal } from "./CurrentPrincipal.js"
import * as Dashboard from "./Dashboard.js"
import * as Problem from "./Problem.js"
import * as PublishRoutes from "./PublishRoutes.js"
import * as RouteAuth from "./RouteAuth.js"
import { guard } from "./RouteGuard.js"
import { StratixApi } from "./StratixApi.js"

const state = HttpApiBuilder.group(StratixApi, "state", (handlers) =>
  handlers.handleRaw("state", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const { principal } = yield* CurrentPrincipal
      const { entries, head } = yield* log.latest(principal.visible)
      const events = entries.map((entry) => EventLog.withOffset(entry))
      return HttpServerResponse.text(`{"head":${JSON.stringify(head)},"events":[${events.join(",")}]}`, {
        contentType: "application/json"
      })
    }).pipe(Effect.catchAll((error) => Effect.succeed(Problem.response(503, error.reason, error.message))))
  )
)

/** Prefix of the gateway's own metrics: a host application has others in the same registry, and an exporter of its own for them. */
const OWN_METRICS = "stratix_"

const operations = HttpApiBuilder.group(StratixApi, "operations", (handlers) =>
  handlers
    .handleRaw("connections", () =>
      Effect.map(ConnectionReports.json, (text) => HttpServerResponse.text(text, { contentType: "application/json" }))
    )
    .handleRaw("metrics", () =>
      Effect.gen(function* () {
        const { metrics } = yield* StatusSyncConfig.StatusSyncConfig
        if (!metrics) return Problem.response(404, "NotFound", "metrics are switched off: STRATIX_METRICS is false")
        yield* Effect.flatMap(MetricsCollector.MetricsCollector, ({ collect }) => collect)
        return HttpServerResponse.text(Prometheus.render(yield* Metric.snapshot, OWN_METRICS), {
          contentType: Prometheus.CONTENT_TYPE
        })
      })
    )
)

const health = HttpApiBuilder.group(StratixApi, "health", (handlers) =>
  handlers
    .handle("healthz", () =>
      Effect.flatMap(Broadcast.Broadcast, ({ isFailing }) =>
        isFailing()
          ? Effect.fail({ status: "failing" as const, version })
          : Effect.succeed({ status: "ok" as const, version })
      )
    )
    .handle("readyz", () =>
      Effect.gen(function* () {
        const connections = yield* Connections.Connections
        return (yield* connections.accepting)
          ? { status: "ok" as const }
          : yield* Effect.fail({ status: "draining" as const })
      })
    )
)

/** What the routes need.
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
  Layer.provideMerge(Layer.provide(HttpApiBuilder.api(StratixApi), [PublishRoutes.layer, state, operations, health])),
  Layer.provide(RouteAuth.layer),
  Layer.provideMerge(
    Layer.mergeAll(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext)
  )
)

/** The most characters that one UTF-16 unit of an id takes in a path: three bytes, each as `%XX`. The router's own limit of 100 would answer longer ids with 404. */
const ENCODED_LENGTH = 9

/** The routes as an `HttpApp`, for a host application to mount among its own.
 * @since 0.1.0
 * @category constructors */
export const app: Effect.Effect<HttpApp.Default, never, AppServices | Scope.Scope> = Effect.gen(function* () {
  const given = yield* Effect.context<StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals>()
  const context = yield* Layer.build(routes)
  const built = yield* Effect.provide(HttpApiBuilder.httpApp, context).pipe(
    HttpRouter.withRouterConfig({
      maxParamLength: MAX_ID_LENGTH * ENCODED_LENGTH,
      caseSensitive: true,
      ignoreDuplicateSlashes: false
    })
  )
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const dashboard = config.dashboard ? yield* Dashboard.make(config.path) : Dashboard.none
  return Effect.provide(guard(built, dashboard), Context.merge(given, context))
})

/** Routes that machines ask for every few seconds, whose traces tell nothing. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"])

/** Serves the routes, in the trace of the caller. Where nothing records spans, without the span that the platform would make for each request. */
const handler = Effect.gen(function* () {
  const served = yield* app
  const tracer = yield* Tracing.listening
  return yield* HttpMiddleware.withTracerDisabledWhenEffect(
    NodeHttpServer.makeHandler(served),
    ({ headers, url }) =>
      tracer === undefined ||
      PROBES.has(url.split("?", 1)[0] ?? "") ||
      // A caller that does not record its trace does not want it recorded here.
      Tracing.callerOf(headers)?.sampled === false
  )
})

/** The routes on the `NodeServer`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<never, never, AppServices | NodeServer> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const server = yield* NodeServer
    const onRequest = yield* Effect.flatMap(handler, HttpPipeline.make)
    yield* Effect.acquireRelease(
      Effect.sync(() => server.on("request", onRequest)),
      () => Effect.sync(() => server.off("request", onRequest))
    )
  })
)
