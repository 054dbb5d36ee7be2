import * as Http from "node:http"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, type Scope, TestClock } from "effect"
import * as Jose from "jose"
import { nextTurn, until } from "../../support/waiting.js"
import { folder, replace } from "../support/files.js"
import { recorded } from "../support/gateway.js"
import { AUDIENCE, bySecret, connect, overJwt, refused, sign, withSecret } from "../support/jwt.js"

const keyPair = (alg: string, kid: string) =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await Jose.generateKeyPair(alg, { extractable: true })
    return { privateKey, jwk: { ...(await Jose.exportJWK(publicKey)), kid, alg } }
  })

describe("keys", () => {
  it.effect("of every kind: HS, RS, PS, ES and EdDSA", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.forEach(["RS256", "PS384", "ES256", "ES384", "EdDSA"], (alg) =>
        keyPair(alg, `key of ${alg}`)
      )
      yield* Effect.gen(function* () {
        for (const { jwk, privateKey } of pairs) {
          const client = yield* connect(yield* sign(privateKey, jwk.alg, {}, { kid: jwk.kid }))
          assert.isTrue(yield* client.isOpen, jwk.alg)
        }
      }).pipe(
        Effect.provide(
          overJwt({ keys: { _tag: "Jwks", jwks: { keys: pairs.map(({ jwk }) => jwk) } }, audience: AUDIENCE })
        )
      )
      yield* Effect.gen(function* () {
        for (const alg of ["HS256", "HS384", "HS512"]) yield* connect(yield* sign(new Uint8Array(64).fill(120), alg))
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "Secret", secret: Redacted.make("x".repeat(64)) } })))
    })
  )

  it.effect("that are public are not taken for a secret, nor a secret that is too short for its algorithm", () =>
    Effect.gen(function* () {
      const { jwk } = yield* keyPair("RS256", "k")
      const pem = yield* Effect.promise(async () => {
        const key = await Jose.importJWK(jwk, "RS256", { extractable: true })
        return key instanceof Uint8Array ? "" : Jose.exportSPKI(key)
      })
      yield* Effect.gen(function* () {
        for (const known of [pem, JSON.stringify(jwk), jwk.n ?? ""]) {
          const forged = yield* sign(new TextEncoder().encode(known), "HS256", {}, { kid: "k" })
          assert.strictEqual((yield* refused(forged)).status, 401)
        }
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "Jwks", jwks: { keys: [jwk] } }, audience: AUDIENCE })))
      yield* Effect.gen(function* () {
        assert.match((yield* refused(yield* bySecret({}, "HS512"))).message, /not valid/)
      }).pipe(Effect.provide(withSecret()))
    })
  )

  it.effect("that a token does not name are all tried", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* keyPair("ES256", "one"), yield* keyPair("ES256", "two")]
      const other = yield* keyPair("ES256", "other")
      yield* Effect.gen(function* () {
        yield* connect(yield* sign(two.privateKey, "ES256"))
        assert.match((yield* refused(yield* sign(other.privateKey, "ES256"))).message, /signature/)
        assert.match((yield* refused(yield* sign(two.privateKey, "ES256", { aud: "x" }))).message, /aud/)
      }).pipe(
        Effect.provide(overJwt({ keys: { _tag: "Jwks", jwks: { keys: [one.jwk, two.jwk] } }, audience: AUDIENCE }))
      )
    })
  )

  it.scopedLive("in a file are read again when it changes; a broken file leaves them as they were", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "jwks.json")
      const lines: Array<string> = []
      const [old, next] = [yield* keyPair("ES256", "old"), yield* keyPair("ES256", "next")]
      yield* replace(path, JSON.stringify({ keys: [old.jwk] }))
      yield* Effect.gen(function* () {
        // On the real clock: now is far beyond `exp` 60.
        const exp = 1e11
        yield* connect(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))
        const jwt = yield* sign(next.privateKey, "ES256", { exp }, { kid: "next" })
        assert.strictEqual((yield* refused(jwt)).status, 401)
        yield* replace(path, "{}")
        while (!lines.some((line) => line.includes("is not a JSON Web Key Set; still using the JWT keys")))
          yield* nextTurn
        yield* connect(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))
        yield* replace(path, JSON.stringify({ keys: [next.jwk] }))
        yield* Effect.eventually(Effect.zipRight(nextTurn, connect(jwt)))
        assert.strictEqual((yield* refused(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))).status, 401)
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "JwksFile", path }, audience: AUDIENCE }, recorded(lines))))
    })
  )
})

describe("keys from an address", () => {
  /** An issuer that counts how often it is asked. */
  const issuer: Effect.Effect<
    {
      url: string
      asked: () => number
      answer: (status: number, body: string) => void
      /** What is asked from now on is not answered. */
      fallSilent: () => void
    },
    never,
    Scope.Scope
  > = Effect.gen(function* () {
    let asked = 0
    let silent = false
    let answer = { status: 503, body: "" }
    const server = yield* Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const made = Http.createServer((_request, response) => {
          asked++
          if (silent) return
          response.writeHead(answer.status, answer.status === 302 ? { location: "/elsewhere" } : {}).end(answer.body)
        })
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.async<void>((resume) => {
          made.closeAllConnections()
          made.close(() => resume(Effect.void))
        })
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return {
      url: `http://127.0.0.1:${port}/keys`,
      asked: () => asked,
      fallSilent: () => {
        silent = true
      },
      answer: (status, body) => {
        answer = { status, body }
      }
    }
  })

  it.scoped("are asked for once, and again for a key that is not among them, but not more often than every 30 s", () =>
    Effect.gen(function* () {
      const { answer, asked, url } = yield* issuer
      const [one, two] = [yield* keyPair("ES256", "one"), yield* keyPair("ES256", "two")]
      const first = yield* sign(one.privateKey, "ES256", { exp: 1e6 }, { kid: "one" })
      const second = yield* sign(two.privateKey, "ES256", { exp: 1e6 }, { kid: "two" })
      answer(200, JSON.stringify({ keys: [one.jwk] }))
      yield* Effect.gen(function* () {
        assert.strictEqual(asked(), 0)
        yield* Effect.all([connect(first), connect(first), connect(first)], { concurrency: "unbounded" })
        assert.strictEqual(asked(), 1)
        answer(200, JSON.stringify({ keys: [one.jwk, two.jwk] }))
        for (let n = 0; n < 3; n++) assert.strictEqual((yield* refused(second)).status, 401)
        assert.strictEqual(asked(), 1)
        yield* TestClock.adjust("30 seconds")
        yield* connect(second)
        yield* connect(first)
        assert.strictEqual(asked(), 2)
        yield* TestClock.adjust("599 seconds")
        yield* connect(first)
        assert.strictEqual(asked(), 2)
        yield* TestClock.adjust("1 seconds")
        yield* connect(first)
        yield* until(() => asked() === 3)
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "JwksUrl", url }, audience: AUDIENCE })))
    })
  )

  it.scoped("that are at hand serve at once while the issuer does not answer", () =>
    Effect.gen(function* () {
      const { answer, asked, fallSilent, url } = yield* issuer
      const [one, two] = [yield* keyPair("ES256", "one"), yield* keyPair("ES256", "two")]
      const good = yield* sign(one.privateKey, "ES256", { exp: 1e6 }, { kid: "one" })
      const unknown = yield* sign(two.privateKey, "ES256", { exp: 1e6 }, { kid: "two" })
      answer(200, JSON.stringify({ keys: [one.jwk] }))
      yield* Effect.gen(function* () {
        yield* connect(good)
        fallSilent()
        yield* TestClock.adjust("30 seconds")
        // It waits for newer keys, in virtual time that does not pass.
        const waiting = yield* Effect.fork(refused(unknown))
        yield* until(() => asked() === 2)
        yield* connect(good)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(waiting)).status, 401)
        yield* TestClock.adjust("10 minutes")
        yield* connect(good)
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "JwksUrl", url }, audience: AUDIENCE })))
    })
  )

  it.scoped("that cannot be had make it 503; those from before serve for an hour more", () =>
    Effect.gen(function* () {
      const { answer, asked, url } = yield* issuer
      const one = yield* keyPair("ES256", "one")
      const jwt = yield* sign(one.privateKey, "ES256", { exp: 1e6 }, { kid: "one" })
      yield* Effect.gen(function* () {
        for (const [status, body] of [
          [503, ""],
          [200, "no JSON"],
          [200, "{}"],
          [302, ""],
          [200, `{"keys":[],"pad":"${"x".repeat(300_000)}"}`]
        ] as const) {
          answer(status, body)
          const before = asked()
          assert.deepInclude(yield* refused(jwt), { status: 503, reason: "unavailable" })
          assert.deepInclude(yield* refused(jwt), { status: 503, reason: "unavailable" })
          assert.strictEqual(asked(), before + 1)
          yield* TestClock.adjust("30 seconds")
        }
        answer(200, JSON.stringify({ keys: [one.jwk] }))
        yield* connect(jwt)
        answer(503, "")
        yield* TestClock.adjust("69 minutes")
        yield* connect(jwt)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual((yield* refused(jwt)).status, 503)
        answer(200, JSON.stringify({ keys: [one.jwk] }))
        yield* TestClock.adjust("30 seconds")
        yield* connect(jwt)
      }).pipe(Effect.provide(overJwt({ keys: { _tag: "JwksUrl", url }, audience: AUDIENCE })))
    })
  )
})
