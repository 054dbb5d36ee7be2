/**
 * A gateway of your own: your routes, your agents and the status sync on one server.
 * Copy it, and replace `routes` and `agent` by what your gateway does.
 */
import { fileURLToPath } from "node:url"
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import {
  Authenticator,
  GatewayHttp,
  NodeServer,
  StatusSync,
  StatusSyncConfig,
  StatusSyncServer
} from "stratix-status-sync"

/** Your own route, before all of the service's. Its Origin policy and its tokens guard the service's routes only: yours are yours to guard. */
const routes = Effect.map(GatewayHttp.app, (stratix) =>
  HttpRouter.empty.pipe(
    HttpRouter.get(
      "/dashboards",
      Effect.flatMap(StatusSync.StatusSync, ({ clientCount }) =>
        Effect.flatMap(clientCount, (connected) => HttpServerResponse.json({ connected }))
      )
    ),
    HttpRouter.all("*", stratix)
  )
)

/** One of your fibers: it tells what an agent does, the moment it does it. No dashboard can make it wait or fail. */
const agent = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.notifyAgentCreate("agent-001", "Scout", "researcher")
  for (let n = 1; ; n++) {
    yield* sync.notifyAgentStatus("agent-001", "busy")
    for (const progress of [0, 50]) {
      yield* sync.notifyCommandStatus(`cmd-${n}`, "agent-001", "running", progress)
      yield* Effect.sleep("1 second")
    }
    yield* sync.notifyCommandStatus(`cmd-${n}`, "agent-001", "success", 100, { found: n })
    yield* sync.notifyAgentStatus("agent-001", "online")
    yield* Effect.sleep("1 second")
  }
})

const listen = Effect.gen(function* () {
  const server = yield* NodeServer.NodeServer
  server.on("request", yield* NodeHttpServer.makeHandler(yield* routes))
  yield* Effect.log(`the gateway listens on port ${yield* NodeServer.listen}`)
})

/** The whole gateway: its server, the WebSocket on it, the routes, the agents. Settings come from the environment: without tokens it starts on loopback only. */
export const gateway = Layer.scopedDiscard(Effect.zipRight(listen, Effect.forkScoped(agent))).pipe(
  Layer.provideMerge(StatusSyncServer.layerMounted),
  Layer.provideMerge(Authenticator.layerLoopback),
  Layer.provideMerge(NodeServer.layer),
  Layer.provide(StatusSyncConfig.layerConfig)
)

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
