import * as Http from "node:http"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, TestClock } from "effect"
import { NodeServer, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Refusals } from "../../../src/stratix-gateway/internals.js"
import * as HttpPipeline from "../../../src/stratix-gateway/transport/HttpPipeline.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { nextTurn } from "../../support/waiting.js"
import { port, quiet, refusedBy, request } from "../support/gateway.js"

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) => Effect.provide(StatusSyncTest.layerWs(settings))

const GET = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
const UPGRADE =
  "GET /?events=none HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

const connect = (to: number, text: string) => {
  const socket = Net.connect(to, "127.0.0.1", () => socket.write(text))
  socket.on("error", () => undefined)
  return socket
}

/** What comes until the socket ends, or until it matches. */
const received = (to: number, text: string, until?: RegExp) =>
  Effect.promise(async () => {
    const socket = connect(to, text)
    let all = ""
    for await (const chunk of socket) {
      all += String(chunk)
      if (until?.test(all)) break
    }
    socket.destroy()
    return all
  })

const count = (text: string, part: string) => text.split(part).length - 1

describe("requests pipelined on one socket", () => {
  it.live("are answered one after the other, in their order", () =>
    Effect.gen(function* () {
      const to = yield* port
      const paths = ["/healthz", "/nowhere", "/readyz", "/api/stratix/state"]
      const text = paths.map((path, i) => {
        const last = i === paths.length - 1 ? "Connection: close\r\n" : ""
        return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`
      })
      const all = yield* received(to, text.join(""))
      assert.deepStrictEqual(
        [...all.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status),
        ["200", "404", "200", "200"]
      )
      // The socket reads on when nothing waits any more.
      const later = yield* received(to, GET.repeat(3), /(HTTP[\s\S]*){3}\}$/)
      assert.strictEqual(count(later, "HTTP/1.1 200"), 3)
    }).pipe(over(), Effect.provide(quiet))
  )

  it.live("are not kept beyond a handful: the socket ends, counted, and no error is made for each", () =>
    Effect.gen(function* () {
      const to = yield* port
      const requests: Array<Http.IncomingMessage> = []
      const server = yield* NodeServer.NodeServer
      server.on("request", (request) => requests.push(request))
      const count = yield* refusedBy("pipelined", received(to, GET.repeat(1_000)))
      assert.strictEqual(count, 1)
      // The first was being served when its socket ended.
      const [, ...unserved] = requests
      assert.isAbove(unserved.length, 100)
      assert.isTrue(unserved.every(({ destroyed, errored }) => destroyed && errored === null))
      assert.strictEqual((yield* request("GET", "/healthz")).status, 200)
    }).pipe(over(), Effect.provide(quiet))
  )

  it.live("are answered before an upgrade behind them, and nothing of them is in its stream", () =>
    Effect.gen(function* () {
      const to = yield* port
      const all = yield* received(to, GET + GET + UPGRADE, /Connected to Stratix Gateway/)
      const [plain, stream] = all.split("HTTP/1.1 101")
      assert.strictEqual(count(plain ?? "", "HTTP/1.1 200"), 2)
      assert.notInclude(stream, "HTTP/1.1")
    }).pipe(over(), Effect.provide(quiet))
  )
})

/** A server that answers everything with more than the buffers of both kernels hold; `asked` when it does. */
const largeAnswers = Effect.gen(function* () {
  const body = Buffer.alloc(32 * 1024 * 1024)
  const asked = yield* Deferred.make<Net.Socket>()
  const listener = yield* HttpPipeline.make((incoming, response) => {
    response.end(body)
    Deferred.unsafeDone(asked, Effect.succeed(incoming.socket))
  })
  const server = yield* Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const made = Http.createServer(listener)
      made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) => Effect.sync(() => made.close().closeAllConnections())
  )
  return { asked: Deferred.await(asked), server }
})

describe("an answer that is not read", () => {
  it.scoped("ends its socket at exactly the response timeout, counted", () =>
    Effect.gen(function* () {
      const { asked, server } = yield* largeAnswers
      const to = yield* Effect.provideService(port, NodeServer.NodeServer, server)
      const client = connect(to, GET)
      const socket = yield* asked
      yield* nextTurn
      yield* TestClock.adjust("59999 millis")
      assert.isFalse(socket.destroyed)
      assert.strictEqual(yield* refusedBy("timeout", TestClock.adjust("1 millis")), 1)
      assert.isTrue(socket.destroyed)
      client.destroy()
    }).pipe(Effect.provide(Layer.mergeAll(StatusSyncConfig.layer(), Refusals.layer, quiet)))
  )
})

describe("an upgrade to another protocol than WebSocket", () => {
  const H2C = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n"

  it.live("is served as plain HTTP", () =>
    Effect.gen(function* () {
      const to = yield* port
      const health = yield* received(to, `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${H2C}\r\n`)
      assert.match(health, /^HTTP\/1.1 200 OK[\s\S]*\{"status":"ok",.*\}$/)
      const body = JSON.stringify({ status: "busy" })
      const publish = `PUT /api/stratix/agents/a/status HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\n`
      const published = yield* received(to, `${publish}content-length: ${body.length}\r\n${H2C}\r\n${body}`)
      assert.match(published, /^HTTP\/1.1 202 Accepted/)
    }).pipe(over(), Effect.provide(quiet))
  )
})

describe("a path that only looks like a route", () => {
  it.live("is not found", () =>
    Effect.gen(function* () {
      for (const path of [
        "/API/stratix/state",
        "//healthz",
        "/api//stratix/state",
        "/api/stratix/%73tate",
        "/%68ealthz",
        "/healthz/",
        "/healthz;x",
        "/api/stratix/state/",
        "/api/stratix/state;x"
      ]) {
        assert.strictEqual((yield* request("GET", path)).status, 404, path)
      }
      // To the router, "a;b" would be the agent "a".
      assert.strictEqual((yield* request("DELETE", "/api/stratix/agents/a;b")).status, 404)
      assert.strictEqual((yield* request("DELETE", "/api/stratix/agents/a%3Bb")).status, 202)
    }).pipe(over(), Effect.provide(quiet))
  )
})

describe("a body in pieces of one byte", () => {
  it.live("takes no more memory than its limit allows", () =>
    Effect.gen(function* () {
      const to = yield* port
      const head =
        "POST /api/stratix/events HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
      const before = process.memoryUsage()
      const socket = connect(to, head)
      const pieces = "1\r\nx\r\n".repeat(10_000)
      for (let i = 0; i < 100; i++)
        yield* Effect.async<void>((resume) => void socket.write(pieces, () => resume(Effect.void)))
      yield* request("GET", "/healthz")
      const after = process.memoryUsage()
      assert.isBelow(after.arrayBuffers - before.arrayBuffers + after.heapUsed - before.heapUsed, 64 * 1024 * 1024)
      socket.destroy()
    }).pipe(over(), Effect.provide(quiet))
  )
})
