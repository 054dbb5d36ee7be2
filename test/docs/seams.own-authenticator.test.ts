import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Stream } from "effect"
import { type Authenticator, StatusSync } from "stratix-status-sync"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"
import { layer, makeSessions, type Session, Sessions, SessionsAway } from "../../examples/own-authenticator.js"
import { request } from "../stratix-gateway/support/gateway.js"

const ada: Session = { id: "ada", permissions: new Set(["subscribe"]) }
const key: Session = { id: "key-1", permissions: new Set(["publish"]) }

const on = (sessions: Sessions["Type"]): Layer.Layer<Authenticator.Authenticator> =>
  Layer.provide(layer, Layer.succeed(Sessions, sessions))

const cookie = { headers: { cookie: "theme=dark; session=adas-secret" }, query: "snapshot=true" }

const refused = (options: TestClients.ConnectOptions) =>
  Effect.map(Effect.flip(TestClients.connect(options)), ({ status }) => status)

const sees = Effect.fnUntraced(function* (client: TestClients.TestClient, text: string) {
  while (!JSON.stringify(yield* client.take).includes(text)) {}
  return JSON.stringify(yield* client.raw)
})

describe("examples/own-authenticator.ts", () => {
  it.effect("lets a session in by its cookie, narrows and widens what it sees, and closes it when it ends", () =>
    Effect.gen(function* () {
      const { end, put, service } = yield* makeSessions(new Map([["adas-secret", ada]]))
      yield* Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        assert.strictEqual(yield* refused({}), 401)
        assert.strictEqual(yield* refused({ headers: { cookie: "session=guessed" } }), 401)
        const screen = yield* TestClients.connect(cookie)
        yield* sync.notifyAgentStatus("scout", "busy")
        yield* sync.notifyAgentStatus("spy", "busy")
        yield* sees(screen, "spy")

        yield* put("adas-secret", { ...ada, agents: ["scout"] })
        yield* sees(screen, "agent_remove")
        yield* sync.notifyAgentStatus("spy", "online", { reason: "hidden" })
        yield* sync.notifyAgentStatus("scout", "online", { reason: "shown" })
        assert.notInclude(yield* sees(screen, "shown"), "hidden")
        assert.notInclude(yield* sees(yield* TestClients.connect(cookie), "shown"), "hidden")

        yield* put("adas-secret", ada)
        yield* sees(screen, "subscribed")
        yield* sync.notifyAgentStatus("spy", "online", { reason: "again" })
        yield* sees(screen, "again")
        assert.isTrue(yield* screen.isOpen)

        yield* end("adas-secret")
        assert.strictEqual((yield* screen.closed).code, 4401)
        assert.strictEqual(yield* refused(cookie), 401)
      }).pipe(Effect.provide(StatusSyncTest.layerWith({}, on(service))))
    })
  )

  it.effect("what changes while the store is asked counts, and not the older answer", () =>
    Effect.gen(function* () {
      const { end, put, service } = yield* makeSessions(new Map([["adas-secret", ada]]))
      const asked = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const applied = yield* Deferred.make<void>()
      const slow = Sessions.of({
        find: (secret) =>
          Effect.tap(service.find(secret), () =>
            Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(answer))
          ),
        // What comes after the change that the test makes has been applied.
        changes: Stream.tap(service.changes, ({ id }) =>
          id === "after" ? Deferred.succeed(applied, undefined) : Effect.void
        )
      })
      yield* Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const connecting = yield* Effect.fork(TestClients.connect(cookie))
        yield* Deferred.await(asked)
        yield* put("adas-secret", { ...ada, agents: ["scout"] })
        yield* put("other", { ...ada, id: "after" })
        yield* Deferred.await(applied)
        yield* Deferred.succeed(answer, undefined)
        const screen = yield* connecting
        yield* sync.notifyAgentStatus("spy", "busy")
        yield* sync.notifyAgentStatus("scout", "busy")
        assert.notInclude(yield* sees(screen, "scout"), "spy")
        yield* end("adas-secret")
        assert.strictEqual((yield* screen.closed).code, 4401)
      }).pipe(Effect.provide(StatusSyncTest.layerWith({}, on(slow))))
    })
  )

  it.effect("a store that is away refuses with 503, and closes nothing", () =>
    Effect.gen(function* () {
      const { service } = yield* makeSessions(new Map([["adas-secret", ada]]))
      let isAway = false
      const sessions = Sessions.of({
        ...service,
        find: (secret) => (isAway ? new SessionsAway() : service.find(secret))
      })
      yield* Effect.gen(function* () {
        const screen = yield* TestClients.connect(cookie)
        isAway = true
        assert.strictEqual(yield* refused(cookie), 503)
        assert.isTrue(yield* screen.isOpen)
      }).pipe(Effect.provide(StatusSyncTest.layerWith({}, on(sessions))))
    })
  )

  it.live("a program publishes over HTTP by its key, a session cannot, and a page of another origin is not asked", () =>
    Effect.gen(function* () {
      const { service } = yield* makeSessions(
        new Map([
          ["adas-secret", ada],
          ["program-key", key]
        ])
      )
      yield* Effect.gen(function* () {
        const status = (headers: { readonly [name: string]: string }) =>
          Effect.map(
            request("PUT", "/api/stratix/agents/scout/status", { headers, body: { status: "busy" } }),
            (response) => response.status
          )
        assert.strictEqual(yield* status({ authorization: "Bearer program-key" }), 202)
        assert.strictEqual(yield* status({ cookie: "session=adas-secret" }), 403)
        assert.strictEqual(yield* status({}), 401)
        const origin = "https://elsewhere.example"
        assert.strictEqual(yield* status({ cookie: "session=adas-secret", origin }), 403)
        assert.strictEqual(yield* refused({ ...cookie, headers: { ...cookie.headers, origin } }), 403)
        yield* sees(yield* TestClients.connect(cookie), "busy")
      }).pipe(Effect.provide(StatusSyncTest.layerWs({}, on(service))))
    })
  )
})
