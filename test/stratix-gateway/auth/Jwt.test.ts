import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, TestClock } from "effect"
import * as Jose from "jose"
import { Authenticator, Connections, StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { AUDIENCE, bySecret, claims, connect, ISSUER, refused, SECRET, sign, withSecret } from "../support/jwt.js"

const principal = Effect.gen(function* () {
  const { all } = yield* Connections.Connections
  return (yield* all)[0]?.admission.principal
})

describe("a JWT", () => {
  it.effect("says who it is, what it may do and what it may see", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* bySecret({ stratix_visible: { agents: ["mine"] } }))
      const found = yield* principal
      assert.strictEqual(found?.name, "alice")
      assert.deepStrictEqual([...(found?.permissions ?? [])], ["subscribe", "publish"])
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      yield* notifyAgentStatus("theirs", "busy")
      yield* notifyAgentStatus("mine", "busy")
      const [, event] = yield* client.takeN(2)
      assert.deepInclude(event, { payload: { agentId: "mine", status: "busy" } })
      yield* StatusSyncTest.settled
      assert.strictEqual((yield* client.received).length, 2)
    }).pipe(Effect.provide(withSecret()))
  )

  it.effect("closes with 4401 at the moment of its exp, and not a millisecond before", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* bySecret({ exp: 90 }))
      yield* TestClock.adjust("89999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* client.closed).code, 4401)
    }).pipe(Effect.provide(withSecret()))
  )

  it.effect("is good for the clock skew longer, and from that much before its nbf", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* bySecret({ exp: 60, nbf: 5 }))
      assert.match((yield* refused(yield* bySecret({ nbf: 6 }))).message, /nbf/)
      yield* TestClock.adjust("64999 millis")
      assert.isTrue(yield* client.isOpen)
      const late = yield* connect(yield* bySecret({ exp: 60 }))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* client.closed).code, 4401)
      assert.strictEqual((yield* late.closed).code, 4401)
      assert.match((yield* refused(yield* bySecret({ exp: 60 }))).message, /has expired/)
    }).pipe(Effect.provide(withSecret({ clockSkew: "5 seconds" })))
  )

  it.effect("that lives practically for ever is taken so", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* bySecret({ exp: 1e300 }))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(withSecret()))
  )

  it.effect("is refused with 401 for what is wrong with it", () =>
    Effect.gen(function* () {
      const good = yield* bySecret()
      const [header = "", payload = "", signature = ""] = good.split(".")
      const unsigned = Jose.base64url.encode(JSON.stringify({ alg: "none" }))
      const cases: ReadonlyArray<readonly [string, RegExp]> = [
        ["", /a token is needed/],
        ["not-a-jwt", /not valid/],
        [`${header}.${payload}.`, /not valid/],
        [`${unsigned}.${payload}.`, /not valid/],
        [`${header}.${payload}.${signature.slice(0, -4)}AAAA`, /signature/],
        [`${header}.${Jose.base64url.encode(JSON.stringify({ ...claims, sub: "root" }))}.${signature}`, /signature/],
        [yield* sign(new TextEncoder().encode(`${SECRET}!`), "HS256"), /signature/],
        [yield* bySecret({ exp: undefined }), /missing required "exp"/],
        [yield* bySecret({ exp: "soon" }), /exp/],
        [yield* bySecret({ exp: 0 }), /has expired/],
        [yield* bySecret({ aud: "another" }), /aud/],
        [yield* bySecret({ aud: undefined }), /aud/],
        [yield* bySecret({ iss: "https://evil.example" }), /iss/],
        [yield* bySecret({ nbf: 1 }), /nbf/],
        [yield* bySecret({ sub: undefined }), /claim sub/],
        [yield* bySecret({ sub: "" }), /claim sub/],
        [yield* bySecret({ sub: "alice\u009b2J" }), /claim sub/],
        [yield* bySecret({ stratix_visible: { agents: "mine" } }), /claim stratix_visible\.agents/],
        [yield* bySecret({ stratix_visible: { agent: ["mine"] } }), /claim stratix_visible\.agent is none that/],
        [yield* bySecret({ stratix_visible: { agents: ["mine"], all: true } }), /claim stratix_visible\.all is none/],
        [yield* bySecret({ iat: -1e20 }), /claim "iat" is not a moment/],
        [yield* bySecret({ iat: 1e20 }), /claim "iat" is not a moment/],
        [yield* bySecret({ scope: 7 }), /claim scope/]
      ]
      for (const [jwt, text] of cases) {
        const { message, status } = yield* refused(jwt)
        assert.strictEqual(status, 401, String(text))
        assert.match(message, text)
      }
      yield* connect(good)
      yield* connect(yield* bySecret({ aud: ["other", AUDIENCE] }))
    }).pipe(Effect.provide(withSecret({ audience: AUDIENCE, issuer: ISSUER })))
  )

  it.effect("without a scope for this gateway gives no permission", () =>
    Effect.gen(function* () {
      for (const scope of [undefined, "", "subscribe publish", "stratix:root", ["stratix:publish"]]) {
        assert.strictEqual((yield* refused(yield* bySecret({ scope }))).status, 403, String(scope))
      }
      yield* connect(yield* bySecret({ scope: ["stratix:subscribe"] }))
    }).pipe(Effect.provide(withSecret()))
  )

  it.effect("that was issued before its holder was revoked is refused, one issued after is not", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("10 seconds")
      const client = yield* connect(yield* bySecret({ iat: 9 }))
      const { revoke } = yield* Authenticator.Authenticator
      yield* revoke("alice")
      assert.strictEqual((yield* client.closed).code, 4401)
      assert.match((yield* refused(yield* bySecret({ iat: 9 }))).message, /revoked/)
      assert.match((yield* refused(yield* bySecret())).message, /revoked/)
      yield* connect(yield* bySecret({ iat: 11 }))
    }).pipe(Effect.provide(withSecret()))
  )

  it.effect("can be read in another way, by a function of its claims", () =>
    Effect.gen(function* () {
      yield* connect(yield* bySecret({ scope: undefined, role: "viewer" }))
      assert.strictEqual((yield* principal)?.name, "viewer of alice")
      assert.match((yield* refused(yield* bySecret({ role: undefined }))).message, /no role/)
    }).pipe(
      Effect.provide(
        withSecret({
          claims: (payload) =>
            payload["role"] === "viewer"
              ? Either.right({
                  name: `viewer of ${payload.sub}`,
                  permissions: new Set(["subscribe"] as const),
                  visible: Authenticator.anonymous.visible
                })
              : Either.left("no role")
        })
      )
    )
  )
})
