import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { Authenticator, Connections, StatusSync } from "../../../../../src/stratix-gateway/index.js"
import { Metrics } from "../../../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../../../support/waiting.js"
import { bearer, port, quiet, refusal, request, secretOf, token } from "../../../support/gateway.js"
import { overWs } from "../../../support/gateways.js"
import { connected, ended, read, requestText } from "../../../support/rawSocket.js"

const PATH = "/api/stratix/stream"

/** The head of an answer, and the messages after it, without the last part of it that may be incomplete. */
const parts = (answer: string) => {
  const [head = "", body = ""] = answer.split(/\r\n\r\n(.*)/s)
  return { head, messages: body.split("\n\n").slice(0, -1) }
}

describe("the event stream, to the letter", () => {
  it.scopedLive("is a retry, named control messages without an id, and events with their offset as id", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const offset = yield* sync.notifyAgentStatus("a", "busy")
      const socket = yield* connected(yield* port, requestText(PATH, { Origin: "http://localhost:5173" }))
      const { head, messages } = parts(yield* read(socket, /"offset":"[^"]*"\}\n\n/))
      assert.match(head, /^HTTP\/1.1 200 OK\r\n/)
      for (const header of [
        "content-type: text/event-stream; charset=utf-8",
        "cache-control: no-store, no-transform",
        "x-accel-buffering: no",
        "access-control-allow-origin: http://localhost:5173",
        "Connection: close"
      ])
        assert.include(head, `\r\n${header}`)
      assert.notMatch(head, /content-length|transfer-encoding/i)
      const [retry = "", welcome = "", announced = "", event = "", ...rest] = messages
      assert.deepStrictEqual(rest, [])
      const millis = Number(/^retry: (\d+)$/.exec(retry)?.[1])
      assert.isTrue(millis >= 500 && millis < 5000)
      assert.match(
        welcome,
        /^event: stratix:connected\ndata: \{"eventType":"stratix:connected","payload":\{"message":"Connected to Stratix Gateway","connectionId":"conn-1","head":"[^"]+","epoch":"[^"]+","heartbeat":\{"intervalMs":30000,"timeoutMs":60000,"keepAliveMs":4000\}\},"timestamp":\d+,"requestId":"[^"]+","sentAt":\d+\}$/
      )
      assert.match(
        announced,
        /^event: stratix:sync\nid:\ndata: \{"eventType":"stratix:sync","payload":\{"mode":"snapshot","to":"[^"]+","count":1,"lost":0\},"timestamp":\d+,"requestId":"[^"]+","sentAt":\d+\}$/
      )
      assert.match(
        event,
        new RegExp(
          `^: \\d+\\nid: ${offset}\\ndata: \\{"eventType":"stratix:agent_status_update","payload":\\{"agentId":"a","status":"busy"\\},"timestamp":\\d+,"requestId":"[^"]+","offset":"${offset}"\\}$`
        )
      )
    }).pipe(Effect.provide(overWs()))
  )

  it.scopedLive("goes on after `Last-Event-ID`, whatever `since` says, within its filter", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const first = yield* sync.notifyAgentStatus("a", "busy")
      const second = yield* sync.notifyAgentStatus("a", "online")
      yield* sync.notifyAgentStatus("b", "error")
      yield* sync.notifyAgentStatus("a", "offline")
      const query = `agents=a&since=${first}`
      const since = yield* TestClients.connect({ stream: true, query })
      const resumed = yield* TestClients.connect({ stream: true, query, headers: { "last-event-id": second } })
      const fresh = yield* TestClients.connect({ stream: true, query, headers: { "last-event-id": "" } })
      const statuses = (client: TestClients.TestClient, count: number) =>
        Effect.map(client.takeN(count), (messages) => messages.slice(1).map(({ payload }) => payload))
      assert.deepInclude((yield* statuses(since, 4))[0], { mode: "resume", from: first, count: 2 })
      assert.deepStrictEqual((yield* statuses(resumed, 3)).slice(1), [{ agentId: "a", status: "offline" }])
      assert.deepInclude((yield* statuses(fresh, 4))[0], { from: first })
    }).pipe(Effect.provide(overWs()))
  )

  it.scopedLive("is served to HTTP/1.0", () =>
    Effect.gen(function* () {
      const socket = yield* connected(yield* port, requestText(PATH).replace("HTTP/1.1", "HTTP/1.0"))
      const { head, messages } = parts(yield* read(socket, /stratix:sync.*\n\n/))
      assert.notMatch(head, /transfer-encoding/i)
      assert.match(messages[1] ?? "", /^event: stratix:connected/)
    }).pipe(Effect.provide(overWs()))
  )
})

describe("a request for an event stream", () => {
  const guarded = StatusSyncTest.layerWs(
    { maxConnections: 1 },
    Authenticator.layerTokens([token("ann", ["subscribe"]), token("bob", ["publish"])])
  )

  it.scopedLive(
    "is refused as an upgrade is: method, body, query, token, permission, limit; each gives its permit back",
    () =>
      Effect.gen(function* () {
        const ask = (options: TestClients.ConnectOptions) => refusal({ stream: true, ...options })
        const ann = bearer(secretOf("ann"))
        for (let i = 0; i < 3; i++) {
          assert.strictEqual((yield* request("HEAD", PATH)).status, 405)
          assert.strictEqual((yield* request("POST", PATH)).status, 404)
          assert.strictEqual((yield* request("GET", PATH, { text: "{}", token: secretOf("ann") })).status, 400)
          assert.strictEqual((yield* ask({ ...ann, query: "agents=" })).status, 400)
          const unknown = yield* request("GET", PATH)
          assert.strictEqual(unknown.status, 401)
          assert.strictEqual(unknown.headers["www-authenticate"], 'Bearer realm="stratix"')
          assert.deepInclude(unknown.body, { error: "unauthorized" })
          assert.strictEqual((yield* ask({ query: `token=${secretOf("ann")}` })).status, 401)
          assert.strictEqual((yield* ask(bearer(secretOf("bob")))).status, 403)
        }
        const client = yield* TestClients.connect({ stream: true, ...ann })
        yield* client.take
        const full = yield* request("GET", PATH, { token: secretOf("ann") })
        assert.strictEqual(full.status, 503)
        assert.strictEqual(full.headers["retry-after"], "10")
        yield* client.drop
        yield* untilCount(0)
        yield* (yield* TestClients.connect({ stream: true, ...ann })).take
      }).pipe(Effect.provide(guarded), Effect.provide(quiet))
  )

  it.scopedLive("is counted and reported by its protocol, and ended by an operator", () =>
    Effect.gen(function* () {
      const joins = Metric.value(Metric.tagged(Metrics.joins, "protocol", "stream"))
      const before = (yield* joins).count
      const client = yield* TestClients.connect({ stream: true })
      yield* client.take
      assert.strictEqual((yield* joins).count, before + 1)
      const [connection] = yield* Effect.flatMap(Connections.Connections, ({ all }) => all)
      assert.strictEqual(connection?.info.protocol, "stream")
      assert.strictEqual((yield* request("DELETE", "/api/stratix/connections/conn-1")).status, 204)
      assert.strictEqual((yield* client.closed).code, 1000)
      yield* untilCount(0)
    }).pipe(Effect.provide(overWs()))
  )
})

describe("a client of an event stream", () => {
  it.scopedLive("that sends what is no request loses its connection, and nothing more", () =>
    Effect.gen(function* () {
      const other = yield* TestClients.connect({ stream: true })
      yield* other.takeN(2)
      const socket = yield* connected(yield* port, requestText(PATH))
      yield* read(socket, /stratix:sync.*\n\n/)
      socket.write("\0\0\0 this is no request\r\n\r\n")
      yield* ended(socket)
      yield* untilCount(1)
      yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.notifyAgentStatus("a", "busy"))
      assert.strictEqual((yield* other.take).eventType, "stratix:agent_status_update")
    }).pipe(Effect.provide(overWs()))
  )

  it.scopedLive(
    "that half-closes has left; what it pipelines behind is not answered, and does not disturb the stream",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const half = yield* connected(yield* port, requestText(PATH))
        yield* read(half, /stratix:sync.*\n\n/)
        half.end()
        yield* untilCount(0)
        const pipelining = yield* connected(yield* port, requestText(PATH))
        yield* read(pipelining, /stratix:sync.*\n\n/)
        pipelining.write(requestText("/healthz"))
        yield* Effect.repeatN(nextTurn, 20)
        yield* sync.notifyAgentStatus("a", "busy")
        const text = yield* read(pipelining, /"offset"/)
        assert.match(text, /^: \d+\nid: /)
        pipelining.destroy()
        // The gateway does not read a socket with a request that waits: it hears of the end when it writes.
        while ((yield* sync.clientCount) > 0) {
          yield* sync.notifyAgentStatus("a", "busy")
          yield* nextTurn
        }
      }).pipe(Effect.provide(overWs()))
  )
})
