/**
 * The service as a guest: its WebSocket as a route, its HTTP API as groups, of an application that serves.
 *
 * The server must be `NodeServer.guard(createServer)`, and what serves must be `drained`.
 *
 * @since 0.1.0
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Handshake from "./admission/Handshake.js"
import * as ClientModule from "./api/http/files/ClientModule.js"
import * as Groups from "./api/http/Groups.js"
import * as Problem from "./api/http/Problem.js"
import * as StreamRoute from "./api/http/read/StreamRoute.js"
import { routerConfig } from "./api/http/StratixApi.js"
import * as Connections from "./api/websocket/Connections.js"
import * as UpgradeGuard from "./transport/UpgradeGuard.js"
import * as WebSockets from "./transport/WebSockets.js"

/** Provided by `drained` alone, so that an application which mounts the WebSocket and does not drain it does not compile.
 * @since 0.1.0
 * @category tags */
export class Drained extends Context.Tag("stratix/Drained")<Drained, true>() {}

/** What the WebSocket needs as a route.
 * @since 0.1.0
 * @category models */
export type RouteServices = Connections.Connections | WebSockets.WebSockets | Drained

const NOT_GUARDED =
  "the node server must be made by NodeServer.guard(createServer): the WebSocket is refused on any other"

const notGuarded = Effect.as(Effect.logError(NOT_GUARDED), Problem.response(500, "NotGuarded", NOT_GUARDED))

/**
 * Takes an upgrade behind routes, middleware and authentication of the host application, which says whom it authenticated and what they may see;
 * without a principal the `Authenticator` decides. Requests are not logged by the platform: their URL may contain a token.
 *
 * @example
 * ```ts
 * HttpRouter.get("/tenants/:tenant/status", Effect.flatMap(CurrentUser, (user) =>
 *   StatusSyncRoutes.upgrade({ principal: user.principal, visible: user.visible })
 * ))
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const upgrade = (
  host: Handshake.HostDecision = {}
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, RouteServices | HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function* () {
    yield* Drained
    const connections = yield* Connections.Connections
    const { accept } = yield* WebSockets.WebSockets
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* FiberRef.set(HttpMiddleware.loggerDisabled, true)
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    // `Upgrade` without `Connection` arrives as plain HTTP.
    if (!("upgrade" in source && source.upgrade === true)) return Problem.upgradeRequired
    const upgrade = UpgradeGuard.upgradeOf(source)
    if (upgrade === undefined) return yield* notGuarded
    if (upgrade.socket.destroyed) return yield* Effect.interrupt
    const response = NodeHttpServerRequest.toServerResponse(request)
    const decision = connections.decide(UpgradeGuard.upgradeRequest(upgrade), host)
    return yield* Effect.matchEffect(decision, {
      onFailure: ({ body, headers, status }) =>
        Effect.succeed(
          HttpServerResponse.text(body, {
            status,
            contentType: "application/json",
            headers: { ...headers, connection: "close" }
          })
        ),
      onSuccess: (admission) =>
        Effect.try({
          try: () => {
            // The platform has an answer under way on this socket: ended without it, nothing of it is written into the WebSocket.
            if (response.socket !== null) response.detachSocket(response.socket)
            response.removeAllListeners("finish")
            response.end()
            UpgradeGuard.takeOver(upgrade, (taken) => accept(taken, admission, connections))
            return HttpServerResponse.empty({ status: 101 })
          },
          catch: (defect) => {
            upgrade.socket.destroy()
            return defect
          }
        }).pipe(Effect.orDie)
    })
    // A client that leaves meanwhile must not keep its permit; the decision has a timeout of its own.
  }).pipe(Effect.uninterruptible)

/**
 * Answers with an event stream behind routes, middleware and authentication of the host application, as `upgrade` does for a WebSocket.
 *
 * @since 0.1.0
 * @category handlers
 */
export const stream = (
  host: Handshake.HostDecision = {}
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  Connections.Connections | Drained | HttpServerRequest.HttpServerRequest | Scope.Scope
> => Effect.zipRight(Drained, StreamRoute.serve(host))

/** The WebSocket, or the event stream, at a path.
 * @since 0.1.0
 * @category models */
export interface RouteOptions extends Handshake.HostDecision {
  readonly path: `/${string}`
}

/** The WebSocket as a route of `HttpLayerRouter`.
 * @since 0.1.0
 * @category layers */
export const layer = ({
  path,
  ...host
}: RouteOptions): Layer.Layer<never, never, HttpLayerRouter.HttpRouter | RouteServices> =>
  HttpLayerRouter.use((router) =>
    Effect.flatMap(Effect.context<RouteServices>(), (context) =>
      router.add("GET", path, Effect.provide(upgrade(host), context))
    )
  )

/** The event stream as a route of `HttpLayerRouter`.
 * @since 0.1.0
 * @category layers */
export const layerStream = ({
  path,
  ...host
}: RouteOptions): Layer.Layer<
  never,
  never,
  HttpLayerRouter.HttpRouter | Exclude<RouteServices, WebSockets.WebSockets>
> =>
  HttpLayerRouter.use((router) =>
    Effect.flatMap(Effect.context<Exclude<RouteServices, WebSockets.WebSockets>>(), (context) =>
      router.add("GET", path, Effect.provide(stream(host), context))
    )
  )

/** The WebSocket as a route of `HttpRouter`, for `HttpRouter.fromIterable` and `HttpRouter.concat`.
 * @since 0.1.0
 * @category routes */
export const route = ({ path, ...host }: RouteOptions): HttpRouter.Route<never, RouteServices> =>
  HttpRouter.makeRoute("GET", path, upgrade(host))

/** The WebSocket as a route of `HttpApiBuilder.serve`.
 * @since 0.1.0
 * @category layers */
export const layerHttpApi = ({ path, ...host }: RouteOptions): Layer.Layer<never, never, RouteServices> =>
  HttpApiBuilder.Router.use((router) =>
    Effect.flatMap(Effect.context<RouteServices>(), (context) =>
      router.get(path, Effect.provide(upgrade(host), context))
    )
  )

/** The browser client as one module, as it is at `GET /client.js` on the service's own server; CORS is the host's to add.
 *
 * @example
 * ```ts
 * HttpLayerRouter.add("GET", "/client.js", StatusSyncRoutes.clientModule)
 * ```
 *
 * @since 0.1.0
 * @category handlers */
export const clientModule: Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest
> = ClientModule.respond

/** The handlers of the groups `stratix.publish`, `stratix.state` and `stratix.stream`, in an API that has them by `.addHttpApi(StratixApi.StratixApi)`. Tokens and
 * the Origin and Host policies are as on the service's own server; CORS is the host's to add.
 * @since 0.1.0
 * @category layers */
export const groups = Groups.stratix

/** The handlers of the groups `stratix.operations` and `stratix.health`, in an API that has them by `.addHttpApi(StratixApi.OperationsApi)`.
 * @since 0.1.0
 * @category layers */
export const operations = Groups.operationsAndHealth

/** A client that cannot set headers may show its token among the subprotocols. */
const TOKEN_HEADER = "sec-websocket-protocol"

const carriesToken = ({ url }: HttpServerRequest.HttpServerRequest): boolean => {
  const query = url.indexOf("?")
  return query !== -1 && new URLSearchParams(url.slice(query)).has("token")
}

/** The limit of the platform's routers where none is set. */
const DEFAULT_PARAM_LENGTH = 100

const allowLongIds = <C extends { readonly maxParamLength?: number }>(config: C): C & typeof routerConfig => ({
  ...config,
  maxParamLength: Math.max(config.maxParamLength ?? DEFAULT_PARAM_LENGTH, routerConfig.maxParamLength)
})

/**
 * What serves, with what the service needs around it:
 * - before it stops listening, clients get what is pending and are told to come back (`Connections.drain`): built after `serve`, so ended before it;
 * - the host's traces show no token: requests with `token` in their query have no span of the platform, and `sec-websocket-protocol` is redacted;
 * - its routers take ids of 256 characters.
 *
 * @since 0.1.0
 * @category layers
 */
export const drained = <A, E, R>(
  serving: Layer.Layer<A, E, R>
): Layer.Layer<A, E, Exclude<R, Drained> | Connections.Connections> =>
  Layer.scopedDiscard(Effect.flatMap(Connections.Connections, ({ drain }) => Effect.addFinalizer(() => drain))).pipe(
    Layer.provideMerge(serving),
    Layer.provide(Layer.succeed(Drained, true)),
    Layer.provide(Layer.effect(HttpLayerRouter.RouterConfig, Effect.map(HttpLayerRouter.RouterConfig, allowLongIds))),
    Layer.locallyWith(HttpRouter.currentRouterConfig, allowLongIds),
    Layer.locallyWith(Headers.currentRedactedNames, (names) => [...names, TOKEN_HEADER]),
    Layer.locallyWith(
      HttpMiddleware.currentTracerDisabledWhen,
      (disabled) => (request: HttpServerRequest.HttpServerRequest) => disabled(request) || carriesToken(request)
    )
  )
