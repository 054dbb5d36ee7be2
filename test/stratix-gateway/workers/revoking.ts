/** An application with workers, of which the one that an event names revokes a token. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { Authenticator, StatusSync, StatusSyncServer, StatusSyncWorkers } from "../../../src/stratix-gateway/index.js"

const revoking = Effect.gen(function* () {
  const { subscribe } = yield* StatusSync.StatusSync
  const { revoke } = yield* Authenticator.Authenticator
  const events = yield* subscribe
  yield* events.pipe(
    Stream.runForEach(({ payload }) => {
      const { name, pid } = Object(payload)
      return pid === process.pid ? revoke(String(name)) : Effect.void
    }),
    Effect.forkScoped
  )
})

const worker = Layer.scopedDiscard(revoking).pipe(Layer.provide(StatusSyncServer.layerStandAlone))

NodeRuntime.runMain(Layer.launch(StatusSyncWorkers.layerConfig(worker)))
