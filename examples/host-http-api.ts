/** A gateway on `HttpApiBuilder.serve`: one API, one OpenAPI document, and the WebSocket beside them. */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Layer, Schema } from "effect"
import { Authenticator, NodeServer, StatusSyncRoutes, StatusSyncService, StratixApi } from "stratix-status-sync"
import { echo, work } from "./host-own.js"

const Tasks = HttpApiGroup.make("tasks").add(HttpApiEndpoint.post("work", "/work").addSuccess(Schema.String))

class Api extends HttpApi.make("gateway").add(Tasks).addHttpApi(StratixApi.StratixApi) {}

const tasks = HttpApiBuilder.group(Api, "tasks", (handlers) => handlers.handle("work", () => work))

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
