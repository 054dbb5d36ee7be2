/** JSON Web Tokens: signed by an issuer, verified here. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Jose from "jose"
import { FilterFields } from "../../stratix-core/stratix-protocol.js"
import * as Filter from "../log/Filter.js"
import * as Tenant from "../log/Tenant.js"
import * as ParseIssue from "../runtime/ParseIssue.js"
import * as JwkSource from "./JwkSource.js"
import {
  AuthenticatorError,
  Name,
  Permission,
  type Principal,
  type TokenVerifier,
  Unauthenticated
} from "./Principal.js"

/** What the claims of a token grant its holder.
 * @since 0.1.0
 * @category models */
export type Grant = Pick<Principal, "name" | "permissions" | "visible" | "tenants">

/** How tokens are verified.
 * @since 0.1.0
 * @category models */
export interface JwtOptions {
  readonly keys: JwkSource.Keys
  /** What `iss` must be; not checked if absent. */
  readonly issuer?: string | undefined
  /** What `aud` must contain. Required unless the keys are a secret: the issuer of a JWKS signs tokens for other services, too. */
  readonly audience?: string | undefined
  /** How far the clocks of issuer and gateway may differ: a token is valid this much earlier than its `nbf` and longer than its `exp`. 0 if absent. */
  readonly clockSkew?: Duration.DurationInput | undefined
  /** What the claims of a valid token grant; `fromClaims` if absent. The left side says what is wrong with the claims. */
  readonly claims?: ((claims: Jose.JWTPayload) => Either.Either<Grant, string>) | undefined
}

/** Prefix of the scopes meant for this gateway; a token has scopes for others, too. */
const SCOPE_PREFIX = "stratix:"

const Claims = Schema.Struct({
  sub: Name,
  scope: Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String))),
  // A field that is not understood could be the one that narrows: it must not count as no limit.
  stratix_tenants: Schema.optional(Schema.Union(Tenant.Name, Schema.Array(Tenant.Name))),
  stratix_visible: Schema.optional(FilterFields.annotations({ parseOptions: { onExcessProperty: "error" } }))
})

const decodeClaims = Schema.decodeUnknownEither(Claims)
const isPermission = Schema.is(Permission)

/**
 * The claims this gateway reads: `sub` is the name; `scope` (a text with spaces, or an array) grants permissions by `stratix:subscribe`,
 * `stratix:publish` and `stratix:operator`, and none without them; `stratix_visible` (`{ "events"?, "agents"?, "commands"? }`) narrows what is seen;
 * `stratix_tenants` (a name, or an array of them) are the tenants it may see and publish for, the default tenant if absent.
 *
 * @since 0.1.0
 * @category claims
 */
export const fromClaims = (claims: Jose.JWTPayload): Either.Either<Grant, string> =>
  Either.mapBoth(decodeClaims(claims), {
    onLeft: (error) => {
      const { kind, path } = ParseIssue.first(error)
      return kind === "Unexpected"
        ? `its claim ${path} is none that this gateway understands`
        : `its claim ${path} is missing or not valid`
    },
    onRight: ({ scope = [], stratix_tenants, stratix_visible = {}, sub }) => ({
      name: sub,
      permissions: new Set(
        (typeof scope === "string" ? scope.split(" ") : scope)
          .filter((entry) => entry.startsWith(SCOPE_PREFIX))
          .map((entry) => entry.slice(SCOPE_PREFIX.length))
          .filter(isPermission)
      ),
      visible: Filter.fromFields(stratix_visible),
      tenants:
        stratix_tenants === undefined
          ? undefined
          : new Set(typeof stratix_tenants === "string" ? [stratix_tenants] : stratix_tenants)
    })
  })

const claimsOf = async (token: string, key: JwkSource.Key, rules: Jose.JWTVerifyOptions): Promise<Jose.JWTPayload> => {
  if (typeof key !== "function") return (await Jose.jwtVerify(token, key, rules)).payload
  try {
    return (await Jose.jwtVerify(token, key, rules)).payload
  } catch (error) {
    if (!(error instanceof Jose.errors.JWKSMultipleMatchingKeys)) throw error
    // The token does not name its key, so each one is tried.
    for await (const one of error) {
      try {
        return (await Jose.jwtVerify(token, one, rules)).payload
      } catch (wrong) {
        if (!(wrong instanceof Jose.errors.JWSSignatureVerificationFailed)) throw wrong
      }
    }
    throw new Jose.errors.JWSSignatureVerificationFailed()
  }
}

/** The last moment of a JavaScript `Date`, to which a later `exp` is cut. */
const LAST_MOMENT = 8.64e15

const invalid = (message: string) => new Unauthenticated({ reason: "Invalid", message })

/** Verifies the signature of tokens, their times (`exp` is required), their issuer and their audience. */
export const make = Effect.fnUntraced(function* (
  options: JwtOptions
): Effect.fn.Return<TokenVerifier, AuthenticatorError, Scope.Scope> {
  const { audience, claims: grantOf = fromClaims, issuer, keys } = options
  if (keys._tag !== "Secret" && audience === undefined) {
    return yield* new AuthenticatorError({
      reason: "AudienceMissing",
      message:
        "a JWKS needs an audience (STRATIX_JWT_AUDIENCE), because its issuer signs tokens for other services, too"
    })
  }
  const skew = Duration.toMillis(options.clockSkew ?? 0)
  const source = yield* JwkSource.make(keys)

  const check = (token: string, key: JwkSource.Key, now: number) => {
    const rules: Jose.JWTVerifyOptions = {
      algorithms: [...source.algorithms],
      // jose counts in seconds.
      clockTolerance: skew / 1000,
      currentDate: DateTime.toDateUtc(DateTime.unsafeMake(now)),
      requiredClaims: ["exp"],
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience })
    }
    return Effect.tryPromise({ try: () => claimsOf(token, key, rules), catch: (error) => error })
  }

  const verify = Effect.fnUntraced(function* (token: string) {
    const now = yield* Clock.currentTimeMillis
    const payload = yield* check(token, yield* source.keys, now).pipe(
      Effect.catchIf(
        (error) => error instanceof Jose.errors.JWKSNoMatchingKey,
        (error) =>
          Effect.flatMap(source.newer, (set) => (set === undefined ? Effect.fail(error) : check(token, set, now)))
      ),
      Effect.mapError((error) =>
        error instanceof Unauthenticated
          ? error
          : error instanceof Jose.errors.JWTExpired
            ? new Unauthenticated({ reason: "Expired", message: "the token has expired" })
            : invalid(
                error instanceof Jose.errors.JOSEError
                  ? `the token is not valid: ${error.message}`
                  : "the token is not valid"
              )
      )
    )
    const grant = grantOf(payload)
    if (Either.isLeft(grant)) return yield* invalid(`the token is not valid: ${grant.left}`)
    const { exp = 0, iat } = payload
    // Revocations go by it: one that is no moment must not outlive them all.
    const issuedAt = iat === undefined ? Option.none() : DateTime.make(iat * 1000)
    if (iat !== undefined && Option.isNone(issuedAt)) {
      return yield* invalid('the token is not valid: its claim "iat" is not a moment')
    }
    return {
      ...grant.right,
      issuedAt: Option.getOrUndefined(issuedAt),
      expiresAt: DateTime.unsafeMake(Math.min(exp * 1000 + skew, LAST_MOMENT))
    }
  })

  return {
    verify: ({ token }) =>
      token === undefined
        ? new Unauthenticated({ reason: "Missing", message: "a token is needed" })
        : verify(Redacted.value(token))
  }
})
