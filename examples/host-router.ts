/** A gateway on `HttpRouter`, whose own authentication stands before the WebSocket: who is let in, and what they see, is for it to say. */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { HttpMiddleware, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { Authenticator, Filter, NodeServer, StatusSyncRoutes, StatusSyncService } from "stratix-status-sync"
import { begin, echo } from "./host-own.js"

/** A session cookie, a certificate, the header of a proxy: what the gateway goes by. */
const user = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])

/** Each user may watch, and sees the agent in the path. */
const status = Effect.gen(function* () {
  const name = yield* user
  const { agent } = yield* HttpRouter.params
  if (name === undefined || agent === undefined) return HttpServerResponse.empty({ status: 401 })
  return yield* StatusSyncRoutes.upgrade({
    principal: { ...Authenticator.anonymous, name, permissions: new Set(["subscribe"]) },
    visible: Filter.fromFields({ agents: [agent] })
  })
})

const router = HttpRouter.empty.pipe(
  HttpRouter.get("/agents/:agent/status", status),
  HttpRouter.get("/echo", echo),
  HttpRouter.get("/client.js", StatusSyncRoutes.clientModule),
  HttpRouter.post("/work", Effect.map(begin, HttpServerResponse.text))
)

export const gateway = HttpServer.serve(router, HttpMiddleware.logger).pipe(
  StatusSyncRoutes.drained,
  Layer.provide(StatusSyncService.layerConfig),
  Layer.provide(Authenticator.layerDenyAll),
  Layer.provideMerge(NodeHttpServer.layerConfig(NodeServer.guard(createServer), { port: Config.integer("PORT") }))
)

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
