import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { connect } from "../../../src/stratix-client/StatusClient.js"
import { canReusePort } from "../../../src/stratix-gateway/transport/NodeServer.js"
import { eventually } from "../support/redisLogs.js"
import * as Workers from "./gateway.js"

/** So many clients that a worker which stands still has some of them. */
const CLIENTS = 12

describe("clients of a worker that is killed -9 before it has answered them", () => {
  it.scopedLive(
    `are live at another one, ${canReusePort ? "as the system tells them at once" : "once their connect timeout is over"}`,
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* Workers.start()
        const [dies = 0] = Workers.workersOf(program)
        process.kill(dies, "SIGSTOP")
        const clients = yield* Effect.acquireRelease(
          Effect.sync(() =>
            Array.from({ length: CLIENTS }, () =>
              connect(`ws://127.0.0.1:${port}/`, {
                WebSocket,
                transport: "websocket",
                backoffBaseMs: 50,
                // Where the system tells them, none waits for it: it is longer than the test.
                connectTimeoutMs: canReusePort ? 2 * Workers.PATIENCE : 2000,
                onError: () => undefined
              })
            )
          ),
          (all) =>
            Effect.sync(() => {
              for (const { close } of all) close()
            })
        )
        const live = Effect.sync(() => clients.filter(({ freshness }) => freshness._tag === "live").length)
        // Those at the other worker.
        yield* eventually(live, (count) => count > 0)
        const before = yield* live
        assert.isBelow(before, CLIENTS)
        process.kill(dies, "SIGKILL")
        yield* eventually(live, (count) => count === CLIENTS)
      }),
    Workers.PATIENCE
  )
})
