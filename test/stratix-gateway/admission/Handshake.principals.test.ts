import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit } from "effect"
import * as Visibility from "../../../src/stratix-gateway/auth/Visibility.js"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { Admission } from "../../../src/stratix-gateway/internals.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import { asked, good, offering, PLAIN, principal, SYNC, world } from "../../support/handshakes.js"

describe("the token of a client", () => {
  it.scoped("is that of its header, else of its subprotocols, else of its query where that may have one", () =>
    Effect.gen(function* () {
      const url = "/?token=of-query"
      const authorization = "Bearer of-header"
      const subprotocols = offering(PLAIN, "stratix.bearer.of-protocol")
      const withQuery = yield* world({ settings: { queryTokens: true } })
      for (const headers of [{ authorization, ...subprotocols }, subprotocols, {}])
        yield* withQuery.decide(asked({ url }, headers))
      yield* withQuery.decide(good)
      assert.deepStrictEqual(withQuery.shown, ["of-header", "of-protocol", "of-query", undefined])
      const without = yield* world()
      yield* without.decide(asked({ url }))
      assert.deepStrictEqual(without.shown, [undefined])
    })
  )

  it.scoped("is verified with the request's headers and the client's address", () =>
    Effect.gen(function* () {
      let given: Authenticator.Credentials | undefined
      const verify = (credentials: Authenticator.Credentials) => {
        given = credentials
        return Exit.succeed(principal())
      }
      const { decide } = yield* world({ verify })
      const request = asked({}, { cookie: "session=1", "x-forwarded-for": "198.51.100.1" })
      yield* decide(request)
      assert.deepStrictEqual(given, { token: undefined, headers: request.headers, remoteAddress: "198.51.100.1" })
    })
  )

  it.scoped("that is not good is refused with what a client must do, and where it has been looked for", () =>
    Effect.gen(function* () {
      const refuse = (reason: Authenticator.Unauthenticated["reason"]) =>
        world({ verify: () => Exit.fail(new Authenticator.Unauthenticated({ reason, message: "no" })) })
      const said = (reason: Authenticator.Unauthenticated["reason"], url = "/") =>
        Effect.gen(function* () {
          const { decide, permits, refusals } = yield* refuse(reason)
          const { headers, message, status } = yield* Effect.flip(decide(asked({ url })))
          return [status, message, headers, permits[0], refusals[0]?.[0]]
        })
      const challenge = { "www-authenticate": 'Bearer realm="stratix"' }
      const invalid = { "www-authenticate": 'Bearer realm="stratix", error="invalid_token"' }
      assert.deepStrictEqual(yield* said("Missing"), [401, "no", challenge, "refused", "unauthenticated"])
      assert.deepStrictEqual(yield* said("Missing", "/?token=x"), [
        401,
        "no; one in the query string is not looked at here",
        challenge,
        "refused",
        "unauthenticated"
      ])
      assert.deepStrictEqual(yield* said("Invalid", "/?token=x"), [401, "no", invalid, "refused", "unauthenticated"])
      assert.deepStrictEqual(yield* said("Unavailable"), [
        503,
        "no",
        { "retry-after": "5" },
        "undecided",
        "unavailable"
      ])
    })
  )

  it.scoped("must be of one who may subscribe", () =>
    Effect.gen(function* () {
      const verify = () => Exit.succeed(principal({ permissions: new Set(["publish"]) }))
      const { decide, refusals } = yield* world({ verify })
      const { headers, message, status } = yield* Effect.flip(decide(good))
      assert.deepStrictEqual([status, message], [403, "dash may not subscribe"])
      assert.include(headers["www-authenticate"], 'scope="stratix:subscribe"')
      assert.deepStrictEqual(refusals, [["forbidden", "203.0.113.7"]])
    })
  )
})

describe("what an admitted client sees", () => {
  const event = (agentId: string, tenant = "default") => ({
    tenant,
    eventType: "stratix:x",
    agentId,
    commandId: undefined
  })
  const verify = () =>
    Exit.succeed(principal({ tenants: new Set(["t", "u"]), visible: Filter.fromFields({ agents: ["a", "b"] }) }))

  it.scoped("is what its principal may, in the tenant that it chose", () =>
    Effect.gen(function* () {
      const { decide, permit, refusals } = yield* world({ verify })
      const admission = yield* decide(asked({ url: "/?tenant=t&agents=a" }))
      assert.deepInclude(admission, { tenant: "t", address: "203.0.113.7", permit })
      assert.deepStrictEqual(admission.filter, Filter.fromFields({ agents: ["a"] }))
      assert.deepStrictEqual(
        [event("a", "t"), event("b", "t"), event("c", "t"), event("a", "u")].map((each) =>
          Filter.matches(Admission.visible(admission), each)
        ),
        [true, true, false, false]
      )
      assert.strictEqual((yield* Effect.flip(decide(asked({ url: "/?tenant=v" })))).status, 403)
      assert.deepStrictEqual(refusals, [["forbidden", "203.0.113.7"]])
    })
  )

  it.scoped("is within what the host application lets through, in the tenant that it says", () =>
    Effect.gen(function* () {
      const { decide } = yield* world({ verify })
      const host = { tenant: "u", visible: Filter.fromFields({ agents: ["b", "c"] }) }
      const admission = yield* decide(asked({ url: "/any/path?tenant=t" }), host)
      assert.strictEqual(admission.tenant, "u")
      assert.deepStrictEqual(
        ["a", "b", "c"].map((agentId) => Filter.matches(Admission.visible(admission), event(agentId, "u"))),
        [false, true, false]
      )
    })
  )

  it.scoped("begins anew where what it may see can have changed since", () =>
    Effect.gen(function* () {
      const start = (more: Partial<Authenticator.Principal>) =>
        Effect.gen(function* () {
          const { decide } = yield* world({ verify: () => Exit.succeed(principal(more)) })
          return (yield* decide(asked({ url: "/?since=e-1-0" }, offering(SYNC)))).start._tag
        })
      assert.strictEqual(yield* start({}), "Since")
      assert.strictEqual(yield* start({ visibility: Visibility.make(Filter.all) }), "Snapshot")
    })
  )
})

describe("a client whose principal the host application knows", () => {
  it.scoped("is admitted on any path, and its own token is not looked at", () =>
    Effect.gen(function* () {
      const { decide, shown } = yield* world()
      const known = principal({ name: "of the host" })
      const admission = yield* decide(asked({ url: "/any/path" }), { principal: known })
      assert.strictEqual(admission.principal, known)
      assert.deepStrictEqual(shown, [])
      // Without one, the client's token decides.
      assert.strictEqual((yield* decide(asked({ url: "/any/path" }), {})).principal.name, "dash")
      assert.deepStrictEqual(shown, [undefined])
      assert.strictEqual((yield* Effect.flip(decide(asked({ url: "/any/path" })))).status, 404)
    })
  )

  it.scoped("is refused once that is revoked, or has expired", () =>
    Effect.gen(function* () {
      const revoked = yield* world({ isStillValid: false })
      const refusal = yield* Effect.flip(revoked.decide(good, { principal: principal() }))
      assert.deepStrictEqual([refusal.status, refusal.message], [401, "the token was revoked"])
      const { decide } = yield* world()
      const until = (millis: number) => principal({ expiresAt: DateTime.unsafeMake(millis) })
      assert.strictEqual((yield* Effect.flip(decide(good, { principal: until(0) }))).message, "the token has expired")
      yield* decide(good, { principal: until(1) })
    })
  )
})
