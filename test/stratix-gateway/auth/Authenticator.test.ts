import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted, TestClock } from "effect"
import { Authenticator, Connections, Filter } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { over } from "../support/authentication.js"
import { bearer, recorded, refusal, secretOf, token } from "../support/gateway.js"

describe("an authenticator of one's own", () => {
  it.effect("is made of a function, and is the one the service asks", () =>
    Effect.gen(function* () {
      const { permissions } = Authenticator.anonymous
      const own = Authenticator.make({
        verifiers: [
          {
            verify: ({ remoteAddress, token: shown }) =>
              shown !== undefined && Redacted.value(shown) === "sesame"
                ? Effect.succeed({
                    name: remoteAddress,
                    permissions,
                    visible: Filter.all,
                    issuedAt: undefined,
                    expiresAt: undefined
                  })
                : new Authenticator.Unauthenticated({ reason: "Invalid", message: "not the word" })
          }
        ]
      })
      yield* Effect.gen(function* () {
        assert.match((yield* refusal(bearer("abracadabra"))).message, /not the word/)
        yield* TestClients.connect({ ...bearer("sesame"), remoteAddress: "203.0.113.7" })
        const { all } = yield* Connections.Connections
        assert.deepStrictEqual(
          (yield* all).map(({ info }) => info.principal),
          ["203.0.113.7"]
        )
      }).pipe(Effect.provide(over(Layer.scoped(Authenticator.Authenticator, own))))
    })
  )

  it.effect("that gives a principal whose time is over lets nobody in", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* refusal({}), { status: 401, message: "the token has expired" })
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Authenticator.make({
              verifiers: [
                {
                  verify: () =>
                    Effect.succeed({ ...Authenticator.anonymous, name: "late", expiresAt: DateTime.unsafeMake(60_000) })
                }
              ]
            })
          )
        )
      )
    )
  )

  it.effect("that cannot tell makes it 503 with Retry-After, not 401: the client's token may be good", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(bearer("x"))
      assert.deepStrictEqual(
        [refused.status, refused.reason, refused.headers["retry-after"]],
        [503, "unavailable", "5"]
      )
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Authenticator.make({
              verifiers: [
                { verify: () => new Authenticator.Unauthenticated({ reason: "Unavailable", message: "no keys" }) }
              ]
            })
          )
        )
      )
    )
  )
})

describe("tokens in the log", () => {
  it.effect("there are none, whatever happens", () => {
    const lines: Array<string> = []
    const tokens = Authenticator.layerTokens([token("dash", ["subscribe"]), token("ci", ["publish"])])
    const layer = Layer.provideMerge(StatusSyncTest.layerWith({ queryTokens: true }, tokens), recorded(lines))
    return Effect.gen(function* () {
      const shown = [secretOf("dash"), secretOf("ci"), secretOf("wrong")]
      for (const text of shown) {
        yield* Effect.either(TestClients.connect(bearer(text)))
        yield* Effect.either(TestClients.connect({ query: `token=${text}` }))
        yield* Effect.either(TestClients.connect({ query: `token=${text}&events=` }))
        yield* Effect.either(TestClients.connect({ query: `token=${text}`, path: "/elsewhere" }))
        yield* Effect.either(TestClients.connect({ protocols: [`stratix.bearer.${text}`] }))
        yield* Effect.either(TestClients.connect({ protocols: ["stratix.plain.v1", `stratix.bearer.${text}`] }))
      }
      const { revoke } = yield* Authenticator.Authenticator
      yield* revoke("dash")
      yield* TestClock.adjust("1 minute")
      assert.isAbove(lines.length, 5)
      for (const line of lines) for (const text of shown) assert.notInclude(line, text)
    }).pipe(Effect.provide(layer), Effect.orDie)
  })
})
