/** A gateway on `HttpLayerRouter`: the service's groups are in its own API, and in its one OpenAPI document. */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpLayerRouter, OpenApi } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Layer, Schema } from "effect"
import { Authenticator, NodeServer, StatusSyncRoutes, StatusSyncService, StratixApi } from "stratix-status-sync"
import { begin, echo } from "./host-own.js"

const work = HttpApiEndpoint.post("work", "/work")
  .annotate(OpenApi.Summary, "An agent begins")
  .addSuccess(Schema.String)

class Api extends HttpApi.make("gateway")
  .add(HttpApiGroup.make("tasks").add(work))
  .addHttpApi(StratixApi.StratixApi)
  .annotate(OpenApi.Servers, [{ url: "/" }]) {}

const tasks = HttpApiBuilder.group(Api, "tasks", (handlers) => handlers.handle("work", () => begin))

const routes = Layer.mergeAll(
  HttpLayerRouter.addHttpApi(Api, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide([tasks, StatusSyncRoutes.groups(Api)])
  ),
  HttpLayerRouter.add("GET", "/echo", echo),
  HttpLayerRouter.add("GET", "/client.js", StatusSyncRoutes.clientModule),
  StatusSyncRoutes.layer({ path: "/status" })
)

export const gateway = HttpLayerRouter.serve(routes).pipe(
  StatusSyncRoutes.drained,
  Layer.provide(StatusSyncService.layerConfig),
  Layer.provide(Authenticator.layerConfig),
  Layer.provideMerge(NodeHttpServer.layerConfig(NodeServer.guard(createServer), { port: Config.integer("PORT") }))
)

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
