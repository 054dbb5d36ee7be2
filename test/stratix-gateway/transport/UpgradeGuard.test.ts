import * as Http from "node:http"
import { type Duplex, Readable } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Scope } from "effect"
import { Authenticator, NodeServer, StatusSyncConfig, StatusSyncServer } from "../../../src/stratix-gateway/index.js"
import { collectGarbage } from "../../support/garbage.js"
import { quiet } from "../support/gateway.js"
import { connected, read, requestText, UPGRADE } from "../support/rawSocket.js"

const listening = (server: Http.Server) =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close().closeAllConnections())
  )

/** A guarded server, not yet served by anyone. */
const guarded = Effect.map(Effect.sync(NodeServer.guard(Http.createServer)), (server) => ({
  server,
  start: listening(server)
}))

describe("a guarded server", () => {
  it.scopedLive("answers with 503 while nothing serves, and lets what serves answer", () =>
    Effect.gen(function* () {
      const { server, start } = yield* guarded
      const port = yield* start
      const answers = Effect.forEach([requestText("/", { connection: "close" }), requestText("/", UPGRADE)], (text) =>
        Effect.flatMap(connected(port, text), (socket) => read(socket))
      )
      for (const answer of yield* answers) {
        assert.match(answer, /^HTTP\/1.1 503 [\s\S]*retry-after: 1[\s\S]*connection: close/i)
        assert.include(answer, '{"error":"closing","message":"the gateway is going away"}')
      }
      server.on("request", (_request, response) => response.end("served"))
      server.on("upgrade", (_request, socket) => socket.end("taken"))
      const [plain, upgrade] = yield* answers
      assert.match(plain ?? "", /^HTTP\/1.1 200 [\s\S]*served/)
      assert.strictEqual(upgrade, "taken")
    })
  )

  it.scopedLive("ends the socket of an upgrade that was answered, though its client keeps it", () =>
    Effect.gen(function* () {
      const { server, start } = yield* guarded
      server.on("upgrade", (_request, socket) => socket.end("no"))
      const socket = yield* connected(yield* start, requestText("/", UPGRADE))
      yield* read(socket)
      yield* Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
    })
  )

  it.scopedLive("gives the whole of a long answer before it announces the upgrade pipelined behind it", () =>
    Effect.gen(function* () {
      const { server, start } = yield* guarded
      const part = "x".repeat(64 * 1024)
      const parts = 32
      server.on("request", (_request, response: Http.ServerResponse) => {
        Readable.from(Array.from({ length: parts }, () => part)).pipe(response)
      })
      server.on("upgrade", (_request, socket) => socket.end("taken"))
      const answer = yield* read(yield* connected(yield* start, requestText("/") + requestText("/", UPGRADE)))
      assert.isAbove(answer.length, parts * part.length)
      assert.match(answer, /\r\n0\r\n\r\ntaken$/)
    })
  )

  it.scopedLive("keeps nothing of requests whose socket lives on", () =>
    Effect.gen(function* () {
      const { server, start } = yield* guarded
      const requests: Array<WeakRef<object>> = []
      const announced = yield* Deferred.make<Duplex>()
      server.on("request", (request, response: Http.ServerResponse) => {
        requests.push(new WeakRef(request), new WeakRef(response))
        response.end("served")
      })
      server.on("upgrade", (request, upgraded) => {
        requests.push(new WeakRef(request))
        Deferred.unsafeDone(announced, Effect.succeed(upgraded))
      })
      yield* connected(yield* start, requestText("/") + requestText("/", UPGRADE))
      const upgraded = yield* Deferred.await(announced)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collectGarbage()
      assert.deepStrictEqual(
        requests.map((request) => request.deref()),
        [undefined, undefined, undefined]
      )
      assert.isFalse(upgraded.destroyed)
    })
  )

  it.scopedLive("survives a reset between an upgrade and whatever becomes of it", () =>
    Effect.gen(function* () {
      const { server, start } = yield* guarded
      const announced = yield* Deferred.make<Duplex>()
      server.on("upgrade", (_request, upgraded) => Deferred.unsafeDone(announced, Effect.succeed(upgraded)))
      const socket = yield* connected(yield* start, requestText("/", UPGRADE))
      // Nobody listens for its errors but the guard.
      const upgraded = yield* Deferred.await(announced)
      const closed = new Promise((resolve) => upgraded.resume().once("close", resolve))
      socket.resetAndDestroy()
      yield* Effect.promise(() => closed)
    })
  )
})

describe("the service on a node server of its host", () => {
  it.live("guards it, and leaves it as it found it", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const listeners = () => ["request", "upgrade", "listening"].map((event) => server.listenerCount(event))
      const { emit } = server
      const before = listeners()
      const scope = yield* Scope.make()
      yield* StatusSyncServer.layerMounted.pipe(
        Layer.provide(Authenticator.layerAllowAll),
        Layer.provide(Layer.succeed(NodeServer.NodeServer, server)),
        Layer.provide(StatusSyncConfig.layer({ drainTimeout: "0 millis" })),
        Layer.provide(quiet),
        Layer.build,
        Scope.extend(scope)
      )
      assert.notStrictEqual(server.emit, emit)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(listeners(), before)
      assert.strictEqual(server.emit, emit)
    })
  )
})
