/** Follows a gateway from an Effect program. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import * as StatusStream from "stratix-status-sync/client-effect"

const program = Effect.gen(function* () {
  const { events, freshness, state } = yield* StatusStream.StatusStream
  yield* freshness.changes.pipe(
    Stream.runForEach(({ _tag }) => Effect.log(_tag)),
    Effect.forkScoped
  )
  yield* events.pipe(
    Stream.filter(({ eventType }) => eventType === "stratix:agent_status_update"),
    Stream.runForEach(() => Effect.flatMap(state.get, ({ agents }) => Effect.log(`${agents.size} agents`)))
  )
})

// Connected for as long as the program runs. Node 20 has no WebSocket of its own: give it the one of `ws` as `WebSocket`.
NodeRuntime.runMain(Effect.scoped(program).pipe(Effect.provide(StatusStream.layer({ url: "ws://127.0.0.1:3001/" }))))
