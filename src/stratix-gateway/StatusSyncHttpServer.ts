/**
 * An `HttpServer` that takes the upgrades to the WebSocket's path itself.
 *
 * The host application serves on it as on any other and needs no route and no `drained`. Upgrades never reach the platform, so they
 * cost what they cost on the service's own server; they also pass by the host's middleware.
 *
 * @since 0.1.0
 */
import type * as Http from "node:http"
import type { ListenOptions } from "node:net"
import * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Connections from "./api/websocket/Connections.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as TransportWs from "./transport/TransportWs.js"
import * as UpgradeGuard from "./transport/UpgradeGuard.js"
import type * as WebSockets from "./transport/WebSockets.js"

/** What it takes from the service: `StatusSyncService` provides it.
 * @since 0.1.0
 * @category models */
export type Requirements = StatusSyncConfig.StatusSyncConfig | Connections.Connections | WebSockets.WebSockets

const make = (evaluate: () => Http.Server, options: ListenOptions) =>
  Effect.gen(function* () {
    const { path } = yield* StatusSyncConfig.StatusSyncConfig
    const { accept, decide, drain } = yield* Connections.Connections
    const take = yield* TransportWs.upgrader({ accept, decide: (request) => decide(request) })
    const guarded = UpgradeGuard.guard(evaluate, (upgrade) => {
      const isOurs =
        upgrade.request.url?.split("?", 1)[0] === path && upgrade.request.headers.upgrade?.toLowerCase() === "websocket"
      if (isOurs) take(upgrade)
      return isOurs
    })
    const server = yield* NodeHttpServer.make(guarded, options)
    return HttpServer.make({
      address: server.address,
      // The drain is added last, so it comes first.
      serve: (app, middleware) =>
        Effect.zipRight(
          middleware === undefined ? server.serve(app) : server.serve(app, middleware),
          Effect.addFinalizer(() => drain)
        )
    })
  })

/**
 * Listens by these options; the WebSocket is at the `path` of the settings.
 *
 * @example
 * ```ts
 * const Main = HttpServer.serve(app).pipe(
 *   Layer.provide(StatusSyncHttpServer.layer(createServer, { port: 3001 })),
 *   Layer.provide(StatusSyncService.layer({ path: "/status" })),
 *   Layer.provide(Authenticator.layerTokensFile("tokens.json"))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  evaluate: () => Http.Server,
  options: ListenOptions
): Layer.Layer<
  HttpServer.HttpServer | Layer.Layer.Success<typeof NodeHttpServer.layerContext>,
  ServeError,
  Requirements
> => Layer.merge(Layer.scoped(HttpServer.HttpServer, make(evaluate, options)), NodeHttpServer.layerContext)

/** Listens by a `Config`; the WebSocket is at the `path` of the settings.
 * @since 0.1.0
 * @category layers */
export const layerConfig = (
  evaluate: () => Http.Server,
  options: Config.Config.Wrap<ListenOptions>
): Layer.Layer<
  HttpServer.HttpServer | Layer.Layer.Success<typeof NodeHttpServer.layerContext>,
  ServeError | ConfigError,
  Requirements
> =>
  Layer.merge(
    Layer.scoped(
      HttpServer.HttpServer,
      Effect.flatMap(Config.unwrap(options), (unwrapped) => make(evaluate, unwrapped))
    ),
    NodeHttpServer.layerContext
  )
