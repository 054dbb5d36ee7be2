import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import {
  Connections,
  NodeServer,
  StatusSync,
  type StatusSyncConfig,
  StatusSyncServer
} from "../../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../../support/waiting.js"
import { quiet } from "../../support/gateway.js"

const ws = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second", ...settings }), quiet)

describe("the gateway's own ends", () => {
  it.live("a port in use fails the start, and says which and what to do", () =>
    Effect.gen(function* () {
      const taken = Net.createServer()
      yield* Effect.async<void>((resume) => {
        taken.listen(0, "127.0.0.1", () => resume(Effect.void))
      })
      const address = taken.address()
      const inUse = typeof address === "object" && address !== null ? address.port : 0
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(StatusSyncServer.layerLoopback({ port: inUse }))))
      taken.close()
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) {
        const [error] = Chunk.toReadonlyArray(Cause.failures(exit.cause))
        assert.strictEqual(error?._tag, "ListenError")
        assert.match(error?.message ?? "", new RegExp(`127.0.0.1:${inUse} is already in use.*STRATIX_PORT`))
      }
    }).pipe(Effect.provide(quiet))
  )

  it.live("publishing goes on while it closes, and afterwards fails with a reason instead of hanging", () =>
    Effect.gen(function* () {
      let late: Effect.Effect<unknown, StatusSync.PublishError> = Effect.void
      yield* Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const connections = yield* Connections.Connections
        const client = yield* TestClients.connect()
        late = sync.notifyAgentStatus("late", "busy")
        yield* sync.notifyAgentStatus("before", "busy")
        yield* connections.drain
        yield* sync.notifyAgentStatus("during", "busy")
        // What was published before the drain is not lost.
        const [, event] = yield* client.takeN(2)
        assert.deepStrictEqual(event?.payload, { agentId: "before", status: "busy" })
        assert.strictEqual((yield* client.closed).code, 1001)
        const refused = yield* Effect.flip(TestClients.connect())
        assert.strictEqual(refused.status, 503)
      }).pipe(Effect.provide(ws()))
      const error = yield* Effect.flip(late)
      assert.deepInclude(error, { _tag: "PublishError", reason: "Closed" })
    })
  )

  it.live(
    "after 1,000 connect and kill cycles, connections, fibers, timers and listeners are as at the start",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const server = yield* NodeServer.NodeServer
        const measure = Effect.gen(function* () {
          const { groups, stalled } = (yield* Broadcast.Broadcast).stats()
          const sockets = yield* Effect.async<number>((resume) => {
            server.getConnections((_error, count) => resume(Effect.succeed(count)))
          })
          return {
            clients: yield* sync.clientCount,
            groups,
            stalled,
            sockets,
            fibers: [...Fiber.unsafeRoots()].length,
            listeners: server.listenerCount("upgrade") + server.listenerCount("error") + server.listenerCount("close")
          }
        })
        const timers = Effect.sync(() => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length)
        const cycle = (i: number) =>
          Effect.gen(function* () {
            const client = yield* TestClients.connect({
              query: `agents=a${i}`,
              ...(i % 3 === 1 ? { stream: true } : i % 2 === 0 && { protocols: ["stratix.sync.v1"] })
            })
            if (i % 3 === 0) yield* client.take
            yield* sync.notifyAgentStatus(`a${i}`, "busy")
            // One that is frozen cannot read the answer to its close: it can only vanish.
            if (i % 4 === 0) yield* Effect.zipRight(client.freeze, client.drop)
            else if (i % 5 === 0) yield* client.close()
            else yield* client.drop
          })
        yield* Effect.forEach([1, 2, 3], cycle)
        yield* untilCount(0)
        const before = yield* measure
        const timersBefore = yield* timers
        yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, i) => i),
          cycle,
          { concurrency: 20 }
        )
        yield* untilCount(0)
        let after = yield* measure
        // The kernel tells the end of the last sockets a few turns later.
        for (let i = 0; i < 1000 && JSON.stringify(after) !== JSON.stringify(before); i++) {
          yield* nextTurn
          after = yield* measure
        }
        assert.deepStrictEqual(after, before)
        assert.isAtMost(yield* timers, timersBefore)
      }).pipe(Effect.provide(ws())),
    60_000
  )
})

describe("a consumer of joins and leaves", () => {
  it.effect("that falls more than 1,024 behind loses the oldest, never the newest", () =>
    Effect.gen(function* () {
      const connections = yield* Connections.Connections
      const go = yield* Deferred.make<void>()
      const consumed = yield* connections.changes.pipe(
        Stream.tap(() => Deferred.await(go)),
        Stream.take(1 + 1024),
        Stream.runCollect,
        Effect.fork
      )
      yield* nextTurn
      const first = yield* TestClients.connect()
      // It has the first one, and waits.
      yield* nextTurn
      yield* first.close()
      for (let n = 2; n <= 600; n++) yield* Effect.flatMap(TestClients.connect(), (client) => client.close())
      yield* Deferred.succeed(go, undefined)
      const seen = Chunk.toReadonlyArray(yield* Fiber.join(consumed)).map(
        ({ _tag, connection }) => `${_tag} ${connection.id}`
      )
      assert.deepStrictEqual([seen[0], seen[1], seen.at(-1)], ["Joined conn-1", "Joined conn-89", "Left conn-600"])
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layer, quiet)))
  )
})
