/** A gateway on `HttpServer.serve`, at full speed: the server itself takes the upgrades to STRATIX_PATH, and the app all that is left. */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { Authenticator, StatusSyncHttpServer, StatusSyncService } from "stratix-status-sync"
import { begin, echo } from "./host-own.js"

const app = Effect.gen(function* () {
  const { method, url } = yield* HttpServerRequest.HttpServerRequest
  if (method === "POST" && url === "/work") return HttpServerResponse.text(yield* begin)
  if (url === "/echo") return yield* echo
  return HttpServerResponse.empty({ status: 404 })
})

export const gateway = HttpServer.serve(app).pipe(
  Layer.provideMerge(StatusSyncHttpServer.layerConfig(createServer, { port: Config.integer("PORT") })),
  Layer.provide(StatusSyncService.layerConfig),
  Layer.provide(Authenticator.layerConfig)
)

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
