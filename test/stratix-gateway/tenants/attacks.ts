import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Authenticator, EventLog, StatusEvent, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agentsOf } from "../support/authentication.js"
import { bearer, quiet, request, secretOf, token } from "../support/gateway.js"

const every = ["subscribe", "publish", "operator"] as const

/** The two tenants, one who has both, and one without any. */
const authenticator = Authenticator.layerTokens([
  token("left", every, { tenants: ["left"] }),
  token("right", every, { tenants: ["right"] }),
  token("proto", every, { tenants: ["__proto__"] }),
  token("both", every, { tenants: ["left", "right"] }),
  token("plain", every)
])

const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, by: Schema.String }),
  key: ({ zoneId }) => zoneId
})

/** Milliseconds that no test comes near: an append may take as long as the machine takes it. */
const patient = { eventLogTimeout: "60 seconds" } as const

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs({ ...patient, ...settings, events: [Zone] }, authenticator), quiet)

const put = (as: string, path: string, body: unknown, query = "") =>
  request("PUT", `/api/stratix/${path}${query}`, { body, token: secretOf(as) })

const stateOf = (as: string, query = "") =>
  Effect.map(request("GET", `/api/stratix/state${query}`, { token: secretOf(as) }), ({ body, status }) => {
    assert.strictEqual(status, 200)
    return JSON.parse(JSON.stringify(body)).events.map(({ payload }: { payload: unknown }) => payload)
  })

const offsetOf = (answer: { readonly body: unknown }): string => {
  const { offset, offsets } = JSON.parse(JSON.stringify(answer.body))
  return offset ?? offsets[0]
}

const sync = { protocols: ["stratix.sync.v1"] }

const forms: ReadonlyArray<TestClients.ConnectOptions> = [{ query: "snapshot=true" }, sync, { stream: true }]

/** Both sides do this to each other. */
export const attacks = (name: string, settings: () => Partial<StatusSyncConfig.Settings>) =>
  describe(`two tenants of a gateway whose log is in ${name}`, () => {
    const gateway = Layer.unwrapEffect(Effect.sync(() => over(settings())))

    it.live("publish, remove and renew under the same ids, each its own", () =>
      Effect.gen(function* () {
        const running = (agentId: string) => ({ agentId, commandStatus: "running" })
        for (const as of ["left", "right", "proto", "plain"]) {
          assert.strictEqual((yield* put(as, "agents/a/status", { status: "busy", reason: as })).status, 202)
          assert.strictEqual((yield* put(as, "commands/cmd-1/status", running(`of-${as}`))).status, 202)
        }
        const expected = (as: string) => [
          { agentId: "a", status: "busy", reason: as },
          { commandId: "cmd-1", agentId: `of-${as}`, commandStatus: "running" }
        ]
        for (const as of ["left", "right", "proto", "plain"]) assert.deepStrictEqual(yield* stateOf(as), expected(as))
        assert.deepStrictEqual(yield* stateOf("both", "?tenant=right"), expected("right"))

        // A lease that is another's: neither renewed nor seen.
        yield* put("left", "agents/leased/status", { status: "online", leaseMs: 60_000 })
        assert.strictEqual((yield* put("right", "agents/leased/lease", undefined)).status, 404)
        assert.strictEqual((yield* put("left", "agents/leased/lease", undefined)).status, 200)
        assert.strictEqual((yield* put("both", "agents/leased/lease", undefined, "?tenant=left")).status, 200)
        const renewed = yield* request("POST", "/api/stratix/leases", {
          body: { agents: ["leased"] },
          token: secretOf("right")
        })
        assert.deepInclude(renewed.body, { missing: ["leased"] })

        // Removed on one side only.
        const removal = yield* request("DELETE", "/api/stratix/agents/a?commands=true", { token: secretOf("right") })
        assert.strictEqual(removal.status, 202)
        yield* request("DELETE", "/api/stratix/agents/of-left?commands=true", { token: secretOf("right") })
        assert.deepStrictEqual((yield* stateOf("left")).slice(0, 2), expected("left"))
        assert.deepStrictEqual(yield* stateOf("plain"), expected("plain"))
        assert.deepStrictEqual(yield* stateOf("right"), [expected("right")[1]])
      }).pipe(Effect.provide(gateway))
    )

    it.live("hear nothing of each other, live, in snapshots and by the other's offsets, in every form", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const before = log.head().offset
        const theirs = offsetOf(yield* put("right", "agents/theirs/status", { status: "busy" }))
        yield* put("left", "agents/mine/status", { status: "busy" })
        const latest = offsetOf(yield* put("right", "agents/theirs/status", { status: "online" }))
        const queries = ["", ...[before, theirs, latest].map((offset) => `since=${encodeURIComponent(offset)}`)]
        for (const query of [...queries, `until=${encodeURIComponent(latest)}`, "agents=theirs"]) {
          const history = yield* request("GET", `/api/stratix/history?${query}`, { token: secretOf("left") })
          assert.strictEqual(history.status, 200)
          assert.notInclude(JSON.stringify(history.body), "theirs", query)
        }
        for (const form of forms) {
          for (const query of queries) {
            const asked = [form.query, query, "agents=theirs,mine"].filter((part) => part !== undefined && part !== "")
            const client = yield* TestClients.connect({ ...form, ...bearer(secretOf("left")), query: asked.join("&") })
            yield* put("right", "agents/theirs/status", { status: "busy" })
            yield* put("left", "agents/mine/status", { status: "online", reason: "the last" })
            while (true) {
              const { payload } = yield* client.take
              if (JSON.stringify(payload).includes("the last")) break
            }
            assert.notInclude(JSON.stringify(yield* client.raw), "theirs", asked.join("&"))
            for (const agent of agentsOf(yield* client.received)) assert.strictEqual(agent, "mine")
            yield* client.drop
          }
        }
      }).pipe(Effect.provide(gateway))
    )

    it.live("keys of a declared type: neither replaced, ended nor named by the other, however they are written", () =>
      Effect.gen(function* () {
        const post = (as: string, eventType: string, payload: object) =>
          request("POST", "/api/stratix/events", { body: { eventType, payload }, token: secretOf(as) })
        const end = (as: string, key: string) =>
          request("DELETE", `/api/stratix/events/${Zone.eventType}?key=${encodeURIComponent(key)}`, {
            token: secretOf(as)
          })
        const keys = ["z1", `@left/${Zone.eventType}/z1`, "@left/z1", "../z1", "__proto__"]
        for (const as of ["left", "right", "plain"])
          for (const zoneId of keys)
            assert.strictEqual((yield* post(as, Zone.eventType, { zoneId, by: as })).status, 202)
        const zonesOf = (by: string) => keys.map((zoneId) => ({ zoneId, by }))
        const screen = yield* TestClients.connect({ ...sync, ...bearer(secretOf("left")) })
        for (const as of ["right", "plain"]) {
          for (const key of keys) assert.strictEqual((yield* end(as, key)).status, 202)
          const removal = { eventType: Zone.eventType, key: "z1" }
          assert.strictEqual((yield* post(as, "stratix:key_remove", removal)).status, 202)
          const scoped = { ...removal, eventType: `@left/${Zone.eventType}` }
          assert.strictEqual((yield* post(as, "stratix:key_remove", scoped)).status, 400)
          assert.deepStrictEqual(yield* stateOf(as), [])
        }
        assert.deepStrictEqual(yield* stateOf("left"), zonesOf("left"))
        yield* post("left", Zone.eventType, { zoneId: "last", by: "left" })
        while (!JSON.stringify(yield* screen.take).includes("last")) {}
        const told = JSON.stringify(yield* screen.raw)
        for (const theirs of ["right", "plain", "key_remove"]) assert.notInclude(told, theirs)
      }).pipe(Effect.provide(gateway))
    )

    it.live("an idempotency key of the one is none of the other's", () =>
      Effect.gen(function* () {
        const once = (as: string, query = "") =>
          Effect.map(
            request("PUT", `/api/stratix/agents/a/status${query}`, {
              body: { status: "busy" },
              token: secretOf(as),
              headers: { "idempotency-key": "same" }
            }),
            offsetOf
          )
        const left = yield* once("both", "?tenant=left")
        const right = yield* once("both", "?tenant=right")
        assert.notStrictEqual(left, right)
        assert.strictEqual(yield* once("both", "?tenant=left"), left)
        assert.notStrictEqual(yield* once("left"), left)
        assert.lengthOf(yield* stateOf("right"), 1)
      }).pipe(Effect.provide(gateway))
    )

    it.live("operators see and end the connections of their own tenant only", () =>
      Effect.gen(function* () {
        const client = yield* TestClients.connect({ ...sync, ...bearer(secretOf("left")) })
        yield* TestClients.connect({ ...sync, ...bearer(secretOf("right")) })
        const connections = (as: string, query = "") =>
          Effect.map(
            request("GET", `/api/stratix/connections${query}`, { token: secretOf(as) }),
            ({ body, status }) => ({
              status,
              list: JSON.parse(JSON.stringify(body)).connections ?? []
            })
          )
        const [own] = (yield* connections("left")).list
        assert.strictEqual(own.principal, "left")
        for (const [as, query] of [
          ["right", ""],
          ["both", "?tenant=right"]
        ] as const) {
          const { list } = yield* connections(as, query)
          assert.deepStrictEqual(
            list.map(({ principal }: { principal: string }) => principal),
            ["right"]
          )
        }
        assert.strictEqual((yield* connections("both")).status, 403)
        const end = (as: string) => request("DELETE", `/api/stratix/connections/${own.id}`, { token: secretOf(as) })
        assert.strictEqual((yield* end("right")).status, 404)
        assert.strictEqual((yield* end("plain")).status, 404)
        assert.isTrue(yield* client.isOpen)
        assert.strictEqual((yield* end("left")).status, 204)
        assert.strictEqual((yield* client.closed).code, 1012)
      }).pipe(Effect.provide(gateway))
    )

    it.live("a dashboard of a tenant sees an agent that starts later", () =>
      Effect.gen(function* () {
        const client = yield* TestClients.connect({ ...sync, ...bearer(secretOf("left")) })
        yield* put("right", "agents/later/status", { status: "online", reason: "theirs" })
        yield* put("left", "agents/later/status", { status: "online", reason: "mine" })
        while (!JSON.stringify(yield* client.take).includes("mine")) {}
        assert.notInclude(JSON.stringify(yield* client.raw), "theirs")
      }).pipe(Effect.provide(gateway))
    )

    it.live("the HTTP routes refuse a tenant that is not the token's, and publish nothing", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const before = log.head().offset
        const routes: ReadonlyArray<readonly [method: string, path: string, body: unknown]> = [
          ["POST", "events", { eventType: "stratix:note", payload: {} }],
          ["PUT", "agents/a/status", { status: "busy" }],
          ["PUT", "agents/a/lease", undefined],
          ["POST", "leases", { agents: ["a"] }],
          ["PUT", "commands/c/status", { agentId: "a", commandStatus: "running" }],
          ["DELETE", "agents/a", undefined],
          ["POST", "agents", { agentId: "a", name: "A", type: "t" }],
          ["GET", "state", undefined],
          ["GET", "history", undefined],
          ["GET", "stream", undefined],
          ["GET", "connections", undefined],
          ["DELETE", "connections/conn-1", undefined]
        ]
        const wrong: ReadonlyArray<readonly [as: string, query: string, status: number]> = [
          ["left", "?tenant=right", 403],
          ["left", "?tenant=__proto__", 403],
          ["left", "?tenant=default", 403],
          ["plain", "?tenant=left", 403],
          ["both", "", 403],
          ["both", "?tenant=left&tenant=right", 400],
          ["both", "?tenant=", 400],
          ["both", "?tenant=left%2Fagent:a", 403],
          ["both", "?tenant=left,right", 403]
        ]
        for (const [method, path, body] of routes) {
          for (const [as, query, status] of wrong) {
            const answer = yield* request(method, `/api/stratix/${path}${query}`, { body, token: secretOf(as) })
            assert.strictEqual(answer.status, status, `${method} ${path}${query} as ${as}`)
            assert.match(JSON.stringify(answer.body), /tenant/)
          }
        }
        assert.strictEqual(log.head().offset, before)
      }).pipe(Effect.provide(gateway))
    )
  })
