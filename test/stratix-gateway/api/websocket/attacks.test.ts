import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schedule, Schema } from "effect"
import WebSocket from "ws"
import {
  Broadcast,
  Connections,
  EventLog,
  NodeServer,
  StatusSync,
  type StatusSyncConfig
} from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../../support/waiting.js"
import { port, quiet, refusedBy } from "../../support/gateway.js"
import { portOf, startGateway } from "../../support/standAlone.js"

const ws = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second", ...settings }), quiet)

const HEAD =
  "GET /?events=none HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/** A TCP connection that has sent this; `closed` when its end is over. */
const raw = (to: number, text: string) => {
  const socket = Net.connect(to, "127.0.0.1", () => socket.write(text))
  socket.on("error", () => undefined)
  return { socket, closed: new Promise<void>((resolve) => socket.on("close", () => resolve())) }
}

/** A raw client that is in. */
const joined = (to: number) =>
  Effect.promise(async () => {
    const { closed, socket } = raw(to, HEAD)
    await once(socket, "data")
    return { closed, socket }
  })

/** Somebody who does nothing wrong, and must not notice anything: it gets what is published about it, at once and exactly. */
const bystander = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const client = yield* TestClients.connect({ query: "agents=bystander", protocols: ["stratix.sync.v1"] })
  yield* client.takeN(2)
  return {
    isServed: Effect.gen(function* () {
      for (let n = 0; n < 10; n++) {
        const status = n % 2 === 0 ? "busy" : "online"
        yield* sync.notifyAgentStatus("bystander", status)
        const { eventType, payload } = yield* Effect.repeat(client.take, {
          until: (message) => message.eventType !== "stratix:heartbeat"
        })
        assert.deepStrictEqual([eventType, payload], ["stratix:agent_status_update", { agentId: "bystander", status }])
      }
    }),
    leave: Effect.zipRight(client.close(), client.closed)
  }
})

const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

describe("a message that would break whoever looks into it", () => {
  const messages = [
    `{"type":"subscribe","agents":${deep(20_000)}}`,
    `{"type":"subscribe","agents":[${deep(20_000)}]}`,
    `{"type":"subscribe","events":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`,
    `{"type":"subscribe","agents":{"toString":1,"valueOf":1,"toJSON":1}}`,
    `{"type":${deep(20_000)}}`,
    `{"type":"ping","x":${deep(20_000)}}`,
    deep(30_000)
  ]

  it.live("is answered like any other that is malformed, and ends nothing", () =>
    Effect.gen(function* () {
      const other = yield* bystander
      const client = yield* TestClients.connect({ query: "events=none" })
      yield* client.take
      for (const message of messages) {
        yield* client.sendText(message)
        const answer = yield* client.take
        assert.strictEqual(answer.eventType, "stratix:error")
        assert.isBelow(JSON.stringify(answer).length, 500)
      }
      assert.isTrue(yield* client.isOpen)
      yield* other.isServed
    }).pipe(Effect.provide(ws()))
  )

  it.live("in the body of a request is answered with 400, naming the field", () =>
    Effect.gen(function* () {
      const to = yield* port
      // As text: `JSON.stringify` goes no deeper than the stack.
      const post = (body: string) =>
        Effect.promise(async () => {
          const answer = await fetch(`http://127.0.0.1:${to}/api/stratix/events`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body
          })
          return { status: answer.status, body: await answer.text() }
        })
      const status = (agentId: string) =>
        `{"eventType":"stratix:agent_status_update","payload":{"agentId":${agentId},"status":"busy"}}`
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["payload.agentId", status(deep(20_000))],
        ["payload.agentId", status('{"toString":1,"valueOf":1}')],
        ["payload", `{"eventType":"stratix:x","payload":${deep(20_000)}}`],
        ["payload.a", `{"eventType":"stratix:x","payload":{"a":${deep(20_000)}}}`],
        ["eventType", `{"eventType":${deep(20_000)},"payload":{}}`],
        ["timestamp", `{"eventType":"stratix:x","payload":{},"timestamp":${deep(20_000)}}`],
        ["requestId", `{"eventType":"stratix:x","payload":{},"requestId":{"toString":1,"valueOf":1}}`]
      ]
      for (const [field, wrong] of cases) {
        const answer = yield* post(wrong)
        assert.strictEqual(answer.status, 400)
        // Or a field below it.
        assert.match(answer.body, new RegExp(`"field":"${field}[".]`))
        assert.isBelow(answer.body.length, 1000)
      }
    }).pipe(Effect.provide(ws()))
  )
})

describe("the name of an event type in a filter", () => {
  const longest = 256 - "stratix:".length

  it.effect("is no longer than one can be, with its prefix: what the gateway answers is in the protocol, too", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ query: `events=${"x".repeat(longest)}` })
      const refused = yield* Effect.flip(TestClients.connect({ query: `events=${"x".repeat(longest + 1)}` }))
      assert.strictEqual(refused.status, 400)
      yield* client.send({ type: "subscribe", events: ["x".repeat(longest)] })
      yield* client.send({ type: "subscribe", events: ["x".repeat(longest + 1)] })
      // Each is decoded by the Schema of the protocol.
      const told = yield* client.received
      assert.deepStrictEqual(
        told.map(({ eventType }) => eventType),
        ["stratix:connected", "stratix:subscribed", "stratix:error"]
      )
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layer, quiet)))
  )
})

describe("half-open connections", () => {
  it.live("whose client vanished without a word are given up; those that answer are not", () =>
    Effect.gen(function* () {
      const to = yield* port
      const other = yield* bystander
      const gone = yield* Effect.replicateEffect(joined(to), 20)
      for (const { socket } of gone) socket.pause()
      yield* untilCount(1)
      yield* other.isServed
      for (const { socket } of gone) socket.destroy()
    }).pipe(Effect.provide(ws({ heartbeatInterval: "100 millis", heartbeatTimeout: "1 second" })))
  )

  it.live("whose client has said it will send nothing more leave at once, in the handshake and after it", () =>
    Effect.gen(function* () {
      const to = yield* port
      const other = yield* bystander
      const server = yield* NodeServer.NodeServer
      const ends = [
        ...(yield* Effect.replicateEffect(joined(to), 10)).map(({ closed, socket }) => {
          socket.end()
          return closed
        }),
        ...[0, 30, HEAD.length].map((length) => {
          const { closed, socket } = raw(to, HEAD.slice(0, length))
          socket.on("connect", () => socket.end())
          socket.resume()
          return closed
        })
      ]
      yield* Effect.promise(() => Promise.all(ends))
      yield* untilCount(1)
      yield* other.isServed
      yield* other.leave
      const sockets = Effect.async<number>((resume) => {
        server.getConnections((_error, count) => resume(Effect.succeed(count)))
      })
      yield* Effect.repeat(sockets, { until: (count) => count === 0, schedule: Schedule.forever })
    }).pipe(Effect.provide(ws()))
  )
})

/** Far more than the process has descriptors for. */
const CROWD = 150

describe("file descriptors", () => {
  it("run out: who is connected is served on, and new clients come in again once there are some", async () => {
    const gateway = await startGateway(
      { STRATIX_HANDSHAKE_TIMEOUT: "1 minute", STRATIX_REQUEST_TIMEOUT: "1 minute" },
      "ulimit -n 64"
    )
    const to = await portOf(gateway)
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
    const client = new WebSocket(`ws://127.0.0.1:${to}/?agents=a`)
    const messages: Array<string> = []
    client.on("message", (data: Buffer) => messages.push(data.toString()))
    await once(client, "message")
    /** Over the one connection that was there before. */
    const publish = (status: string) =>
      new Promise<number>((resolve, reject) => {
        const asked = Http.request(
          {
            port: to,
            host: "127.0.0.1",
            agent,
            method: "PUT",
            path: "/api/stratix/agents/a/status",
            headers: { "content-type": "application/json" }
          },
          (response) => {
            response.resume()
            response.on("end", () => resolve(response.statusCode ?? 0))
          }
        )
        asked.on("error", reject)
        asked.end(JSON.stringify({ status }))
      })
    assert.strictEqual(await publish("online"), 202)

    const crowd = Array.from({ length: CROWD }, () => raw(to, "GET"))
    // Those for whom there was no descriptor are shut out again; the others stay.
    await Promise.race(crowd.map(({ closed }) => closed))
    for (let n = 0; n < 20; n++) assert.strictEqual(await publish(n % 2 === 0 ? "busy" : "online"), 202)
    while (messages.length < 22) await once(client, "message")

    for (const { socket } of crowd) socket.destroy()
    const comes = () =>
      new Promise<boolean>((resolve) => {
        const late = new WebSocket(`ws://127.0.0.1:${to}/`)
        late.on("error", () => resolve(false))
        late.on("message", () => {
          late.terminate()
          resolve(true)
        })
      })
    while (!(await comes())) await turn()
    assert.strictEqual(await publish("busy"), 202)
    while (messages.length < 23) await once(client, "message")

    client.close()
    agent.destroy()
    gateway.child.kill("SIGTERM")
    assert.strictEqual((await gateway.ended).code, 0)
  }, 60_000)
})

describe("a publisher that is much faster than every reader", () => {
  const EVENTS = 30_000
  const READERS = 6
  const KEYS = 50
  /** Of so many hundreds of events, a reader reads while one tenth is published. */
  const PERIOD = 100
  const highWaterMark = 64 * 1024

  const decodeCommand = (payload: unknown) =>
    Schema.decodeUnknown(Schema.Struct({ result: Schema.Struct({ n: Schema.Number }) }))(payload)

  it.live(
    "costs each of them no more than the high-water mark and one flush; all end true, and others notice nothing",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const broadcast = yield* Broadcast.Broadcast
        const log = yield* EventLog.EventLog
        const { all } = yield* Connections.Connections
        const other = yield* bystander
        const readers = yield* Effect.replicateEffect(
          TestClients.connect({ query: "events=command_status_update", protocols: ["stratix.sync.v1"] }),
          READERS
        )
        for (const reader of readers) yield* reader.takeN(2)
        // What is published while one reader rests is 20 MB: more than the kernel keeps for it, so the gateway has to bear the rest.
        const pad = "x".repeat(2000)
        let mostUnsent = 0
        for (let n = 0; n < EVENTS; n++) {
          yield* sync.notifyCommandStatus(`command-${n % KEYS}`, "agent", "running", 1, { n, pad })
          if (n % 100 !== 99) continue
          const reads = (i: number) => (n / 100 + (i * PERIOD) / READERS) % PERIOD < PERIOD / 10
          yield* Effect.forEach(readers, (reader, i) => (reads(i) ? reader.thaw : reader.freeze))
          yield* nextTurn
          for (const { socket } of yield* all) mostUnsent = Math.max(mostUnsent, socket.unsentBytes())
          if (n % 5000 === 4999) yield* other.isServed
        }
        // What one or two of these turns published can come on top (200 events of some 2,200 bytes), or a step of a catch-up (64 KiB).
        assert.isBelow(mostUnsent, highWaterMark + 512 * 1024)
        assert.isAtMost(log.stats().historyEvents, 2000)
        assert.isAbove(broadcast.stats().conflations, 0)

        for (const reader of readers) yield* reader.thaw
        yield* StatusSyncTest.settled
        const { entries } = yield* log.latest()
        const last = entries.filter(({ key }) => key?.startsWith("command:")).at(-1)
        for (const reader of readers) {
          // To the letter: what is decoded has no offset any more.
          const ending = `,"offset":"${last?.offset}"}]`
          while (!(yield* reader.raw).some((text) => text.includes(ending))) yield* nextTurn
          const newest = new Map<unknown, unknown>()
          for (const { payload } of yield* reader.received) {
            if ("commandId" in payload) newest.set(payload.commandId, payload)
          }
          assert.strictEqual(newest.size, KEYS)
          for (let key = 0; key < KEYS; key++) {
            const { result } = yield* decodeCommand(newest.get(`command-${key}`))
            assert.strictEqual(result.n, EVENTS - KEYS + key)
          }
        }
        yield* other.isServed
      }).pipe(Effect.provide(ws({ highWaterMark, historyCapacity: 2000 }))),
    120_000
  )
})

describe("a flood of pings by one who reads nothing", () => {
  /** 125 bytes each, which the pongs have to give back. */
  const pings = Buffer.concat(
    Array.from({ length: 500 }, () => Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]))
  )

  /** Writes as long as it is let. */
  const flood = (socket: Net.Socket, times: number) =>
    Effect.promise(async () => {
      for (let n = 0; n < times && !socket.destroyed; n++) {
        await new Promise<void>((resolve) => socket.write(pings, () => resolve()))
      }
    })

  it.live("is ended at the limit of messages", () =>
    Effect.gen(function* () {
      const to = yield* port
      const other = yield* bystander
      const count = yield* refusedBy(
        "message_rate",
        Effect.gen(function* () {
          const attackers = yield* Effect.replicateEffect(joined(to), 10)
          for (const { socket } of attackers) socket.pause()
          yield* Effect.forEach(attackers, ({ socket }) => flood(socket, 5), { concurrency: "unbounded" })
          yield* untilCount(1)
        })
      )
      assert.strictEqual(count, 10)
      yield* other.isServed
    }).pipe(Effect.provide(ws({ messageRate: 100 })))
  )

  it.live(
    "keeps no pongs for it, even where there is no such limit",
    () =>
      Effect.gen(function* () {
        const to = yield* port
        const other = yield* bystander
        const { all } = yield* Connections.Connections
        const { socket } = yield* joined(to)
        socket.pause()
        let mostUnsent = 0
        for (let n = 0; n < 200 && !socket.destroyed; n++) {
          yield* flood(socket, 1).pipe(Effect.timeoutOption("100 millis"))
          for (const connection of yield* all) mostUnsent = Math.max(mostUnsent, connection.socket.unsentBytes())
        }
        assert.isBelow(mostUnsent, 4 * 1024 * 1024)
        yield* other.isServed
        socket.destroy()
        yield* untilCount(1)
      }).pipe(Effect.provide(ws({ messageRate: 0 }))),
    60_000
  )
})

describe("a message that is small only as long as it is compressed", () => {
  it.live("is refused by its inflated size: 1009, and the gateway does not inflate the rest", () =>
    Effect.gen(function* () {
      const to = yield* port
      const other = yield* bystander
      const before = process.memoryUsage().rss
      const codes = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, n) => n),
        () =>
          Effect.async<number>((resume) => {
            const socket = new WebSocket(`ws://127.0.0.1:${to}/`, { perMessageDeflate: true })
            socket.on("error", () => undefined)
            // 20 MiB in some 20 KiB: below the limit as it comes, 320 times above it as it is.
            socket.on("open", () => socket.send(Buffer.alloc(20 * 1024 * 1024, 0x20), { binary: false }))
            socket.on("close", (code) => resume(Effect.succeed(code)))
          })
      )
      assert.deepStrictEqual(
        codes,
        Array.from({ length: 10 }, () => 1009)
      )
      // This process is also that of the clients, which compress; ten times 20 MiB would be more.
      assert.isBelow(process.memoryUsage().rss - before, 200 * 1024 * 1024)
      yield* other.isServed
      yield* untilCount(1)
    }).pipe(Effect.provide(ws({ compression: true })))
  )
})

describe("connections that never finish their handshake", () => {
  const WAVES = 10
  const WAVE = 1000

  it.live(
    "10,000 of them, a thousand at a time, are ended by the handshake timeout and keep nobody out",
    () =>
      Effect.gen(function* () {
        const to = yield* port
        const server = yield* NodeServer.NodeServer
        const other = yield* bystander
        for (let wave = 0; wave < WAVES; wave++) {
          const attackers = Array.from({ length: WAVE }, (_, n) => {
            const attacker = raw(to, HEAD.slice(0, n % HEAD.length))
            attacker.socket.resume()
            return attacker.closed
          })
          yield* other.isServed
          yield* Effect.promise(() => Promise.all(attackers))
        }
        yield* other.isServed
        const { clientCount } = yield* StatusSync.StatusSync
        assert.strictEqual(yield* clientCount, 1)
        const sockets = Effect.async<number>((resume) => {
          server.getConnections((_error, count) => resume(Effect.succeed(count)))
        })
        yield* Effect.repeat(sockets, { until: (count) => count === 1, schedule: Schedule.forever })
      }).pipe(Effect.provide(ws({ handshakeTimeout: "500 millis" }))),
    120_000
  )
})
