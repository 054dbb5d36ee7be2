import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { Authenticator, StatusSyncService } from "../../src/stratix-gateway/index.js"
import { quiet } from "./support/gateway.js"

describe("the service without a server", () => {
  it.scopedLive("has the log of its settings", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<string>()
      // In the place of a Redis: it hears who comes, and hangs up.
      const engine = Net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.once("data", (text) => {
          Deferred.unsafeDone(asked, Effect.succeed(text.toString()))
          socket.destroy()
        })
      })
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => void engine.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.sync(() => engine.close())
      )
      const address = engine.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const service = StatusSyncService.layer({ eventLog: Redacted.make(`redis://127.0.0.1:${port}`) }).pipe(
        Layer.provide(Authenticator.layerAllowAll),
        Layer.provide(quiet)
      )
      const starting = yield* Effect.fork(Effect.scoped(Layer.build(service)))
      assert.include(yield* Deferred.await(asked), "CLIENT")
      yield* Fiber.interrupt(starting)
    })
  )
})
