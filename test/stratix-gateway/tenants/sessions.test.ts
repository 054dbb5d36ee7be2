import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { Authenticator, EventLog } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { quiet, refusal, request } from "../support/gateway.js"

const COOKIE = "session=of-ada"
const asked: Array<string | undefined> = []

/** Whoever has the cookie may do everything. */
const authenticator = Layer.scoped(
  Authenticator.Authenticator,
  Authenticator.make({
    verifiers: [
      {
        verify: ({ headers }) => {
          const { cookie, origin } = headers
          asked.push(typeof origin === "string" ? origin : undefined)
          return cookie === COOKIE
            ? Exit.succeed({ ...Authenticator.anonymous, name: "ada" })
            : Exit.fail(new Authenticator.Unauthenticated({ reason: "Missing", message: "sign in first" }))
        }
      }
    ]
  })
)

const gateway = Layer.provideMerge(
  StatusSyncTest.layerWs({ allowedOrigins: ["https://dashboard.example"] }, authenticator),
  quiet
)

const changing: ReadonlyArray<readonly [method: string, path: string, body: unknown]> = [
  ["POST", "/api/stratix/events", { eventType: "stratix:note", payload: {} }],
  ["PUT", "/api/stratix/agents/a/status", { status: "busy" }],
  ["PUT", "/api/stratix/agents/a/lease", undefined],
  ["POST", "/api/stratix/leases", { agents: ["a"] }],
  ["PUT", "/api/stratix/commands/c/status", { agentId: "a", commandStatus: "running" }],
  ["POST", "/api/stratix/agents", { agentId: "a", name: "A", type: "t" }],
  ["DELETE", "/api/stratix/agents/a", undefined],
  ["DELETE", "/api/stratix/connections/conn-1", undefined]
]

/** What pages of other sites say of themselves: by name, from a sandbox, by a name that looks like an allowed one. */
const strangers = ["https://evil.example", "null", "https://dashboard.example.evil.example", "http://dashboard.example"]

describe("a session by cookie", () => {
  it.live("lets in the WebSocket, the event stream and the routes, from an allowed page and from a program", () =>
    Effect.gen(function* () {
      for (const origin of [undefined, "https://dashboard.example"]) {
        const headers = { cookie: COOKIE, ...(origin !== undefined && { origin }) }
        for (const stream of [false, true]) {
          const client = yield* TestClients.connect({ headers, stream })
          assert.strictEqual((yield* client.take).eventType, "stratix:connected")
          yield* client.drop
        }
        const body = { status: "busy" }
        assert.strictEqual((yield* request("PUT", "/api/stratix/agents/a/status", { body, headers })).status, 202)
        const state = yield* request("GET", "/api/stratix/state", { headers })
        assert.strictEqual(state.status, 200)
        // A page of another origin that is let in reads without the cookie.
        assert.isUndefined(state.headers["access-control-allow-credentials"])
      }
      assert.strictEqual((yield* refusal({ headers: { cookie: "session=of-eve" } })).status, 401)
      assert.strictEqual((yield* request("GET", "/api/stratix/state", {})).status, 401)
    }).pipe(Effect.provide(gateway))
  )

  it.live("is of no use to a page of another site: nothing is opened, read or changed, and no verifier is asked", () =>
    Effect.gen(function* () {
      const { head } = yield* EventLog.EventLog
      const { offset } = head()
      asked.length = 0
      for (const origin of strangers) {
        const headers = { cookie: COOKIE, origin }
        for (const form of [{}, { protocols: ["stratix.sync.v1"] }, { stream: true }]) {
          assert.strictEqual((yield* refusal({ ...form, headers })).status, 403, origin)
        }
        for (const [method, path, body] of [...changing, ["GET", "/api/stratix/state", undefined] as const]) {
          const answer = yield* request(method, path, { body, headers })
          assert.strictEqual(answer.status, 403, `${method} ${path} from ${origin}`)
          assert.isUndefined(answer.headers["access-control-allow-origin"])
        }
        // The question that a browser asks before.
        const preflight = yield* request("OPTIONS", "/api/stratix/events", {
          headers: { ...headers, "access-control-request-method": "POST" }
        })
        assert.strictEqual(preflight.status, 403)
      }
      assert.deepStrictEqual(asked, [])
      assert.strictEqual(head().offset, offset)
    }).pipe(Effect.provide(gateway))
  )

  it.live("publishes nothing by a form, which a page can send without an origin being looked at", () =>
    Effect.gen(function* () {
      const { head } = yield* EventLog.EventLog
      const { offset } = head()
      const text = JSON.stringify({ eventType: "stratix:note", payload: {} })
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        const headers = { cookie: COOKIE, "content-type": type }
        assert.strictEqual((yield* request("POST", "/api/stratix/events", { text, headers })).status, 415)
        assert.strictEqual((yield* request("POST", "/api/stratix/leases", { text, headers })).status, 415)
      }
      assert.strictEqual(head().offset, offset)
    }).pipe(Effect.provide(gateway))
  )
})
