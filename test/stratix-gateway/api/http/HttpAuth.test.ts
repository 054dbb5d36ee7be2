import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Authenticator, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../../src/stratix-testing/index.js"
import { quiet, recorded, refusedBy, request, secretOf, token } from "../../support/gateway.js"

const tokens = [
  token("ci", ["publish"]),
  token("dash", ["subscribe"], { visible: { agents: ["mine"] } }),
  token("all", ["subscribe", "publish"]),
  token("nobody", [])
]

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs(settings, Authenticator.layerTokens(tokens)), quiet)

const routes: ReadonlyArray<
  readonly [method: string, path: string, body: unknown, permission: "publish" | "subscribe"]
> = [
  ["POST", "/api/stratix/events", { eventType: "stratix:note", payload: {} }, "publish"],
  ["PUT", "/api/stratix/agents/a/status", { status: "busy" }, "publish"],
  ["PUT", "/api/stratix/commands/c/status", { agentId: "a", commandStatus: "running" }, "publish"],
  ["POST", "/api/stratix/agents", { agentId: "a", name: "A", type: "worker" }, "publish"],
  ["GET", "/api/stratix/state", undefined, "subscribe"]
]

describe("tokens on the HTTP routes", () => {
  it.live("every route that publishes or tells the state asks for one, with its permission", () =>
    Effect.gen(function* () {
      for (const [method, path, body, permission] of routes) {
        const missing = yield* request(method, path, { body })
        assert.strictEqual(missing.status, 401, path)
        assert.strictEqual(missing.headers["www-authenticate"], 'Bearer realm="stratix"')
        assert.deepStrictEqual(missing.body, { error: "Unauthenticated", message: "a token is needed" })

        const wrong = yield* request(method, path, { body, token: secretOf("wrong") })
        assert.strictEqual(wrong.status, 401, path)
        assert.strictEqual(wrong.headers["www-authenticate"], 'Bearer realm="stratix", error="invalid_token"')

        const forbidden = yield* request(method, path, {
          body,
          token: secretOf(permission === "publish" ? "dash" : "ci")
        })
        assert.strictEqual(forbidden.status, 403, path)
        assert.include(forbidden.headers["www-authenticate"], `scope="stratix:${permission}"`)
        assert.match(JSON.stringify(forbidden.body), new RegExp(`may not ${permission}`))

        const good = yield* request(method, path, { body, token: secretOf("all") })
        assert.strictEqual(good.status, permission === "publish" ? 202 : 200, path)
      }
    }).pipe(Effect.provide(over()))
  )

  it.live("one that is refused publishes nothing, and its body is not read", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "unauthenticated",
        // The body never comes: an answer shows that nobody waits for it.
        Effect.map(
          request("POST", "/api/stratix/events", {
            headers: { "content-type": "application/json", "content-length": "4000000" }
          }).pipe(Effect.timeout("10 seconds")),
          ({ status }) => assert.strictEqual(status, 401)
        )
      )
      assert.strictEqual(count, 1)
      for (const name of ["dash", "nobody", "wrong"]) {
        yield* request("PUT", "/api/stratix/agents/a/status", { body: { status: "busy" }, token: secretOf(name) })
      }
      const state = yield* request("GET", "/api/stratix/state", { token: secretOf("all") })
      assert.deepInclude(state.body, { events: [] })
    }).pipe(Effect.provide(over()))
  )

  it.live("a publisher that has spent its rate gets 429 with Retry-After before its body is read", () =>
    Effect.gen(function* () {
      const events = Array.from({ length: 10 }, () => ({ eventType: "stratix:note", payload: {} }))
      const spent = yield* request("POST", "/api/stratix/events", { body: events, token: secretOf("ci") })
      assert.strictEqual(spent.status, 202)
      // The body never comes.
      const refused = yield* request("POST", "/api/stratix/events", {
        token: secretOf("ci"),
        headers: { "content-type": "application/json", "content-length": "4000000" }
      }).pipe(Effect.timeout("10 seconds"))
      assert.strictEqual(refused.status, 429)
      assert.isAtLeast(Number(refused.headers["retry-after"]), 1)
      assert.deepInclude(refused.body, { error: "TooMany" })
    }).pipe(Effect.provide(over({ publishRate: 1 })))
  )

  it.live("the state shows what the token lets see, and no more", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      yield* notifyAgentStatus("mine", "busy")
      yield* notifyAgentStatus("theirs", "busy")
      const agents = (body: unknown) => [...JSON.stringify(body).matchAll(/"agentId":"(\w+)"/g)].map(([, id]) => id)
      assert.deepStrictEqual(agents((yield* request("GET", "/api/stratix/state", { token: secretOf("dash") })).body), [
        "mine"
      ])
      assert.deepStrictEqual(agents((yield* request("GET", "/api/stratix/state", { token: secretOf("all") })).body), [
        "mine",
        "theirs"
      ])
    }).pipe(Effect.provide(over()))
  )

  it.live("a token in the query string is not looked at, even where the WebSocket takes it", () =>
    Effect.gen(function* () {
      const answer = yield* request("GET", `/api/stratix/state?token=${secretOf("all")}`)
      assert.strictEqual(answer.status, 401)
    }).pipe(Effect.provide(over({ queryTokens: true })))
  )

  it.live("health and the OpenAPI document are there for everybody; the document says which routes ask", () =>
    Effect.gen(function* () {
      for (const path of ["/healthz", "/readyz", "/openapi.json"]) {
        assert.strictEqual((yield* request("GET", path)).status, 200, path)
      }
      const { body } = yield* request("GET", "/openapi.json")
      const text = JSON.stringify(body)
      const { paths } = body as { readonly paths: Record<string, Record<string, { readonly security?: unknown }>> }
      for (const [path, operations] of Object.entries(paths)) {
        for (const [method, { security }] of Object.entries(operations)) {
          const asks = path.startsWith("/api/") || path === "/metrics"
          assert.deepStrictEqual(security ?? [], asks ? [{ stratix: [] }] : [], `${method} ${path}`)
        }
      }
      assert.match(text, /"securitySchemes":\{"stratix":\{[^}]*"type":"http","scheme":"bearer"/)
    }).pipe(Effect.provide(over()))
  )

  it.live("a page of another origin is refused before its token is looked at", () =>
    Effect.gen(function* () {
      const headers = { origin: "https://evil.example" }
      const count = yield* refusedBy(
        "origin",
        Effect.gen(function* () {
          const answer = yield* request("PUT", "/api/stratix/agents/a/status", {
            body: { status: "busy" },
            token: secretOf("ci"),
            headers
          })
          assert.strictEqual(answer.status, 403)
        })
      )
      assert.strictEqual(count, 1)
    }).pipe(Effect.provide(over()))
  )

  it.live("a revoked one is refused", () =>
    Effect.gen(function* () {
      const { revoke } = yield* Authenticator.Authenticator
      yield* revoke("ci")
      const answer = yield* request("PUT", "/api/stratix/agents/a/status", {
        body: { status: "busy" },
        token: secretOf("ci")
      })
      assert.deepStrictEqual(
        [answer.status, answer.body],
        [401, { error: "Unauthenticated", message: "the token was revoked" }]
      )
    }).pipe(Effect.provide(over()))
  )

  it.live("one is never logged", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      for (const name of ["ci", "dash", "wrong"]) {
        for (const [method, path, body] of routes) {
          yield* request(method, path, { body, token: secretOf(name) })
          yield* request(method, `${path}?token=${secretOf(name)}`, { body })
        }
        yield* request("GET", `/nowhere?token=${secretOf(name)}`, { token: secretOf(name) })
      }
      assert.isAbove(lines.length, 2)
      for (const line of lines) assert.notInclude(line, "0123456789abcdef")
    }).pipe(
      Effect.provide(Layer.provideMerge(StatusSyncTest.layerWs({}, Authenticator.layerTokens(tokens)), recorded(lines)))
    )
  })
})
