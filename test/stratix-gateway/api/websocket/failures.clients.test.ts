import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Logger, Stream } from "effect"
import { Connections, EventLog, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../../support/waiting.js"
import { port, quiet } from "../../support/gateway.js"

const ws = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second", ...settings }), quiet)

/** A TCP connection whose bytes the test writes itself. */
const raw = Effect.gen(function* () {
  const to = yield* port
  return yield* Effect.async<Net.Socket>((resume) => {
    const socket = Net.connect(to, "127.0.0.1", () => resume(Effect.succeed(socket)))
    socket.on("error", () => undefined)
  })
})

const upgrade = (lines = "") =>
  `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}\r\n${lines}\r\n`

/** What a raw client has been sent, once that contains this text. */
const untilText = (socket: Net.Socket, text: string) =>
  Effect.async<string>((resume) => {
    let got = ""
    const onData = (data: Buffer) => {
      got += data.toString("latin1")
      if (!got.includes(text)) return
      socket.off("data", onData)
      resume(Effect.succeed(got))
    }
    socket.on("data", onData)
  })

/** A masked client frame. */
const frame = (first: number, payload: Uint8Array) => {
  const header =
    payload.length < 126
      ? [first, 0x80 | payload.length]
      : [first, 0x80 | 126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload])
}

/** The status code of the close frame at the end of what a raw client got. */
const closeCode = (socket: Net.Socket) =>
  Effect.async<number>((resume) => {
    const chunks: Array<Buffer> = []
    socket.on("data", (data: Buffer) => {
      chunks.push(data)
      const all = Buffer.concat(chunks)
      const at = all.lastIndexOf(0x88)
      if (at !== -1 && all.length >= at + 4) resume(Effect.succeed(all.readUInt16BE(at + 2)))
    })
  })

const joined = Effect.gen(function* () {
  const socket = yield* raw
  socket.write(upgrade())
  yield* untilText(socket, "Connected to Stratix Gateway")
  return socket
})

describe("what a client can do wrong, over real sockets", () => {
  it.live("vanishes in the middle of a write: the others get everything", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const stays = yield* TestClients.connect()
      const victims = yield* Effect.replicateEffect(joined, 20)
      for (let i = 0; i < 50; i++) {
        yield* sync.broadcastUnknown({ eventType: "stratix:blob", payload: { i, pad: "x".repeat(20_000) } })
        victims[i]?.resetAndDestroy()
        if (i % 5 === 0) yield* nextTurn
      }
      assert.strictEqual((yield* stays.takeN(51)).length, 51)
      yield* untilCount(1)
    }).pipe(Effect.provide(ws()))
  )

  it.live("resets the TCP connection at any stage of the upgrade: the gateway stays", () =>
    Effect.gen(function* () {
      const whole = upgrade()
      for (const stage of [0, 1, 20, whole.length - 2, whole.length]) {
        for (let i = 0; i < 10; i++) {
          const socket = yield* raw
          socket.write(whole.slice(0, stage))
          if (i % 2 === 0) yield* nextTurn
          socket.resetAndDestroy()
        }
      }
      const client = yield* TestClients.connect()
      assert.strictEqual((yield* client.take).eventType, "stratix:connected")
      yield* untilCount(1)
    }).pipe(Effect.provide(ws()))
  )

  it.live("sends frames that are not WebSocket: it is closed with the code of the standard, with an error told", () =>
    Effect.gen(function* () {
      const connections = yield* Connections.Connections
      const told = yield* connections.changes.pipe(
        Stream.filter((change) => change._tag === "Failed"),
        Stream.take(4),
        Stream.runCollect,
        Effect.fork
      )
      yield* nextTurn
      const cases: ReadonlyArray<readonly [number, Buffer]> = [
        [1002, Buffer.from([0x81, 0x01, 0x61])], // not masked
        [1002, frame(0xf1, Buffer.from("{}"))], // reserved bits
        [1007, frame(0x81, Buffer.from([0xff, 0xfe]))], // not UTF-8
        [1009, frame(0x81, Buffer.alloc(2000, 0x61))] // above the limit
      ]
      for (const [code, bytes] of cases) {
        const socket = yield* joined
        const answer = yield* Effect.fork(closeCode(socket))
        yield* nextTurn
        socket.write(bytes)
        assert.strictEqual(yield* Fiber.join(answer), code)
        socket.destroy()
      }
      assert.strictEqual((yield* Fiber.join(told)).length, 4)
      yield* untilCount(0)
    }).pipe(Effect.provide(ws({ maxMessageBytes: 1000 })))
  )

  it.live("closes twice, or is closed by both sides: it leaves once", () =>
    Effect.gen(function* () {
      const connections = yield* Connections.Connections
      const left: Array<number> = []
      yield* connections.changes.pipe(
        Stream.filter((change) => change._tag === "Left"),
        Stream.runForEach((change) => Effect.sync(() => left.push(change.code))),
        Effect.fork
      )
      yield* nextTurn
      const client = yield* TestClients.connect()
      yield* client.take
      const [connection] = yield* connections.all
      connection?.socket.end(1000, "once")
      connection?.socket.end(1001, "twice")
      yield* client.close(1000)
      yield* client.close(1000)
      connection?.socket.terminate()
      connection?.socket.terminate()
      yield* untilCount(0)
      yield* nextTurn
      assert.strictEqual(left.length, 1)
    }).pipe(Effect.provide(ws()))
  )

  it.live("is refused: it reads why, as JSON, and the socket ends", () =>
    Effect.gen(function* () {
      const socket = yield* raw
      const answer = yield* Effect.fork(untilText(socket, "}"))
      yield* nextTurn
      socket.write(upgrade("Origin: https://evil.example\r\n"))
      const text = yield* Fiber.join(answer)
      assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n/)
      assert.match(text, /\{"error":"forbidden","message":"pages from https:\/\/evil.example may not connect[^}]*\}$/)
    }).pipe(Effect.provide(ws()))
  )
})

describe("what cannot be published", () => {
  it.effect("fails with the field named, and nothing is sent", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      const cycle: { self?: unknown } = {}
      cycle.self = cycle
      const cases: ReadonlyArray<readonly [string, RegExp, Effect.Effect<unknown, StatusSync.PublishError>]> = [
        [
          "payload.status",
          /one of "online".*got "asleep"/,
          sync.broadcastUnknown({
            eventType: "stratix:agent_status_update",
            payload: { agentId: "a", status: "asleep" }
          })
        ],
        ["payload.agentId", /1 to 256 characters, got ""/, sync.notifyAgentStatus("", "busy")],
        ["payload.progress", /0 to 100, got 140/, sync.notifyCommandStatus("c", "a", "running", 140)],
        ["payload.progress", /0 to 100, got NaN/, sync.notifyCommandStatus("c", "a", "running", Number.NaN)],
        ["payload.result.self", /cycle/, sync.notifyCommandStatus("c", "a", "success", 100, cycle)],
        ["payload.result.list.1", /bigint/, sync.notifyCommandStatus("c", "a", "success", 100, { list: [1, 2n] })],
        ["payload.result", /Map/, sync.notifyCommandStatus("c", "a", "success", 100, new Map())],
        [
          "payload.result.n",
          /Infinity/,
          sync.notifyCommandStatus("c", "a", "success", 100, { n: Number.POSITIVE_INFINITY })
        ],
        ["payload.result.f", /function/, sync.notifyCommandStatus("c", "a", "success", 100, { f: () => 1 })],
        ["payload.name", /1 to 256/, sync.notifyAgentCreate("a", "", "t")],
        ["eventType", /stratix:/, sync.broadcastUnknown({ eventType: "agent_status", payload: {} })],
        ["eventType", /of the server itself/, sync.broadcastUnknown({ eventType: "stratix:closing", payload: {} })],
        ["payload", /JSON object/, sync.broadcastUnknown({ eventType: "stratix:x", payload: 7 })],
        ["payload.toJSON", /function/, sync.broadcastUnknown({ eventType: "stratix:x", payload: { toJSON: () => 7 } })],
        [
          "payload.__proto__",
          /cannot name a field/,
          sync.broadcastUnknown({ eventType: "stratix:x", payload: JSON.parse('{"__proto__":{"agentId":"a"}}') })
        ],
        [
          "payload.result.deep.__proto__",
          /cannot name a field/,
          sync.notifyCommandStatus("c", "a", "success", 100, JSON.parse('{"deep":{"__proto__":1}}'))
        ],
        [
          "extra.status",
          /is a field of the payload/,
          sync.notifyAgentStatus("a", "busy", { extra: { title: "Scout", status: "online" } })
        ],
        [
          "extra",
          /type of your own/,
          sync.broadcastUnknown({ eventType: "stratix:x", payload: {}, extra: { title: "Scout" } })
        ],
        [
          "payload.__proto__",
          /cannot name a field/,
          sync.notifyAgentCreate("a", "Ada", "writer", JSON.parse('{"__proto__":{"admin":true}}'))
        ],
        [
          "payload.data.deep.__proto__",
          /cannot name a field/,
          sync.notifyCommandStatus("c", "a", "running", 1, undefined, undefined, {
            data: JSON.parse('{"deep":{"__proto__":1}}')
          })
        ],
        ["payload", /bytes/, sync.notifyAgentStatus("a", "busy", { extra: { data: "x".repeat(2000) } })],
        [
          "payload.status",
          /missing/,
          sync.broadcastUnknown({ eventType: "stratix:agent_status_update", payload: { agentId: "a" } })
        ],
        ["timestamp", /milliseconds/, sync.broadcastUnknown({ eventType: "stratix:x", payload: {}, timestamp: -1 })],
        [
          "payload",
          /larger than the 1000/,
          sync.broadcastUnknown({ eventType: "stratix:x", payload: { pad: "x".repeat(1000) } })
        ],
        [
          "1.payload.status",
          /one of/,
          sync.broadcastAllUnknown([
            { eventType: "stratix:x", payload: {} },
            { eventType: "stratix:agent_status_update", payload: { agentId: "a", status: "asleep" } }
          ])
        ]
      ]
      for (const [field, detail, effect] of cases) {
        const error = yield* Effect.flip(effect)
        assert.strictEqual(error.field, field)
        assert.match(error.detail, detail)
      }
      yield* sync.notifyAgentStatus("a", "busy")
      yield* StatusSyncTest.settled
      assert.strictEqual((yield* client.received).length, 2)
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ maxEventBytes: 1000 })))
  )

  it.effect(
    "a request id of the caller's context is on the event; generated ones are unique, even if the clock stands still",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* TestClients.connect()
        yield* sync.notifyAgentStatus("a", "busy").pipe(StatusSync.withRequestId("http-42"))
        for (let i = 0; i < 3; i++) yield* sync.notifyAgentStatus("a", "busy")
        yield* StatusSyncTest.settled
        const ids = (yield* client.received).map((message) => message.requestId)
        assert.deepStrictEqual(ids, [
          "stratix-req-0",
          "http-42",
          "stratix-req-0-2",
          "stratix-req-0-3",
          "stratix-req-0-4"
        ])
      }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("a request id that no event can have is refused where something is published inside it", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const heard = yield* sync.events.pipe(Stream.take(1), Stream.runCollect, Effect.fork)
      yield* Effect.yieldNow()
      yield* nextTurn
      for (const id of ["", "x".repeat(300)]) {
        const error = yield* Effect.flip(sync.notifyAgentStatus("a", "busy").pipe(StatusSync.withRequestId(id)))
        assert.deepInclude(error, { reason: "InvalidField", field: "requestId" })
      }
      yield* sync.notifyAgentStatus("b", "busy")
      assert.deepStrictEqual(
        [...(yield* heard)].map(({ payload }) => payload),
        [{ agentId: "b", status: "busy" }]
      )
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("what is no event does not end `events`: it is skipped, and logged", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${message}`)
    })
    return Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const log = yield* EventLog.EventLog
      const heard = yield* sync.events.pipe(Stream.take(1), Stream.runCollect, Effect.fork)
      yield* Effect.yieldNow()
      yield* nextTurn
      const draft = {
        tenant: "default",
        eventType: "stratix:x",
        agentId: undefined,
        commandId: undefined,
        key: undefined,
        own: undefined,
        removes: [],
        status: undefined,
        lease: undefined,
        stamp: { timestamp: 0, requestId: "r" },
        finished: false
      }
      yield* log.append([{ ...draft, json: '{"eventType":"stratix:x"}' }])
      yield* sync.notifyAgentStatus("b", "busy")
      assert.deepStrictEqual(
        [...(yield* heard)].map(({ payload }) => payload),
        [{ agentId: "b", status: "busy" }]
      )
      assert.isTrue(lines.some((line) => /^ERROR a subscription skips the event at offset/.test(line)))
    }).pipe(Effect.provide(StatusSyncTest.layer), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect("`events` tells everything that is published, as on the wire", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const heard = yield* sync.events.pipe(Stream.take(2), Stream.runCollect, Effect.fork)
      yield* Effect.yieldNow()
      yield* nextTurn
      yield* sync.notifyCommandStatus("c", "a", "success", 100, { at: new Date(0) })
      yield* sync.broadcastUnknown({ eventType: "stratix:x", payload: { y: 1 } })
      const [first, second] = Chunk.toReadonlyArray(yield* Fiber.join(heard))
      assert.deepStrictEqual(first?.payload, {
        commandId: "c",
        agentId: "a",
        commandStatus: "success",
        progress: 100,
        result: { at: "1970-01-01T00:00:00.000Z" }
      })
      assert.deepStrictEqual(second?.payload, { y: 1 })
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})
