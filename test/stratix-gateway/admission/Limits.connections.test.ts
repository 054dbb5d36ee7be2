import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import WebSocket from "ws"
import { Authenticator, Connections, NodeServer } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, port, recorded, refusal, refusedBy, secretOf, token } from "../support/gateway.js"
import { over, overWs } from "../support/gateways.js"

const from = (remoteAddress: string) => ({ remoteAddress })

describe("connections in total", () => {
  it.effect("above the limit are refused with 503 and Retry-After, until one leaves", () =>
    Effect.gen(function* () {
      const first = yield* TestClients.connect()
      yield* TestClients.connect(from("203.0.113.7"))
      const count = yield* refusedBy(
        "connections",
        Effect.gen(function* () {
          const refused = yield* refusal(from("203.0.113.8"))
          assert.deepStrictEqual([refused.status, refused.reason, refused.headers["retry-after"]], [503, "full", "10"])
        })
      )
      assert.strictEqual(count, 1)
      yield* first.drop
      yield* TestClients.connect(from("203.0.113.8"))
      assert.strictEqual((yield* refusal()).status, 503)
    }).pipe(Effect.provide(over({ maxConnections: 2 })))
  )

  it.effect("are not used up by those who are refused for something else", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 20; n++) {
        assert.strictEqual((yield* refusal(bearer("wrong"))).status, 401)
        assert.strictEqual((yield* refusal({ query: "snapshot=x", ...bearer(secretOf("dash")) })).status, 400)
      }
      yield* TestClients.connect(bearer(secretOf("dash")))
    }).pipe(Effect.provide(over({ maxConnections: 1 }, Authenticator.layerTokens([token("dash", ["subscribe"])]))))
  )

  it.live("are not used up by sockets that end during their handshake", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const slow = Authenticator.make({
        verifiers: [
          {
            verify: () =>
              Deferred.succeed(asked, undefined).pipe(
                Effect.zipRight(Deferred.await(answer)),
                Effect.as(Authenticator.anonymous)
              )
          }
        ]
      })
      yield* Effect.gen(function* () {
        const to = yield* port
        const server = yield* NodeServer.NodeServer
        const ended = yield* Deferred.make<void>()
        server.once("upgrade", (_request, socket) => {
          socket.once("end", () => Deferred.unsafeDone(ended, Effect.void))
        })
        const gone = new WebSocket(`ws://127.0.0.1:${to}/`)
        gone.on("error", () => undefined)
        yield* Deferred.await(asked)
        gone.terminate()
        yield* Deferred.await(ended)
        yield* Deferred.succeed(answer, undefined)
        // The only place is free again: had it been kept, nobody would ever come in.
        const client = yield* Effect.retry(TestClients.connect(), { while: ({ status }) => status === 503 })
        assert.isTrue(yield* client.isOpen)
      }).pipe(Effect.provide(overWs({ maxConnections: 1 }, Layer.scoped(Authenticator.Authenticator, slow))))
    })
  )
})

describe("a place in the pool", () => {
  it.live("is given back where a fault of the authenticator breaks the handshake off; the fault is logged", () =>
    Effect.gen(function* () {
      const faults: ReadonlyArray<() => Effect.Effect<Authenticator.Principal>> = [
        () => {
          throw new Error("thrown")
        },
        () => Effect.dieMessage("died at once"),
        () => Effect.zipRight(Effect.sleep("1 millis"), Effect.dieMessage("died later"))
      ]
      // A principal that is none: what goes wrong is found only when the connection is made.
      const strange = Effect.succeed({
        ...JSON.parse('{"name":"x","visible":{"tenant":"default","agents":5}}'),
        permissions: new Set(["subscribe"])
      })
      const answers = [...faults, () => strange]
      let asked = 0
      const faulty = Authenticator.make({
        verifiers: [{ verify: () => answers[asked++]?.() ?? Effect.succeed(Authenticator.anonymous) }]
      })
      const lines: Array<string> = []
      const gateway = Layer.provideMerge(
        StatusSyncTest.layerWs({ maxConnections: 1 }, Layer.scoped(Authenticator.Authenticator, faulty)),
        recorded(lines)
      )
      yield* Effect.gen(function* () {
        for (const _ of faults) {
          // Its socket ends without an answer.
          assert.strictEqual((yield* Effect.flip(TestClients.connect({ query: "agents=a" }))).status, 0)
        }
        const broken = yield* TestClients.connect({ query: "agents=a" })
        assert.strictEqual((yield* broken.closed).code, 1006)
        assert.isTrue(yield* (yield* TestClients.connect()).isOpen)
        assert.strictEqual(lines.filter((line) => line.startsWith("ERROR the handshake failed")).length, answers.length)
      }).pipe(Effect.provide(gateway))
    })
  )
})

describe("sockets of any kind", () => {
  it.live("above the connections and a reserve are dropped, and those that are open stay", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const to = yield* port
      const opened: Array<Net.Socket> = []
      const dropped = yield* refusedBy(
        "sockets",
        Effect.async<void>((resume) => {
          // One after the other, so that the one above the limit is the last.
          const next = () => {
            const socket = Net.connect(to, "127.0.0.1", next)
            opened.push(socket)
            socket.on("error", () => undefined)
            socket.on("close", () => resume(Effect.void))
          }
          next()
        })
      )
      for (const socket of opened) socket.destroy()
      assert.isAtLeast(dropped, 1)
      assert.isAtLeast(opened.length, 1 + 1024)
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(overWs({ maxConnections: 1 })))
  )
})

describe("connections from one address", () => {
  it.effect("above the limit are refused with 429 and Retry-After; other addresses are not concerned", () =>
    Effect.gen(function* () {
      const first = yield* TestClients.connect(from("203.0.113.7"))
      yield* TestClients.connect(from("::ffff:203.0.113.7"))
      const count = yield* refusedBy(
        "connections_per_address",
        Effect.gen(function* () {
          const refused = yield* refusal(from("203.0.113.7"))
          assert.deepStrictEqual(
            [refused.status, refused.reason, refused.headers["retry-after"]],
            [429, "too-many", "10"]
          )
        })
      )
      assert.strictEqual(count, 1)
      yield* TestClients.connect(from("203.0.113.8"))
      yield* first.close()
      yield* TestClients.connect(from("203.0.113.7"))
      assert.strictEqual((yield* refusal(from("203.0.113.7"))).status, 429)
    }).pipe(Effect.provide(over({ maxConnectionsPerAddress: 2 })))
  )

  it.effect("are counted by the /64 of an IPv6 address, and not at all for this machine", () =>
    Effect.gen(function* () {
      yield* TestClients.connect(from("2001:db8::1"))
      assert.strictEqual((yield* refusal(from("2001:db8::2"))).status, 429)
      yield* TestClients.connect(from("2001:db8:0:1::1"))
      for (const local of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
        yield* Effect.replicateEffect(TestClients.connect(from(local)), 3)
      }
    }).pipe(Effect.provide(over({ maxConnectionsPerAddress: 1 })))
  )

  it.effect("are counted by what a trusted proxy says, and not by what anybody else says", () =>
    Effect.gen(function* () {
      const via = (peer: string, forwarded: string) => ({
        remoteAddress: peer,
        headers: { "x-forwarded-for": forwarded }
      })
      yield* TestClients.connect(via("10.0.0.1", "1.1.1.1, 203.0.113.7"))
      assert.strictEqual((yield* refusal(via("10.0.0.1", "2.2.2.2, 203.0.113.7"))).status, 429)
      assert.strictEqual((yield* refusal(via("10.0.0.2", "203.0.113.7"))).status, 429)
      yield* TestClients.connect(via("10.0.0.1", "203.0.113.8"))
      yield* TestClients.connect(via("203.0.113.9", "203.0.113.10"))
      assert.strictEqual((yield* refusal(via("203.0.113.9", "203.0.113.11"))).status, 429)
      const { all } = yield* Connections.Connections
      assert.deepStrictEqual(
        (yield* all).map(({ info }) => info.remoteAddress),
        ["203.0.113.7", "203.0.113.8", "203.0.113.9"]
      )
    }).pipe(Effect.provide(over({ maxConnectionsPerAddress: 1, trustedProxies: ["10.0.0.0/8"] })))
  )
})
