import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, TestClock } from "effect"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { TestClients } from "../../../src/stratix-testing/index.js"
import { over, withTokens } from "../support/authentication.js"
import { bearer, refusal, secretOf, token } from "../support/gateway.js"

describe("revocation", () => {
  it.effect(
    "closes the principal's connections with 4401, refuses its token from then on, and touches nobody else",
    () =>
      Effect.gen(function* () {
        const { revoke } = yield* Authenticator.Authenticator
        const mine = yield* TestClients.connect(bearer(secretOf("dash")))
        const alsoMine = yield* TestClients.connect(bearer(secretOf("dash")))
        const other = yield* TestClients.connect(bearer(secretOf("other")))
        yield* revoke("dash")
        assert.deepStrictEqual(yield* mine.closed, { code: 4401, reason: "the token was revoked" })
        assert.strictEqual((yield* alsoMine.closed).code, 4401)
        assert.isTrue(yield* other.isOpen)
        const refused = yield* refusal(bearer(secretOf("dash")))
        assert.deepStrictEqual([refused.status, refused.message], [401, "the token was revoked"])
        yield* TestClients.connect(bearer(secretOf("other")))
      }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"]), token("other", ["subscribe"])])))
  )

  it.effect("closes a connection that was let in and had not opened yet", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      assert.deepStrictEqual(yield* client.closed, { code: 4401, reason: "the token was revoked" })
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Effect.map(
              Authenticator.make({ verifiers: [{ verify: () => Effect.succeed(Authenticator.anonymous) }] }),
              // Revoked in the moment between the answer and the opening.
              (made) => ({ ...made, isStillValid: () => false })
            )
          )
        )
      )
    )
  )

  it.effect("does not concern what is issued later", () =>
    Effect.gen(function* () {
      let issuedAt = DateTime.unsafeMake(0)
      const issuing = Authenticator.make({
        verifiers: [{ verify: () => Effect.sync(() => ({ ...Authenticator.anonymous, name: "dash", issuedAt })) }]
      })
      yield* Effect.gen(function* () {
        const { revoke } = yield* Authenticator.Authenticator
        yield* TestClock.adjust("1 minute")
        const before = yield* TestClients.connect()
        yield* revoke("dash")
        assert.strictEqual((yield* before.closed).code, 4401)
        assert.strictEqual((yield* refusal({})).status, 401)
        issuedAt = DateTime.unsafeMake(60_001)
        const after = yield* TestClients.connect()
        assert.isTrue(yield* after.isOpen)
      }).pipe(Effect.provide(over(Layer.scoped(Authenticator.Authenticator, issuing))))
    })
  )
})
