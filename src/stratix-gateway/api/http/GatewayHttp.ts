/**
 * The HTTP routes at work: publish, state, connections, metrics, health, OpenAPI.
 *
 * @since 0.1.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Limits from "../../admission/Limits.js"
import type * as Authenticator from "../../auth/Authenticator.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import type * as Broadcast from "../../fanout/Broadcast.js"
import type * as EventLog from "../../log/EventLog.js"
import type * as MetricsCollector from "../../operations/MetricsCollector.js"
import type * as Refusals from "../../telemetry/Refusals.js"
import * as Tracing from "../../telemetry/Tracing.js"
import * as HttpPipeline from "../../transport/HttpPipeline.js"
import { NodeServer } from "../../transport/NodeServer.js"
import type * as Connections from "../websocket/Connections.js"
import type * as StatusSync from "../websocket/StatusSync.js"
import * as AsyncApiDocument from "./AsyncApiDocument.js"
import * as Dashboard from "./files/Dashboard.js"
import * as Groups from "./Groups.js"
import * as OpenApiDocument from "./OpenApiDocument.js"
import * as PagePolicy from "./PagePolicy.js"
import { guard } from "./RouteGuard.js"
import * as StreamRoute from "./read/StreamRoute.js"
import { GatewayApi, routerConfig } from "./StratixApi.js"

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

const routes = Layer.merge(OpenApiDocument.layer, AsyncApiDocument.layer).pipe(
  Layer.provideMerge(
    Layer.provide(HttpApiBuilder.api(GatewayApi), [Groups.stratix(GatewayApi), Groups.operationsAndHealth(GatewayApi)])
  ),
  Layer.provideMerge(
    Layer.mergeAll(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext)
  )
)

/** The routes as an `HttpApp`, for a host application to mount among its own.
 * @since 0.1.0
 * @category constructors */
export const app: Effect.Effect<HttpApp.Default, never, AppServices | Scope.Scope> = Effect.gen(function* () {
  const context = yield* Layer.build(routes)
  const built = yield* Effect.provide(HttpApiBuilder.httpApp, context).pipe(
    HttpRouter.withRouterConfig({ ...routerConfig, caseSensitive: true, ignoreDuplicateSlashes: false })
  )
  const { dashboard, path } = yield* StatusSyncConfig.StatusSyncConfig
  return Effect.provide(
    guard(built, {
      check: yield* PagePolicy.make,
      dashboard: dashboard ? yield* Dashboard.make(path) : Dashboard.none,
      path
    }),
    context
  )
})

/** Routes that machines ask for every few seconds, whose traces tell nothing; and the stream, whose handshake has a span of its own, without the token that its URL may contain. */
const UNTRACED: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics", StreamRoute.PATH])

/** Serves the routes, in the trace of the caller. Where nothing records spans, without the span that the platform would make for each request. */
const handler = Effect.gen(function* () {
  const served = yield* app
  const tracer = yield* Tracing.listening
  return yield* HttpMiddleware.withTracerDisabledWhenEffect(
    NodeHttpServer.makeHandler(served),
    ({ headers, url }) =>
      tracer === undefined ||
      UNTRACED.has(url.split("?", 1)[0] ?? "") ||
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
