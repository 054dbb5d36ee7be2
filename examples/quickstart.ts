import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { StatusSync, StatusSyncServer } from "stratix-status-sync"

const program = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.notifyAgentCreate("agent-001", "Scout", "researcher")
  yield* sync.notifyAgentStatus("agent-001", "busy")
  yield* sync.notifyCommandStatus("cmd-001", "agent-001", "running", 40)
  yield* Effect.never
})

// Listens on 127.0.0.1:3001 for as long as the program runs.
NodeRuntime.runMain(Effect.provide(program, StatusSyncServer.layerLoopback({ port: 3001 })))
