import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Layer } from "effect"
import { Authenticator, StatusSyncConfig, StatusSyncServer } from "../../../src/stratix-gateway/index.js"
import { quiet, secretOf } from "../support/gateway.js"

const tokens = JSON.stringify([{ name: "a", token: secretOf("a"), permissions: ["subscribe"] }])

const withEnvironment = (env: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

const loopback = Layer.provide(Authenticator.layerLoopback, StatusSyncConfig.layerConfig)

/** Whether the authenticator that is made of this environment lets in every client. */
const openWith =
  <E>(authenticator: Layer.Layer<Authenticator.Authenticator, E>) =>
  (env: Readonly<Record<string, string>>) =>
    Effect.map(Authenticator.Authenticator, ({ open }) => open).pipe(
      Effect.provide(authenticator),
      withEnvironment(env),
      Effect.either
    )
const byConfig = openWith(Authenticator.layerConfig)
const byLoopback = openWith(loopback)

const assertFails = (result: Either.Either<unknown, unknown>, text: RegExp, what?: string) => {
  assert.isTrue(Either.isLeft(result), what)
  if (Either.isRight(result)) return
  assert.match(result.left instanceof Error ? result.left.message : String(result.left), text)
  assert.notInclude(String(result.left), "hunter2")
}

describe("an authenticator by the settings", () => {
  it.effect("asks for tokens where they name tokens or keys, even if there are none among them", () =>
    Effect.gen(function* () {
      for (const open of [byConfig, byLoopback]) {
        assert.deepStrictEqual(yield* open({ STRATIX_TOKENS: tokens }), Either.right(false))
        assert.deepStrictEqual(yield* open({ STRATIX_TOKENS: "[]" }), Either.right(false))
        assert.deepStrictEqual(yield* open({ STRATIX_JWT_SECRET: "x".repeat(32) }), Either.right(false))
      }
    }).pipe(Effect.provide(quiet))
  )

  it.effect("fails where they name neither, and says what to do", () =>
    Effect.gen(function* () {
      const result = yield* byConfig({})
      assertFails(result, /^no tokens or keys are configured: set STRATIX_TOKENS_FILE.*STRATIX_ALLOW_ANONYMOUS=true$/)
      assert.isTrue(Either.isLeft(result) && "reason" in result.left && result.left.reason === "NothingConfigured")
    })
  )

  it.effect("lets in every client where they say so, and does not choose between that and tokens", () =>
    Effect.gen(function* () {
      const anonymous = { STRATIX_ALLOW_ANONYMOUS: "true", STRATIX_HOST: "0.0.0.0" }
      assert.deepStrictEqual(yield* byConfig(anonymous), Either.right(true))
      assert.deepStrictEqual(yield* byLoopback(anonymous), Either.right(true))
      assertFails(yield* byConfig({ ...anonymous, STRATIX_TOKENS: tokens }), /remove one of them/)
      assertFails(yield* byLoopback({ ...anonymous, STRATIX_TOKENS: tokens }), /remove one of them/)
    })
  )

  it.effect("lets in every client of a gateway that only this machine can reach, and of no other", () =>
    Effect.gen(function* () {
      for (const host of ["127.0.0.1", "::1", "localhost"]) {
        assert.deepStrictEqual(yield* byLoopback({ STRATIX_HOST: host }), Either.right(true), host)
      }
      for (const host of ["0.0.0.0", "::", "10.0.0.7", "gateway.example"]) {
        assertFails(
          yield* byLoopback({ STRATIX_HOST: host }),
          /can be reached from other machines.*STRATIX_TOKENS/,
          host
        )
      }
      assertFails(
        yield* byLoopback({ STRATIX_TRUSTED_PROXIES: "127.0.0.1" }),
        /through STRATIX_TRUSTED_PROXIES.*STRATIX_ALLOW_ANONYMOUS=true/
      )
    })
  )

  it.effect("does not open a gateway whose settings are wrong, but stops it, and shows no secret", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
        [{ STRATIX_TOKENS: "" }, /STRATIX_TOKENS: must be a JSON array/],
        [{ STRATIX_TOKENS: '[{"name":"a","token":"hunter2"}]' }, /STRATIX_TOKENS: 0\.token/],
        [{ STRATIX_TOKENS_FILE: "/nowhere/tokens.json" }, /\/nowhere\/tokens\.json does not exist/],
        [{ STRATIX_JWT_SECRET: "hunter2" }, /32 bytes or more/],
        [{ STRATIX_JWT_ISSUER: "https://issuer.example" }, /JWTs need keys/],
        [{ STRATIX_JWT_JWKS_URL: "https://issuer.example/keys" }, /a JWKS needs an audience/],
        [{ STRATIX_JWT_JWKS_URL: "http://issuer.example/keys", STRATIX_JWT_AUDIENCE: "x" }, /must begin with https/],
        [{ STRATIX_JWT_SECRET: "x".repeat(32), STRATIX_JWT_JWKS_FILE: "/keys.json" }, /only one of/],
        [{ STRATIX_TRUSTED_PROXIES: "10.0.0.0/8,nginx" }, /STRATIX_TRUSTED_PROXIES .* has "nginx"/],
        [{ STRATIX_TLS_CERT: "/cert.pem" }, /STRATIX_TLS_KEY/],
        [{ STRATIX_HANDSHAKE_TIMEOUT: "1 minute" }, /STRATIX_REQUEST_TIMEOUT .* must not be below/]
      ]
      for (const [env, text] of cases) {
        assertFails(yield* byConfig(env), text, JSON.stringify(env))
        assertFails(yield* byLoopback(env), text, JSON.stringify(env))
      }
    }).pipe(Effect.provide(quiet))
  )
})

describe("the gateway of npm start", () => {
  const start = (env: Record<string, string>) =>
    Layer.build(StatusSyncServer.layerStandAlone).pipe(
      Effect.scoped,
      Effect.as("started"),
      withEnvironment({ STRATIX_PORT: "0", STRATIX_DRAIN_TIMEOUT: "0 millis", ...env }),
      Effect.either
    )

  it.live("starts without tokens on loopback, and on another address only if told so by name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* start({}), Either.right("started"))
      assertFails(yield* start({ STRATIX_HOST: "0.0.0.0" }), /0\.0\.0\.0 can be reached from other machines/)
      assertFails(yield* start({ STRATIX_TRUSTED_PROXIES: "10.0.0.0/8" }), /through STRATIX_TRUSTED_PROXIES/)
      const named = { STRATIX_HOST: "0.0.0.0", STRATIX_ALLOW_ANONYMOUS: "true" }
      assert.deepStrictEqual(yield* start(named), Either.right("started"))
      const withTokens = { STRATIX_HOST: "0.0.0.0", STRATIX_TOKENS: tokens }
      assert.deepStrictEqual(yield* start(withTokens), Either.right("started"))
    }).pipe(Effect.provide(quiet))
  )
})
