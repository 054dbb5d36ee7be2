import { once } from "node:events"
import * as Net from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import WebSocket from "ws"
import { Authenticator, Connections, NodeServer, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import {
  bearer,
  port,
  quiet,
  recorded,
  refusal,
  refusals,
  refusedBy,
  request,
  secretOf,
  token
} from "../support/gateway.js"

type Settings = Partial<StatusSyncConfig.Settings>

const over = (settings: Settings = {}, authenticator?: Layer.Layer<Authenticator.Authenticator>) =>
  Layer.provideMerge(StatusSyncTest.layerWith(settings, authenticator), quiet)
const overWs = (settings: Settings = {}, authenticator?: Layer.Layer<Authenticator.Authenticator>) =>
  Layer.provideMerge(StatusSyncTest.layerWs(settings, authenticator), quiet)

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
      const strange = Effect.succeed({ ...JSON.parse('{"name":"x"}'), permissions: new Set(["subscribe"]) })
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

describe("a handshake whose extensions are malformed", () => {
  it.live("is refused with 400 as JSON, and counted, where `ws` itself finds it out", () =>
    Effect.gen(function* () {
      const headers = { "sec-websocket-extensions": "permessage-deflate; =" }
      const count = yield* refusedBy(
        "malformed",
        Effect.gen(function* () {
          const refused = yield* refusal({ headers })
          assert.strictEqual(refused.status, 400)
          assert.deepInclude(JSON.parse(refused.message), { error: "malformed" })
        })
      )
      assert.strictEqual(count, 1)
      assert.isTrue(yield* (yield* TestClients.connect()).isOpen)
    }).pipe(Effect.provide(overWs({ compression: true, maxConnections: 1 })))
  )
})

describe("a gateway with a tiny high-water mark", () => {
  it.live("still greets, though the answer to the upgrade counts as unsent", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      assert.strictEqual((yield* client.take).eventType, "stratix:connected")
    }).pipe(Effect.timeout("10 seconds"), Effect.provide(overWs({ highWaterMark: 1 })))
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

describe("handshakes", () => {
  const never = Layer.scoped(
    Authenticator.Authenticator,
    Authenticator.make({ verifiers: [{ verify: () => Effect.never }] })
  )

  it.effect("under way above the limit are refused with 503 and Retry-After", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkAll([TestClients.connect(), TestClients.connect()])
      yield* Effect.yieldNow()
      const count = yield* refusedBy(
        "handshakes",
        Effect.gen(function* () {
          const refused = yield* refusal()
          assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
        })
      )
      assert.strictEqual(count, 1)
      yield* Fiber.interrupt(waiting)
      const next = yield* Effect.fork(refusal())
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(next)).reason, "unavailable")
    }).pipe(Effect.provide(over({ maxHandshakes: 2 }, never)))
  )

  it.effect("that nobody decides on end with 503 at the handshake timeout, to the millisecond", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(refusal())
      yield* TestClock.adjust("9999 millis")
      assert.isTrue((yield* Fiber.poll(waiting))._tag === "None")
      yield* TestClock.adjust("1 millis")
      const refused = yield* Fiber.join(waiting)
      assert.deepStrictEqual([refused.status, refused.reason], [503, "unavailable"])
      assert.match(refused.message, /too long/)
    }).pipe(Effect.provide(over({}, never)))
  )

  it.effect("in a second: five seconds' worth at once, then as many as the rate gives back", () =>
    Effect.gen(function* () {
      yield* Effect.replicateEffect(TestClients.connect(), 50)
      const count = yield* refusedBy(
        "handshake_rate",
        Effect.gen(function* () {
          const refused = yield* refusal()
          assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
        })
      )
      assert.strictEqual(count, 1)
      yield* TestClock.adjust("99 millis")
      yield* refusal()
      yield* TestClock.adjust("1 millis")
      yield* TestClients.connect()
      yield* refusal()
      yield* TestClock.adjust("1 second")
      yield* Effect.replicateEffect(TestClients.connect(), 10)
      yield* refusal()
    }).pipe(Effect.provide(over({ handshakeRate: 10 })))
  )

  const raw = (text: string) =>
    Effect.flatMap(port, (to) =>
      Effect.async<string>((resume) => {
        const socket = Net.connect(to, "127.0.0.1", () => socket.write(text))
        let answer = ""
        socket.on("data", (data: Buffer) => {
          answer += data.toString()
        })
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.succeed(answer)))
      })
    )
  const body = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4))

  it.live("whose header does not come to its end are answered with 408 and closed", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "timeout",
        Effect.gen(function* () {
          for (const begun of ["", "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"]) {
            const answer = yield* raw(begun)
            assert.match(answer, /^HTTP\/1\.1 408 /)
            assert.deepStrictEqual(body(answer), { error: "RequestTimeout", message: "the request took too long" })
          }
        })
      )
      assert.strictEqual(count, 2)
    }).pipe(Effect.provide(overWs({ handshakeTimeout: "100 millis", requestTimeout: "200 millis" })))
  )

  it.live("and requests whose body does not come to its end, likewise", () =>
    Effect.gen(function* () {
      const answer = yield* raw(
        "POST /api/stratix/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
      )
      assert.match(answer, /^HTTP\/1\.1 408 /)
    }).pipe(Effect.provide(overWs({ handshakeTimeout: "100 millis", requestTimeout: "200 millis" })))
  )

  it.live("with a header above the limit are answered with 431", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "header_size",
        Effect.gen(function* () {
          const answer = yield* raw(`GET / HTTP/1.1\r\nhost: x\r\ncookie: ${"x".repeat(3000)}\r\n\r\n`)
          assert.match(answer, /^HTTP\/1\.1 431 /)
        })
      )
      assert.strictEqual(count, 1)
      yield* TestClients.connect({ headers: { cookie: "x".repeat(1000) } })
    }).pipe(Effect.provide(overWs({ maxHeaderBytes: 2048 })))
  )

  it.live("that are no HTTP are answered with 400, and end nothing else", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      for (const junk of [
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00"
      ]) {
        assert.match(yield* raw(junk), /^HTTP\/1\.1 400 /)
      }
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(overWs()))
  )
})

describe("what a client sends", () => {
  const settled = (client: TestClients.TestClient) => Effect.map(client.closed, ({ code, reason }) => [code, reason])

  it.effect("is limited by the second: twice the rate at once, then close 1008", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const other = yield* TestClients.connect()
      for (let n = 0; n < 20; n++) yield* client.send({ type: "ping" })
      assert.isTrue(yield* client.isOpen)
      const count = yield* refusedBy("message_rate", client.send({ type: "ping" }))
      assert.strictEqual(count, 1)
      assert.deepStrictEqual(yield* settled(client), [1008, "too many messages"])
      assert.isTrue(yield* other.isOpen)
    }).pipe(Effect.provide(over({ messageRate: 10 })))
  )

  it.effect("counts pongs and bad messages as well, and goes on for ever at the rate itself", () =>
    Effect.gen(function* () {
      const steady = yield* TestClients.connect()
      for (let n = 0; n < 100; n++) {
        yield* TestClock.adjust("100 millis")
        yield* n % 2 === 0 ? steady.pong : steady.send({ type: "ping" })
      }
      assert.isTrue(yield* steady.isOpen)
      const pongs = yield* TestClients.connect()
      for (let n = 0; n < 20; n++) yield* pongs.pong
      assert.isTrue(yield* pongs.isOpen)
      yield* pongs.pong
      assert.deepStrictEqual(yield* settled(pongs), [1008, "too many messages"])
    }).pipe(Effect.provide(over({ messageRate: 10 })))
  )

  it.effect("is not looked at any more once the connection is being closed", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      yield* client.takeN(2)
      yield* client.freeze
      for (let n = 0; n < 11; n++) yield* client.sendText("junk")
      yield* client.send({ type: "subscribe", agents: ["a"] })
      const { all } = yield* Connections.Connections
      assert.deepStrictEqual(
        (yield* all).map(({ filter }) => filter.agents),
        [undefined]
      )
      yield* client.thaw
      const told = yield* client.received
      assert.strictEqual(told.filter(({ eventType }) => eventType === "stratix:error").length, 10)
      assert.isFalse(told.some(({ eventType }) => eventType === "stratix:subscribed"))
      assert.deepStrictEqual(yield* settled(client), [1008, "too many malformed messages"])
    }).pipe(Effect.provide(over()))
  )

  it.live("as pings of the protocol counts, too", () =>
    Effect.gen(function* () {
      const to = yield* port
      const code = yield* Effect.async<number>((resume) => {
        const socket = new WebSocket(`ws://127.0.0.1:${to}/`)
        // One after the other: `ws` itself ends the socket of one who does not wait for the pongs.
        socket.on("open", () => socket.ping())
        socket.on("pong", () => socket.ping())
        socket.on("error", () => undefined)
        socket.on("close", (closed) => resume(Effect.succeed(closed)))
      })
      assert.strictEqual(code, 1008)
    }).pipe(Effect.provide(overWs({ messageRate: 100 })))
  )

  it.live("after the close ends the socket: one who goes on is not waited for", () =>
    Effect.gen(function* () {
      const to = yield* port
      const frames = Buffer.alloc(50 * 6)
      for (let at = 0; at < frames.length; at += 6) frames.writeUInt16BE(0x8a80, at)
      yield* Effect.async<void>((resume) => {
        const socket = Net.connect(to, "127.0.0.1", () => {
          socket.write(
            "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
              "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
          )
        })
        // Pongs for ever, and no answer to the close: `ws` by itself would wait for it for 30 s.
        const flood = () => {
          if (!socket.destroyed) socket.write(frames, () => setImmediate(flood))
        }
        socket.once("data", flood)
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.void))
      })
    }).pipe(Effect.timeout("10 seconds"), Effect.provide(overWs({ messageRate: 100 })))
  )

  it.live("in one message above the size limit ends with 1009, in more fragments than allowed with 1008", () =>
    Effect.gen(function* () {
      const large = yield* TestClients.connect()
      const size = yield* refusedBy(
        "message_size",
        Effect.gen(function* () {
          yield* large.sendText("x".repeat(1025))
          assert.strictEqual((yield* large.closed).code, 1009)
        })
      )
      assert.strictEqual(size, 1)

      const fragmented = (count: number) =>
        Effect.flatMap(port, (to) =>
          Effect.async<number | string>((resume) => {
            const socket = new WebSocket(`ws://127.0.0.1:${to}/`)
            socket.on("open", () => {
              for (let n = 0; n < count - 1; n++) socket.send(n === 0 ? '{"type":' : " ", { fin: false })
              socket.send('"ping"}', { fin: true })
            })
            socket.on("message", (data: Buffer) => {
              if (!data.includes("stratix:heartbeat")) return
              resume(Effect.succeed("answered"))
              socket.terminate()
            })
            socket.on("error", () => undefined)
            socket.on("close", (code) => resume(Effect.succeed(code)))
          })
        )
      assert.strictEqual(yield* fragmented(8), "answered")
      const fragments = yield* refusedBy(
        "fragments",
        Effect.gen(function* () {
          assert.strictEqual(yield* fragmented(9), 1008)
        })
      )
      assert.strictEqual(fragments, 1)
    }).pipe(Effect.provide(overWs({ maxMessageBytes: 1024, maxFragments: 8 })))
  )

  it.live("in one frame that comes in more pieces than allowed ends with 1008, before it is whole", () =>
    Effect.gen(function* () {
      const to = yield* port
      const closeCode = (pieces: number) =>
        Effect.promise(async () => {
          const socket = Net.connect(to, "127.0.0.1")
          socket.setNoDelay(true)
          const received: Array<Buffer> = []
          socket.on("data", (data: Buffer) => received.push(data))
          socket.on("error", () => undefined)
          const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()))
          socket.write(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
          )
          await once(socket, "data")
          received.length = 0
          // A text frame of 2,000 bytes, masked with zeros, byte by byte; the gateway is in this process, and reads each one by itself.
          socket.write(Buffer.from([0x81, 0xfe, 2000 >> 8, 2000 & 0xff, 0, 0, 0, 0]))
          for (let n = 0; n < pieces && received.length === 0; n++) {
            socket.write(" ")
            for (let turns = 0; turns < 3; turns++) await turn()
          }
          const answered = received.length > 0
          socket.destroy()
          await ended
          const frame = Buffer.concat(received)
          return answered ? frame.readUInt16BE(2) : undefined
        })
      assert.strictEqual(yield* closeCode(500), undefined)
      const count = yield* refusedBy(
        "fragments",
        Effect.gen(function* () {
          assert.strictEqual(yield* closeCode(1999), 1008)
        })
      )
      assert.strictEqual(count, 1)
    }).pipe(Effect.provide(overWs()))
  )

  it.effect("as a filter of too many values is answered with an error, and counted", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const count = yield* refusedBy("filter_size", client.send({ type: "subscribe", agents: ["a", "b", "c"] }))
      assert.strictEqual(count, 1)
      const [, error] = yield* client.takeN(2)
      assert.deepInclude(error, { eventType: "stratix:error" })
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(over({ maxFilterValues: 2 })))
  )
})

describe("what is published over HTTP", () => {
  const event = { eventType: "stratix:note", payload: {} }
  const publish = (name: string, body: unknown) =>
    request("POST", "/api/stratix/events", { body, token: secretOf(name) })
  const tokens = Authenticator.layerTokens([token("one", ["publish"]), token("two", ["publish"])])

  it.scoped("is limited for each token by the second: 429 with Retry-After", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        (yield* publish(
          "one",
          Array.from({ length: 20 }, () => event)
        )).status,
        202
      )
      const count = yield* refusedBy(
        "publish_rate",
        Effect.gen(function* () {
          const refused = yield* publish("one", event)
          assert.strictEqual(refused.status, 429)
          assert.strictEqual(refused.headers["retry-after"], "1")
          assert.deepStrictEqual(refused.body, {
            error: "TooMany",
            message: "one publishes more than 10 events a second"
          })
        })
      )
      assert.strictEqual(count, 1)
      assert.strictEqual((yield* publish("two", event)).status, 202)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* publish("one", event)).status, 202)
      assert.strictEqual((yield* publish("one", event)).status, 429)
    }).pipe(Effect.provide(overWs({ publishRate: 10 }, tokens)))
  )

  it.scoped("may be one array larger than the rate, which then has to be waited for", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        (yield* publish(
          "one",
          Array.from({ length: 100 }, () => event)
        )).status,
        202
      )
      const refused = yield* publish("one", event)
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [429, "9"])
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual((yield* publish("one", event)).status, 429)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* publish("one", event)).status, 202)
    }).pipe(Effect.provide(overWs({ publishRate: 10 }, tokens)))
  )

  it.scoped("is limited by the address where nobody is asked for a token", () =>
    Effect.gen(function* () {
      const by = (address: string) =>
        request("POST", "/api/stratix/events", { body: event, headers: { "x-forwarded-for": address } })
      for (let n = 0; n < 2; n++) assert.strictEqual((yield* by("203.0.113.7")).status, 202)
      assert.strictEqual((yield* by("203.0.113.7")).status, 429)
      assert.strictEqual((yield* by("203.0.113.8")).status, 202)
    }).pipe(Effect.provide(overWs({ publishRate: 1, trustedProxies: ["127.0.0.1"] })))
  )

  it.live("is counted where its body or its array is too large", () =>
    Effect.gen(function* () {
      const large = { eventType: "stratix:note", payload: { pad: "x".repeat(2000) } }
      assert.strictEqual(yield* refusedBy("body_size", publish("one", large)), 1)
      assert.strictEqual(yield* refusedBy("array_length", publish("one", [])), 1)
    }).pipe(Effect.provide(overWs({ maxBodyBytes: 1000 }, tokens)))
  )
})

describe("refusals in the log", () => {
  it.effect("are one line for each reason in ten seconds, with the number of those that are not said", () => {
    const lines: Array<string> = []
    const said = () => lines.splice(0).filter((line) => line.includes('"module":"Refusals"'))
    return Effect.gen(function* () {
      const before = yield* refusals("unauthenticated")
      for (let n = 0; n < 5; n++) yield* refusal(from("203.0.113.7"))
      yield* refusal({ path: "/nowhere" })
      const [first, second, ...more] = said()
      assert.match(
        first ?? "",
        /^WARN refused: a token is needed .*"reason":"unauthenticated","remoteAddress":"203\.0\.113\.7"/
      )
      assert.match(second ?? "", /^WARN refused: there is no WebSocket at \/nowhere.*"reason":"not_found"/)
      assert.deepStrictEqual(more, [])
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust("1 millis")
      assert.match(
        said().join(),
        /^WARN refused 4 more for the same reason \{"module":"Refusals","reason":"unauthenticated"\}$/
      )
      for (let n = 0; n < 3; n++) yield* refusal()
      yield* TestClock.adjust("10 seconds")
      assert.match(said().join(), /^WARN refused 3 more for the same reason/)
      yield* TestClock.adjust("10 seconds")
      yield* refusal()
      assert.match(said().join(), /^WARN refused: a token is needed/)
      assert.strictEqual((yield* refusals("unauthenticated")) - before, 9)
    }).pipe(
      Effect.provide(Layer.provideMerge(StatusSyncTest.layerWith({}, Authenticator.layerTokens([])), recorded(lines)))
    )
  })

  it.effect("do not grow with what a client writes, nor say anything to a terminal", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      yield* refusal({ path: `/${"x".repeat(10_000)}` })
      yield* refusal({ headers: { origin: "https://\u009b2J\u001b[2Jevil.example" } })
      assert.isTrue(lines.some((line) => line.includes("https://?2J?[2Jevil.example")))
      for (const line of lines) {
        assert.isBelow(line.length, 500)
        assert.notMatch(line, /\p{Cc}/u)
      }
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layer, recorded(lines))))
  })
})
