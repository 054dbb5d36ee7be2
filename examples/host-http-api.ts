/** A gateway on `HttpApiBuilder.serve`: one API, one OpenAPI document, and the WebSocket beside them. */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "@effect/platform"
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

export const gateway = HttpApiBuilder.serve().pipe(
  Layer.provide([
    HttpApiBuilder.middlewareOpenApi(),
    StatusSyncRoutes.layerHttpApi({ path: "/status" }),
    HttpApiBuilder.Router.use((router) => router.get("/echo", echo))
  ]),
  Layer.provide(HttpApiBuilder.api(Api).pipe(Layer.provide([tasks, StatusSyncRoutes.groups(Api)]))),
  StatusSyncRoutes.drained,
  Layer.provide(StatusSyncService.layerConfig),
  Layer.provide(Authenticator.layerConfig),
  Layer.provideMerge(NodeHttpServer.layerConfig(NodeServer.guard(createServer), { port: Config.integer("PORT") }))
)

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
