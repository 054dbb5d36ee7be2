/**
 * A gateway on all cores of a machine: four processes serve dashboards on one port, and the one that was started holds the log.
 * Settings come from the environment; STRATIX_EVENT_LOG puts the log in a file or in Redis.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { StatusSync, StatusSyncServer, StatusSyncWorkers } from "stratix-status-sync"

/** Runs in each worker, and what one of them publishes all have. What must be published once is for a program of its own, over HTTP. */
const agent = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const id = `agent-${process.pid}`
  yield* sync.notifyAgentCreate(id, `Process ${process.pid}`, "worker")
  yield* sync.notifyAgentStatus(id, "online")
})

/** Built in each worker, and not in the process that holds the log. */
const worker = Layer.effectDiscard(agent).pipe(Layer.provide(StatusSyncServer.layerStandAlone))

const gateway = StatusSyncWorkers.layerConfig(worker, { workers: 4 })

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway))
