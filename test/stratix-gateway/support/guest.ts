import { createServer } from "node:http"
import { type Etag, type FileSystem, HttpLayerRouter, type HttpPlatform, HttpServer, type Path } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import {
  Authenticator,
  NodeServer,
  type StatusSyncConfig,
  StatusSyncRoutes,
  StatusSyncService
} from "../../../src/stratix-gateway/index.js"
import { TestClientsWs } from "../../../src/stratix-testing/index.js"
import { quiet } from "./gateway.js"

/** A guarded server on a free port. */
export const server = NodeHttpServer.layer(NodeServer.guard(createServer), { port: 0, host: "127.0.0.1" })

/** No rates, and no wait for clients at the end, because a test's clock may stand still. */
export const settingsOf = (settings: Partial<StatusSyncConfig.Settings> = {}): Partial<StatusSyncConfig.Settings> => ({
  drainTimeout: "0 millis",
  handshakeRate: 0,
  publishRate: 0,
  ...settings
})

/** The path of the WebSocket in the hosts of the tests. */
export const PATH = "/status"

/** What serves, with the service and clients of `path`. */
export const hostOf = <E, R>(
  serving: Layer.Layer<never, E, R>,
  settings: Partial<StatusSyncConfig.Settings> = {},
  authenticator: Layer.Layer<Authenticator.Authenticator> = Authenticator.layerAllowAll
) =>
  serving.pipe(
    StatusSyncRoutes.drained,
    Layer.provideMerge(TestClientsWs.layerHttpServer(PATH)),
    Layer.provideMerge(StatusSyncService.layer(settingsOf(settings))),
    Layer.provideMerge(authenticator),
    Layer.provideMerge(server),
    Layer.provide(quiet)
  )

/** The same on `HttpLayerRouter`. */
export const layerRouterOf = (
  routes: Layer.Layer<
    never,
    never,
    | HttpLayerRouter.HttpRouter
    | StatusSyncRoutes.RouteServices
    | Layer.Layer.Success<ReturnType<typeof StatusSyncService.layer>>
    | Authenticator.Authenticator
    | Etag.Generator
    | FileSystem.FileSystem
    | HttpPlatform.HttpPlatform
    | Path.Path
  > = StatusSyncRoutes.layer({ path: PATH }),
  settings: Partial<StatusSyncConfig.Settings> = {},
  authenticator?: Layer.Layer<Authenticator.Authenticator>
) => hostOf(HttpLayerRouter.serve(routes, { disableListenLog: true }), settings, authenticator)

/** The port of the host. */
export const hostPort = Effect.map(HttpServer.HttpServer, ({ address }) =>
  address._tag === "TcpAddress" ? address.port : 0
)

/** A request to the host. */
export const call = (path: string, init: RequestInit = {}) =>
  Effect.flatMap(hostPort, (port) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
      return { status: response.status, headers: response.headers, text: await response.text() }
    })
  )
