import { mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted, type Scope, TestClock } from "effect"
import * as Jose from "jose"
import { Authenticator, Connections, StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, nextTurn, quiet, recorded, refusal } from "../support/gateway.js"

const SECRET = "correct horse battery staple, twice over"
const AUDIENCE = "stratix"
const ISSUER = "https://issuer.example"

const claims = { sub: "alice", aud: AUDIENCE, iss: ISSUER, exp: 60, scope: "openid stratix:subscribe stratix:publish" }

/** Signs with whatever key; times are seconds of the virtual clock, which begins at 0. */
const sign = (
  key: Jose.CryptoKey | Uint8Array,
  alg: string,
  more: Record<string, unknown> = {},
  header: Record<string, unknown> = {}
) => Effect.promise(() => new Jose.SignJWT({ ...claims, ...more }).setProtectedHeader({ alg, ...header }).sign(key))

const bySecret = (more: Record<string, unknown> = {}, alg = "HS256") =>
  sign(new TextEncoder().encode(SECRET), alg, more)

const over = (options: Authenticator.JwtOptions, log = quiet) =>
  Layer.provideMerge(StatusSyncTest.layerWith({}, Authenticator.layerJwt(options)), log)

const secretKeys = { _tag: "Secret", secret: Redacted.make(SECRET) } as const
const withSecret = (more: Partial<Authenticator.JwtOptions> = {}) => over({ keys: secretKeys, ...more })

const connect = (jwt: string) => TestClients.connect(bearer(jwt))
const refused = (jwt: string) => refusal(bearer(jwt))

const principal = Effect.gen(function* () {
  const { all } = yield* Connections.Connections
  return (yield* all)[0]?.admission.principal
})

const keyPair = (alg: string, kid: string) =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await Jose.generateKeyPair(alg, { extractable: true })
    return { privateKey, jwk: { ...(await Jose.exportJWK(publicKey)), kid, alg } }
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
          over({ keys: { _tag: "Jwks", jwks: { keys: pairs.map(({ jwk }) => jwk) } }, audience: AUDIENCE })
        )
      )
      yield* Effect.gen(function* () {
        for (const alg of ["HS256", "HS384", "HS512"]) yield* connect(yield* sign(new Uint8Array(64).fill(120), alg))
      }).pipe(Effect.provide(over({ keys: { _tag: "Secret", secret: Redacted.make("x".repeat(64)) } })))
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
      }).pipe(Effect.provide(over({ keys: { _tag: "Jwks", jwks: { keys: [jwk] } }, audience: AUDIENCE })))
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
      }).pipe(Effect.provide(over({ keys: { _tag: "Jwks", jwks: { keys: [one.jwk, two.jwk] } }, audience: AUDIENCE })))
    })
  )

  it.scopedLive("in a file are read again when it changes; a broken file leaves them as they were", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-jwks-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const path = join(folder, "jwks.json")
      const lines: Array<string> = []
      const replace = (text: string) =>
        Effect.promise(async () => {
          await writeFile(`${path}.new`, text)
          await rename(`${path}.new`, path)
        })
      const [old, next] = [yield* keyPair("ES256", "old"), yield* keyPair("ES256", "next")]
      yield* replace(JSON.stringify({ keys: [old.jwk] }))
      yield* Effect.gen(function* () {
        // On the real clock: now is far beyond `exp` 60.
        const exp = 1e11
        yield* connect(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))
        const jwt = yield* sign(next.privateKey, "ES256", { exp }, { kid: "next" })
        assert.strictEqual((yield* refused(jwt)).status, 401)
        yield* replace("{}")
        while (!lines.some((line) => line.includes("is not a JSON Web Key Set; still using the JWT keys")))
          yield* nextTurn
        yield* connect(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))
        yield* replace(JSON.stringify({ keys: [next.jwk] }))
        yield* Effect.eventually(Effect.zipRight(nextTurn, connect(jwt)))
        assert.strictEqual((yield* refused(yield* sign(old.privateKey, "ES256", { exp }, { kid: "old" }))).status, 401)
      }).pipe(Effect.provide(over({ keys: { _tag: "JwksFile", path }, audience: AUDIENCE }, recorded(lines))))
    })
  )
})

describe("keys from an address", () => {
  /** An issuer that counts how often it is asked. */
  const issuer: Effect.Effect<
    { url: string; asked: () => number; answer: (status: number, body: string) => void },
    never,
    Scope.Scope
  > = Effect.gen(function* () {
    let asked = 0
    let answer = { status: 503, body: "" }
    const server = yield* Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const made = Http.createServer((_request, response) => {
          asked++
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
        assert.strictEqual(asked(), 3)
      }).pipe(Effect.provide(over({ keys: { _tag: "JwksUrl", url }, audience: AUDIENCE })))
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
      }).pipe(Effect.provide(over({ keys: { _tag: "JwksUrl", url }, audience: AUDIENCE })))
    })
  )
})
