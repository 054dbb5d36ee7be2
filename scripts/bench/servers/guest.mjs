/** This package as a guest, on the kind of host that the command line names, from what `npm run build` made. */
import { createServer } from "node:http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpLayerRouter,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import {
  Authenticator,
  NodeServer,
  StatusSync,
  StatusSyncHttpServer,
  StatusSyncRoutes,
  StatusSyncService
} from "../../../dist/stratix-gateway/index.js"
import { serve } from "./harness.mjs"

const LISTEN = { port: 0, host: "127.0.0.1" }
const guarded = NodeHttpServer.layer(NodeServer.guard(createServer), LISTEN)
const { drained, layer, layerHttpApi, route } = StatusSyncRoutes

/** A WebSocket as the platform makes it, which is greeted and then does nothing. */
const platform = Effect.gen(function* () {
  const socket = yield* Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ upgrade }) => upgrade)
  const write = yield* socket.writer
  yield* Effect.forkScoped(write("welcome"))
  yield* socket.runRaw(() => undefined)
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const hosts = {
  "http-layer-router": () =>
    HttpLayerRouter.serve(layer({ path: "/" }), { disableListenLog: true }).pipe(drained, Layer.provideMerge(guarded)),
  "http-api": () =>
    HttpApiBuilder.serve().pipe(
      Layer.provide(layerHttpApi({ path: "/" })),
      Layer.provide(HttpApiBuilder.api(HttpApi.make("empty"))),
      drained,
      Layer.provideMerge(guarded)
    ),
  "http-router": () =>
    HttpServer.serve(HttpRouter.fromIterable([route({ path: "/" })])).pipe(drained, Layer.provideMerge(guarded)),
  "http-server": () =>
    HttpServer.serve(HttpRouter.empty).pipe(Layer.provideMerge(StatusSyncHttpServer.layer(createServer, LISTEN))),
  "platform-upgrade": () =>
    HttpServer.serve(HttpRouter.empty.pipe(HttpRouter.get("/", platform))).pipe(Layer.provideMerge(guarded))
}

serve(async () => {
  const runtime = ManagedRuntime.make(
    hosts[process.argv[2]]().pipe(
      // Off, as nobody else limits how fast clients come.
      Layer.provideMerge(StatusSyncService.layer({ handshakeRate: 0 })),
      Layer.provide(Authenticator.layerAllowAll)
    )
  )
  const { http, status } = await runtime.runPromise(
    Effect.all({ http: HttpServer.HttpServer, status: StatusSync.StatusSync })
  )
  const notify = (agentId) => status.notifyAgentStatus(agentId, "busy")
  return {
    port: http.address._tag === "TcpAddress" ? http.address.port : 0,
    publish: (agentIds) => runtime.runSync(Effect.forEach(agentIds, notify, { discard: true }))
  }
})
