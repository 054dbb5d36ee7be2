import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Stream } from "effect"
import { Authenticator, Connections, StatusSync } from "../../../src/stratix-gateway/index.js"
import { Admission } from "../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agentsOf, over, withTokens } from "../support/authentication.js"
import { bearer, refusal, refusedBy, secretOf, token } from "../support/gateway.js"

const tenants = withTokens([
  token("acme", ["subscribe"], { tenants: ["acme"] }),
  token("globex", ["subscribe"], { tenants: ["globex"], visible: { agents: ["shown"] } }),
  token("both", ["subscribe"], { tenants: ["acme", "globex"] }),
  token("plain", ["subscribe"])
])

const by = (name: string, query = "") => ({ ...bearer(secretOf(name)), query })

const publish = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  for (const tenant of ["acme", "globex", "default"]) {
    const of = sync.forTenant(tenant)
    yield* of.notifyAgentStatus("shown", "busy", { reason: tenant })
    yield* of.notifyAgentStatus("hidden", "busy", { reason: tenant })
  }
  yield* StatusSyncTest.settled
})

const reasonsOf = (messages: ReadonlyArray<{ readonly payload: unknown }>) => [
  ...new Set(
    messages.flatMap(({ payload }) =>
      typeof payload === "object" && payload !== null && "reason" in payload ? [payload.reason] : []
    )
  )
]

describe("the tenant of a connection", () => {
  it.effect("is the only one of its principal, the default one without any, or the one that it chooses", () =>
    Effect.gen(function* () {
      const sees = (options: TestClients.ConnectOptions, tenant: string) =>
        Effect.map(TestClients.connect(options), (client) => ({ client, tenant }))
      const all = [
        yield* sees(by("acme"), "acme"),
        yield* sees(by("acme", "tenant=acme"), "acme"),
        yield* sees(by("both", "tenant=acme"), "acme"),
        yield* sees(by("both", "tenant=globex&snapshot=true"), "globex"),
        yield* sees(by("both", "tenant=gl%6Fbex"), "globex"),
        yield* sees(by("plain"), "default"),
        yield* sees(by("plain", "tenant=default"), "default")
      ]
      yield* publish
      for (const { client, tenant } of all) {
        assert.deepStrictEqual(reasonsOf(yield* client.received), [tenant])
        yield* client.send({ type: "subscribe", agents: ["shown", "hidden"] })
      }
      yield* publish
      for (const { client, tenant } of all) assert.deepStrictEqual(reasonsOf(yield* client.received), [tenant])
      const narrow = yield* TestClients.connect({ ...by("globex"), protocols: ["stratix.sync.v1"] })
      yield* StatusSyncTest.settled
      assert.deepStrictEqual(agentsOf(yield* narrow.received), ["shown"])
    }).pipe(Effect.provide(tenants))
  )

  it.effect("a refusal names the tenants to choose from, and no other", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [options: TestClients.ConnectOptions, status: number, message: RegExp]> = [
        [by("both"), 403, /^both may see several tenants: choose one of "acme", "globex" with \?tenant=$/],
        [by("both", "tenant=initech"), 403, /^both may not see this tenant: it may see "acme", "globex"$/],
        [by("acme", "tenant=globex"), 403, /^acme may not see this tenant: it may see "acme"$/],
        [by("acme", "tenant=default"), 403, /it may see "acme"$/],
        [by("plain", "tenant=acme"), 403, /it may see "default"$/],
        [by("both", "tenant="), 400, /"tenant" must not be empty/],
        [by("both", "tenant"), 400, /"tenant" must not be empty/],
        [by("both", "tenant=%zz"), 400, /"tenant" must not be empty and must be percent-encoded well/],
        [by("both", "tenant=acme&tenant=globex"), 400, /"tenant" is there twice/],
        [by("both", "tenant=acme&tenant=acme"), 400, /"tenant" is there twice/],
        [by("both", "tenant=acme,globex"), 403, /may not see this tenant/],
        [by("both", "tenant=acme%00"), 403, /may not see this tenant/],
        [by("both", "tenant=__proto__"), 403, /may not see this tenant/],
        [by("both", "tenant=constructor"), 403, /may not see this tenant/],
        [by("both", "tenant=ACME"), 403, /may not see this tenant/]
      ]
      for (const [options, status, message] of cases) {
        const refused = yield* refusal(options)
        assert.strictEqual(refused.status, status, options.query)
        assert.match(refused.message, message)
      }
      assert.strictEqual(yield* refusedBy("forbidden", refusal(by("acme", "tenant=globex"))), 1)
    }).pipe(Effect.provide(tenants))
  )

  it.effect("a principal without any tenant is refused, and one of a hundred is not told all of them", () => {
    const principal = (names: ReadonlyArray<string>) => ({
      ...Authenticator.anonymous,
      name: "p",
      tenants: new Set(names)
    })
    const many = Array.from({ length: 100 }, (_, i) => `t${i}`)
    const given = Layer.scoped(
      Authenticator.Authenticator,
      Authenticator.make({
        verifiers: [{ verify: ({ token }) => Exit.succeed(principal(token === undefined ? [] : many)) }]
      })
    )
    return Effect.gen(function* () {
      const none = yield* refusal()
      assert.deepStrictEqual([none.status, none.message], [403, "p may see no tenant"])
      const refused = yield* refusal(bearer("any"))
      assert.strictEqual(refused.status, 403)
      assert.match(refused.message, /"t0", .*"t9" and 90 more with \?tenant=$/)
    }).pipe(Effect.provide(over(given)))
  })

  it.effect("a host application gives it, among those of the principal, and the client's choice counts no more", () =>
    Effect.gen(function* () {
      const { decide } = yield* Connections.Connections
      const request = {
        method: "GET",
        url: "/?tenant=acme",
        asks: "websocket" as const,
        headers: {
          upgrade: "websocket",
          connection: "Upgrade",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="
        },
        remoteAddress: "127.0.0.1",
        local: true
      }
      const principal = { ...Authenticator.anonymous, tenants: new Set(["acme", "globex"]) }
      const admission = yield* decide(request, { principal, tenant: "globex" })
      assert.strictEqual(admission.tenant, "globex")
      assert.strictEqual(Admission.visible(admission).tenant, "globex")
      admission.permit.release()
      const refused = yield* Effect.flip(decide(request, { principal, tenant: "initech" }))
      assert.strictEqual(refused.status, 403)
    }).pipe(Effect.provide(tenants))
  )

  it.effect("counts the clients that see it", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const count = (tenant: string) => sync.forTenant(tenant).clientCount
      const client = yield* TestClients.connect(by("acme"))
      yield* TestClients.connect(by("both", "tenant=acme"))
      yield* TestClients.connect(by("plain"))
      assert.deepStrictEqual([yield* count("acme"), yield* count("globex"), yield* sync.clientCount], [2, 0, 1])
      yield* client.drop
      yield* StatusSyncTest.settled
      assert.strictEqual(yield* count("acme"), 1)
    }).pipe(Effect.provide(tenants))
  )
})

describe("in this process", () => {
  it.effect("a subscription hears one tenant; what is no name of one publishes nothing", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const acme = sync.forTenant("acme")
      const stream = yield* acme.subscribe
      yield* publish
      const heard = yield* Stream.runCollect(Stream.take(stream, 2))
      assert.deepStrictEqual(reasonsOf([...heard]), ["acme"])
      for (const tenant of ["", "a/b", "a b", "\u0000", "x".repeat(257)]) {
        const error = yield* Effect.flip(sync.forTenant(tenant).notifyAgentStatus("a", "busy"))
        assert.deepStrictEqual([error.reason, error.field], ["InvalidField", "tenant"])
      }
    }).pipe(Effect.scoped, Effect.provide(tenants))
  )

  it.effect("one idempotency key in two tenants is two keys", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const once = (tenant: string) =>
        sync.forTenant(tenant).notifyAgentStatus("a", "busy").pipe(StatusSync.withIdempotencyKey("key"))
      const acme = yield* once("acme")
      const globex = yield* once("globex")
      assert.notStrictEqual(acme, globex)
      assert.strictEqual(yield* once("acme"), acme)
      const forged = yield* sync.notifyAgentStatus("a", "busy").pipe(StatusSync.withIdempotencyKey("@acme/key"))
      assert.notStrictEqual(forged, acme)
    }).pipe(Effect.provide(tenants))
  )
})
