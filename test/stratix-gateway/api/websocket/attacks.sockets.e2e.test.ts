import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import WebSocket from "ws"
import { Connections, NodeServer, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../../src/stratix-testing/index.js"
import { untilCount } from "../../../support/waiting.js"
import { bystander } from "../../support/bystander.js"
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
    }).pipe(Effect.provide(ws({ heartbeatInterval: "100 millis", heartbeatTimeout: "3 seconds" })))
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

describe("a client that sends its request byte by byte", () => {
  it.live("is told why it is refused, though it goes on sending", () =>
    Effect.gen(function* () {
      const to = yield* port
      const answer = yield* Effect.promise(async () => {
        const { closed, socket } = raw(to, "GET / HTTP/1.1\r\nX-Slow: ")
        let text = ""
        socket.on("data", (data: Buffer) => {
          text += data.toString()
        })
        await once(socket, "connect")
        while (!socket.destroyed && text === "") {
          socket.write("x")
          await turn()
        }
        // It does not stop for the answer.
        for (let n = 0; n < 100 && !socket.destroyed; n++) {
          socket.write("x")
          await turn()
        }
        socket.end()
        await closed
        return text
      })
      assert.match(answer, /^HTTP\/1\.1 408 /)
    }).pipe(Effect.provide(ws({ handshakeTimeout: "100 millis" })))
  )
})

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
