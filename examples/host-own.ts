/** What a gateway has anyway: work that its agents do, and a WebSocket of its own. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { StatusSync } from "stratix-status-sync"

/** An agent begins to work, and every dashboard shows it. */
export const begin = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.notifyAgentStatus("agent-001", "busy")
  return "agent-001 works"
}).pipe(Effect.orDie)

/** A WebSocket that says what it hears. */
export const echo = Effect.gen(function* () {
  const socket = yield* HttpServerRequest.upgrade
  const write = yield* socket.writer
  yield* socket.runRaw(write)
  return HttpServerResponse.empty()
}).pipe(Effect.scoped, Effect.orDie)
