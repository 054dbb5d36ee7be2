import { Effect, Layer, Redacted } from "effect"
import * as Jose from "jose"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, quiet, refusal } from "./gateway.js"

export const SECRET = "correct horse battery staple, twice over"
export const AUDIENCE = "stratix"
export const ISSUER = "https://issuer.example"

export const claims = {
  sub: "alice",
  aud: AUDIENCE,
  iss: ISSUER,
  exp: 60,
  scope: "openid stratix:subscribe stratix:publish"
}

/** Signs these claims. Times are seconds of the virtual clock, which begins at 0. */
export const sign = (
  key: Jose.CryptoKey | Uint8Array,
  alg: string,
  more: Record<string, unknown> = {},
  header: Record<string, unknown> = {}
) => Effect.promise(() => new Jose.SignJWT({ ...claims, ...more }).setProtectedHeader({ alg, ...header }).sign(key))

export const bySecret = (more: Record<string, unknown> = {}, alg = "HS256") =>
  sign(new TextEncoder().encode(SECRET), alg, more)

/** The service in virtual time over JWTs. */
export const overJwt = (options: Authenticator.JwtOptions, log = quiet) =>
  Layer.provideMerge(StatusSyncTest.layerWith({}, Authenticator.layerJwt(options)), log)

export const withSecret = (more: Partial<Authenticator.JwtOptions> = {}) =>
  overJwt({ keys: { _tag: "Secret", secret: Redacted.make(SECRET) }, ...more })

export const connect = (jwt: string) => TestClients.connect(bearer(jwt))

export const refused = (jwt: string) => refusal(bearer(jwt))
