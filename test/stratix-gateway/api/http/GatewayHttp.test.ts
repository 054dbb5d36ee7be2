import { once } from "node:events"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  Connections,
  EventLog,
  type NodeServer,
  StatusSync,
  type StatusSyncConfig
} from "../../../../src/stratix-gateway/index.js"
import { version } from "../../../../src/stratix-gateway/runtime/Version.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { type Answer, port, quiet, request } from "../../support/gateway.js"

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs(settings), quiet)

const event = (eventType: string, payload: unknown, more: object = {}) => ({ eventType, payload, ...more })

describe("HTTP routes", () => {
  it.live("every publish route sends its event, and answers 202 with the offset", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      const answers = [
        yield* request("POST", "/api/stratix/agents", { body: { agentId: "a/1", name: "One", type: "writer" } }),
        yield* request("PUT", "/api/stratix/agents/a%2F1/status", { body: { status: "busy" } }),
        yield* request("PUT", "/api/stratix/commands/c1/status", {
          body: { commandStatus: "running", agentId: "a/1", progress: 12.5 }
        }),
        yield* request("POST", "/api/stratix/events", {
          body: event("stratix:note", { n: 1 }, { timestamp: 1645521234567, requestId: "r1" })
        })
      ]
      for (const answer of answers) assert.strictEqual(answer.status, 202)
      assert.match(JSON.stringify(answers[1]?.body), /^\{"offset":"[^"]+","epoch":"[^"]+"\}$/)
      assert.match(JSON.stringify(answers[3]?.body), /^\{"offsets":\["[^"]+"\],"epoch":"[^"]+"\}$/)
      const events = yield* client.takeN(4)
      assert.deepStrictEqual(
        events.map(({ eventType, payload }) => [eventType, payload]),
        [
          ["stratix:agent_create", { agentId: "a/1", name: "One", type: "writer" }],
          ["stratix:agent_status_update", { agentId: "a/1", status: "busy" }],
          [
            "stratix:command_status_update",
            { commandId: "c1", agentId: "a/1", commandStatus: "running", progress: 12.5 }
          ],
          ["stratix:note", { n: 1 }]
        ]
      )
      assert.match(
        (yield* client.raw)[3] ?? "",
        /"payload":\{"commandId":"c1","agentId":"a\/1","commandStatus":"running","progress":12.5\}/
      )
      assert.strictEqual(
        (yield* client.raw)[4],
        '{"eventType":"stratix:note","payload":{"n":1},"timestamp":1645521234567,"requestId":"r1"}'
      )
    }).pipe(Effect.provide(over()))
  )

  it.live("an agent is removed, with its commands where asked", () =>
    Effect.gen(function* () {
      const { notifyAgentCreate, notifyAgentStatus, notifyCommandStatus } = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      for (const agentId of ["a/1", "b"]) {
        yield* notifyAgentCreate(agentId, "One", "writer")
        yield* notifyAgentStatus(agentId, "busy")
        yield* notifyCommandStatus(`c-${agentId}`, agentId, "running")
      }
      const keys = Effect.map(request("GET", "/api/stratix/state"), ({ body }) =>
        JSON.stringify(body).match(/"eventType"/g)
      )
      assert.strictEqual((yield* request("DELETE", "/api/stratix/agents/a%2F1")).status, 202)
      assert.strictEqual((yield* keys)?.length, 4)
      assert.strictEqual((yield* request("DELETE", "/api/stratix/agents/b?commands=true")).status, 202)
      assert.strictEqual((yield* keys)?.length, 1)
      assert.strictEqual((yield* request("DELETE", "/api/stratix/agents/b?commands=perhaps")).status, 400)
      const told = (yield* client.takeN(10)).slice(7)
      assert.deepStrictEqual(
        told.map(({ eventType, payload }) => [eventType, payload]),
        [
          ["stratix:agent_remove", { agentId: "a/1" }],
          ["stratix:command_remove", { commandId: "c-b", agentId: "b" }],
          ["stratix:agent_remove", { agentId: "b" }]
        ]
      )
    }).pipe(Effect.provide(over()))
  )

  it.live("an array is published whole, next to each other, or not at all", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      const bad = yield* request("POST", "/api/stratix/events", {
        body: [event("stratix:note", {}), event("stratix:agent_status_update", { agentId: "a", status: "asleep" })]
      })
      assert.strictEqual(bad.status, 400)
      assert.deepStrictEqual(bad.body, {
        error: "InvalidField",
        field: "1.payload.status",
        message: '1.payload.status: must be one of "online", "offline", "busy", "error", got "asleep"'
      })
      const good = yield* request("POST", "/api/stratix/events", {
        body: Array.from({ length: 1000 }, (_, i) => event("stratix:note", { i }))
      })
      assert.strictEqual(good.status, 202)
      const events = yield* client.takeN(1000)
      assert.deepStrictEqual(events.at(-1)?.payload, { i: 999 })
      const state = yield* request("GET", "/api/stratix/state")
      assert.deepInclude(state.body, { events: [] })
    }).pipe(Effect.provide(over()))
  )

  it.live("where the connection is closed with the answer, what is left of a body that is refused is read first", () =>
    Effect.gen(function* () {
      const to = yield* port
      const cases = [
        ["content-length: 8000000\r\ncontent-type: application/json", 413],
        ["transfer-encoding: chunked\r\ncontent-type: application/json", 413],
        ["content-length: 8000000\r\ncontent-type: text/plain", 415],
        ["content-length: 8000000\r\norigin: https://evil.example", 403]
      ] as const
      // Listeners that pile up are warned of.
      const warnings: Array<string> = []
      const onWarning = ({ message }: Error) => warnings.push(message)
      process.on("warning", onWarning)
      for (const [headers, status] of cases) {
        const socket = Net.connect(to, "127.0.0.1")
        let answer = ""
        socket.on("data", (data: Buffer) => {
          answer += data.toString()
        })
        const write = (text: string) =>
          Effect.async<void>((resume) => {
            socket.write(text, () => resume(Effect.void))
          })
        const chunked = headers.startsWith("transfer")
        const chunk = "x".repeat(4_000_000)
        const part = chunked ? `3d0900\r\n${chunk}\r\n` : chunk
        yield* write(`POST /api/stratix/events HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n${headers}\r\n\r\n`)
        yield* write(part)
        // Meanwhile the gateway has seen that it is too large; an answer would have come before this one.
        yield* request("GET", "/healthz")
        assert.strictEqual(answer, "")
        yield* write(part)
        if (chunked) yield* write("0\r\n\r\n")
        yield* Effect.promise(() => once(socket, "end"))
        assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      }
      process.off("warning", onWarning)
      assert.deepStrictEqual(warnings, [])
    }).pipe(Effect.provide(over()))
  )

  it.live(
    "a page of an allowed origin may ask from its browser: the preflight and the answer say so, and no other",
    () =>
      Effect.gen(function* () {
        const preflight = (origin: string) =>
          request("OPTIONS", "/api/stratix/agents/a/status", {
            headers: {
              origin,
              "access-control-request-method": "PUT",
              "access-control-request-headers": "authorization,content-type"
            }
          })
        const allowed = yield* preflight("https://dashboard.example")
        assert.strictEqual(allowed.status, 204)
        assert.strictEqual(allowed.headers["access-control-allow-origin"], "https://dashboard.example")
        assert.include(allowed.headers["access-control-allow-methods"], "PUT")
        assert.include(allowed.headers["access-control-allow-headers"], "authorization")
        assert.isUndefined(allowed.headers["access-control-allow-credentials"])

        const headers = { origin: "https://dashboard.example" }
        const published = yield* request("PUT", "/api/stratix/agents/a/status", { body: { status: "busy" }, headers })
        const state = yield* request("GET", "/api/stratix/state", { headers })
        const wrong = yield* request("PUT", "/api/stratix/agents/a/status", { body: { status: "asleep" }, headers })
        assert.deepStrictEqual([published.status, state.status, wrong.status], [202, 200, 400])
        for (const answer of [published, state, wrong]) {
          assert.strictEqual(answer.headers["access-control-allow-origin"], "https://dashboard.example")
          assert.include(answer.headers["vary"], "Origin")
        }

        const other = yield* preflight("https://evil.example")
        assert.strictEqual(other.status, 403)
        assert.isUndefined(other.headers["access-control-allow-origin"])
        assert.isUndefined((yield* request("GET", "/api/stratix/state")).headers["access-control-allow-origin"])
      }).pipe(Effect.provide(over({ allowedOrigins: ["https://dashboard.example"] })))
  )

  it.live(
    "a status may come with a lease, which is no part of it; a renewal says in which log, or that there is none",
    () =>
      Effect.gen(function* () {
        const { id, stats } = yield* EventLog.EventLog
        const client = yield* TestClients.connect()
        const put = (path: string, body?: unknown) => request("PUT", `/api/stratix/agents/${path}`, { body })
        assert.deepInclude(yield* put("a%2F1/status", { status: "busy", leaseMs: 60_000, endCommands: true }), {
          status: 202
        })
        yield* request("POST", "/api/stratix/events", {
          body: [event("stratix:agent_status_update", { agentId: "b", status: "online" }, { leaseMs: 60_000 })]
        })
        assert.strictEqual(stats().leases, 2)
        const [, first, second] = yield* client.takeN(3)
        assert.deepStrictEqual(first?.payload, { agentId: "a/1", status: "busy" })
        assert.deepStrictEqual(second?.payload, { agentId: "b", status: "online" })
        const renewed = yield* put("a%2F1/lease")
        assert.deepStrictEqual([renewed.status, renewed.body], [200, { epoch: id }])
        const none = yield* put("c/lease")
        assert.strictEqual(none.status, 404)
        assert.deepInclude(none.body, { error: "NoLease" })
        const wrong = yield* put("a/status", { status: "busy", leaseMs: "1 minute" })
        assert.strictEqual(wrong.status, 400)
        assert.deepInclude(wrong.body, { field: "leaseMs" })
      }).pipe(Effect.provide(over()))
  )

  it.live("leases of many agents are renewed in one request, which names those that have none", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const { id } = yield* EventLog.EventLog
      for (const agentId of ["a", "b"]) yield* sync.notifyAgentStatus(agentId, "busy", { lease: "1 minute" })
      const renew = (body: unknown) => request("POST", "/api/stratix/leases", { body })
      assert.deepStrictEqual((yield* renew({ agents: ["a", "c", "b"] })).body, { epoch: id, missing: ["c"] })
      for (const wrong of [{}, { agents: [] }, { agents: [1] }, []])
        assert.strictEqual((yield* renew(wrong)).status, 400)
    }).pipe(Effect.provide(over()))
  )

  it.live("the same request with the same Idempotency-Key is published once, and answered as the first time", () =>
    Effect.gen(function* () {
      const { stats } = yield* EventLog.EventLog
      const put = (agentId: string, key: string) =>
        request("PUT", `/api/stratix/agents/${agentId}/status`, {
          body: { status: "busy" },
          headers: { "idempotency-key": key }
        })
      const first = yield* put("a", "k")
      assert.deepStrictEqual((yield* put("a", "k")).body, first.body)
      yield* put("b", "k")
      yield* put("a", "other")
      const events = () =>
        request("POST", "/api/stratix/events", {
          body: [event("stratix:note", { n: 1 }), event("stratix:note", { n: 2 })],
          headers: { "idempotency-key": "k" }
        })
      assert.deepStrictEqual((yield* events()).body, (yield* events()).body)
      assert.strictEqual(stats().historyEvents, 5)
      assert.strictEqual((yield* put("a", "k".repeat(300))).status, 400)
    }).pipe(Effect.provide(over()))
  )

  it.live("the state is the newest event of every key, each with its offset", () =>
    Effect.gen(function* () {
      for (const status of ["online", "busy"])
        yield* request("PUT", "/api/stratix/agents/a/status", { body: { status } })
      const last = yield* request("PUT", "/api/stratix/agents/b/status", { body: { status: "error" } })
      const { body } = yield* request("GET", "/api/stratix/state")
      const state = body as { head: string; events: Array<{ payload: unknown; offset: string }> }
      assert.deepStrictEqual(
        state.events.map(({ payload }) => payload),
        [
          { agentId: "a", status: "busy" },
          { agentId: "b", status: "error" }
        ]
      )
      assert.deepInclude(last.body, { offset: state.head })
      assert.strictEqual(state.events[1]?.offset, state.head)
    }).pipe(Effect.provide(over()))
  )

  it.live(
    "bad input is answered with what is wrong and what would be right, and nothing is published",
    () =>
      Effect.gen(function* () {
        const client = yield* TestClients.connect()
        yield* client.take
        const status = "/api/stratix/agents/a/status"
        const cases: ReadonlyArray<readonly [number, RegExp, Effect.Effect<Answer, never, NodeServer.NodeServer>]> = [
          [
            400,
            /"field":"status","message":"status: must be one of/,
            request("PUT", status, { body: { status: "asleep" } })
          ],
          [400, /"field":"status","message":"status: is missing/, request("PUT", status, { body: {} })],
          [
            400,
            /"field":"agentId","message":"agentId: is in the path/,
            request("PUT", status, { body: { agentId: "b", status: "busy" } })
          ],
          [
            400,
            /"field":"__proto__".*cannot name a field/,
            request("PUT", status, { body: JSON.parse('{"status":"busy","__proto__":1}') })
          ],
          [400, /NotJson.*not JSON/, request("PUT", status, { text: "{status" })],
          [400, /must be a JSON object/, request("PUT", status, { body: ["busy"] })],
          [400, /must be a JSON object/, request("PUT", status, { text: "null" })],
          [
            400,
            /"field":"agentId".*1 to 256/,
            request("PUT", `/api/stratix/agents/${"a".repeat(300)}/status`, { body: { status: "busy" } })
          ],
          [
            400,
            /"field":"progress".*0 to 100, got 140/,
            request("PUT", "/api/stratix/commands/c/status", {
              body: { agentId: "a", commandStatus: "running", progress: 140 }
            })
          ],
          [
            400,
            /1 to 1000 events, has 1001/,
            request("POST", "/api/stratix/events", {
              body: Array.from({ length: 1001 }, () => event("stratix:note", {}))
            })
          ],
          [400, /1 to 1000 events, has 0/, request("POST", "/api/stratix/events", { body: [] })],
          [400, /"field":"0".*must be an object/, request("POST", "/api/stratix/events", { body: [null, 1] })],
          [400, /eventType/, request("POST", "/api/stratix/events", { body: {} })],
          [
            400,
            /"field":"offset".*not a field of an event/,
            request("POST", "/api/stratix/events", { body: event("stratix:x", {}, { offset: "1" }) })
          ],
          [
            415,
            /must be application\/json, is text\/plain/,
            request("PUT", status, { text: '{"status":"busy"}', headers: { "content-type": "text/plain" } })
          ],
          [415, /must be application\/json, is absent/, request("POST", "/api/stratix/events")],
          [
            413,
            /at most 100000 bytes/,
            request("POST", "/api/stratix/events", { body: event("stratix:x", { pad: "x".repeat(120_000) }) })
          ],
          [
            413,
            /at most 100000 bytes/,
            request("POST", "/api/stratix/events", {
              body: event("stratix:x", { pad: "x".repeat(120_000) }),
              headers: { "transfer-encoding": "chunked" }
            })
          ],
          [
            403,
            /origin is not allowed/,
            request("PUT", status, { body: { status: "busy" }, headers: { origin: "https://evil.example" } })
          ],
          [
            403,
            /STRATIX_ALLOWED_HOSTS/,
            request("PUT", status, {
              body: { status: "busy" },
              headers: { origin: "http://evil.example:3001", host: "evil.example:3001" }
            })
          ],
          [
            403,
            /origin is not allowed/,
            request("GET", "/api/stratix/state", { headers: { origin: "https://evil.example" } })
          ],
          [404, /there is no GET \/nope: see \/openapi.json/, request("GET", "/nope")],
          [426, /new WebSocket/, request("GET", "/")]
        ]
        for (const [code, text, effect] of cases) {
          const answer = yield* effect
          assert.strictEqual(answer.status, code, JSON.stringify(answer.body))
          assert.match(JSON.stringify(answer.body), text)
        }
        yield* StatusSyncTest.settled
        assert.strictEqual((yield* client.received).length, 1)
      }).pipe(Effect.provide(over({ maxBodyBytes: 100_000 }))),
    20_000
  )

  it.live("health and readiness; a draining gateway is alive and not ready", () =>
    Effect.gen(function* () {
      const connections = yield* Connections.Connections
      assert.deepStrictEqual((yield* request("GET", "/healthz")).body, { status: "ok", version })
      assert.strictEqual((yield* request("GET", "/readyz")).status, 200)
      yield* connections.drain
      const ready = yield* request("GET", "/readyz")
      assert.deepStrictEqual([ready.status, ready.body], [503, { status: "draining" }])
      assert.strictEqual((yield* request("GET", "/healthz")).status, 200)
    }).pipe(Effect.provide(over()))
  )

  it.live("the OpenAPI document names every route", () =>
    Effect.gen(function* () {
      const { body } = yield* request("GET", "/openapi.json")
      const paths = (body as { paths: Record<string, Record<string, unknown>> }).paths
      assert.includeMembers(
        Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`)),
        [
          "post /api/stratix/events",
          "put /api/stratix/agents/{agentId}/status",
          "put /api/stratix/commands/{commandId}/status",
          "post /api/stratix/agents",
          "get /api/stratix/state",
          "get /healthz",
          "get /readyz"
        ]
      )
    }).pipe(Effect.provide(over()))
  )
})
