import { once } from "node:events"
import * as Net from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import WebSocket from "ws"
import { Connections } from "../../../src/stratix-gateway/index.js"
import { TestClients } from "../../../src/stratix-testing/index.js"
import { port, refusedBy } from "../support/gateway.js"
import { over, overWs } from "../support/gateways.js"

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

  it.effect("of an unknown type is answered, and does not count as malformed; the rate limit holds", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const strangers = [
        { eventType: "stratix:agent_select", payload: { agentIds: ["a"] }, timestamp: 1, requestId: "r" },
        { type: "hello" }
      ]
      for (let n = 0; n < 20; n++) {
        for (const message of strangers) yield* client.sendText(JSON.stringify(message))
        yield* TestClock.adjust("200 millis")
      }
      const errors = (yield* client.received).filter(({ eventType }) => eventType === "stratix:error")
      assert.strictEqual(errors.length, 40)
      for (const { payload } of errors) assert.deepInclude(payload, { reason: "unknown message" })
      assert.isTrue(yield* client.isOpen)
      for (let n = 0; n < 21; n++) yield* client.sendText('{"type":"hello"}')
      assert.deepStrictEqual(yield* settled(client), [1008, "too many messages"])
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

  it.live("as pings of the protocol counts, too: as many as may be at once are answered, one more closes", () =>
    Effect.gen(function* () {
      const to = yield* port
      const ended = (pings: number) =>
        Effect.async<readonly [pongs: number, code: number]>((resume) => {
          const socket = new WebSocket(`ws://127.0.0.1:${to}/`)
          let pongs = 0
          socket.on("open", () => {
            // All in one packet.
            socket.pause()
            for (let n = 0; n < pings; n++) socket.ping()
            socket.resume()
          })
          socket.on("pong", () => {
            if (++pongs === pings) socket.close()
          })
          socket.on("error", () => undefined)
          socket.on("close", (code) => resume(Effect.succeed([pongs, code])))
        })
      const count = yield* refusedBy(
        "message_rate",
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* ended(61), [61, 1005])
          const [pongs, code] = yield* ended(300)
          assert.strictEqual(code, 1008)
          assert.isAtLeast(pongs, 200)
          assert.isBelow(pongs, 300)
        })
      )
      assert.strictEqual(count, 1)
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

  it.effect("as changes of filter has a rate of its own: above it, an error, and the filter stays", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const subscribe = client.send({ type: "subscribe", agents: ["a"] })
      assert.strictEqual(yield* refusedBy("filter_rate", Effect.repeatN(subscribe, 3)), 2)
      const messages = yield* client.takeN(5)
      assert.deepStrictEqual(
        messages.map(({ eventType }) => eventType),
        ["stratix:connected", "stratix:subscribed", "stratix:subscribed", "stratix:error", "stratix:error"]
      )
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(over({ filterRate: 1 })))
  )
})
