/**
 * JSON Web Tokens: signed by somebody else, checked here.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Jose from "jose"
import { FilterFields } from "../../stratix-core/stratix-protocol.js"
import * as Filter from "../log/Filter.js"
import * as FileWatch from "../runtime/FileWatch.js"
import { isLoopback } from "../runtime/IpAddress.js"
import {
  AuthenticatorError,
  Name,
  Permission,
  type Principal,
  type TokenVerifier,
  Unauthenticated,
  unreadable
} from "./Principal.js"

/** What tokens are signed with: a secret shared with whoever issues them (HS256, HS384, HS512), or the issuer's public keys (RS, PS, ES and EdDSA).
 * @since 0.1.0
 * @category models */
export type Keys =
  | { readonly _tag: "Secret"; readonly secret: Redacted.Redacted<string> }
  | { readonly _tag: "Jwks"; readonly jwks: Jose.JSONWebKeySet }
  | { readonly _tag: "JwksFile"; readonly path: string }
  | { readonly _tag: "JwksUrl"; readonly url: string }

/** What the claims of a token give its holder.
 * @since 0.1.0
 * @category models */
export type Grant = Pick<Principal, "name" | "permissions" | "visible">

/** How tokens are checked.
 * @since 0.1.0
 * @category models */
export interface JwtOptions {
  readonly keys: Keys
  /** What `iss` must be. Not looked at if absent. */
  readonly issuer?: string | undefined
  /** What must be in `aud`. Needed wherever the keys are a JWKS: its issuer signs for others, too. */
  readonly audience?: string | undefined
  /** How far the clocks of issuer and gateway may differ: a token is good from so much before its `nbf` until so much after its `exp`. None if absent. */
  readonly clockSkew?: Duration.DurationInput | undefined
  /** What the claims of a good token give; `fromClaims` if absent. The left side says what is wrong with them. */
  readonly claims?: ((claims: Jose.JWTPayload) => Either.Either<Grant, string>) | undefined
}

/** Prefix of the scopes that are meant for this gateway. */
const SCOPE_PREFIX = "stratix:"

const Claims = Schema.Struct({
  sub: Name,
  scope: Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String))),
  stratix_visible: Schema.optional(FilterFields)
})

const decodeClaims = Schema.decodeUnknownEither(Claims)
const isPermission = Schema.is(Permission)

/**
 * The claims this gateway reads: `sub` is the name; `scope` (a text with spaces, or an array) gives permissions by `stratix:subscribe`,
 * `stratix:publish` and `stratix:operator`, and none without them; `stratix_visible` (`{ "events"?, "agents"?, "commands"? }`) narrows what is seen.
 *
 * @since 0.1.0
 * @category claims
 */
export const fromClaims = (claims: Jose.JWTPayload): Either.Either<Grant, string> =>
  Either.mapBoth(decodeClaims(claims), {
    onLeft: (error) => {
      const path = ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.path.join(".")
      return `its claim ${path} is missing or not valid`
    },
    onRight: ({ scope = [], stratix_visible = {}, sub }) => ({
      name: sub,
      permissions: new Set(
        (typeof scope === "string" ? scope.split(" ") : scope)
          .filter((entry) => entry.startsWith(SCOPE_PREFIX))
          .map((entry) => entry.slice(SCOPE_PREFIX.length))
          .filter(isPermission)
      ),
      visible: Filter.fromFields(stratix_visible)
    })
  })

/** A secret, or what finds the key of a token by its header. */
type Key = Uint8Array | ReturnType<typeof Jose.createLocalJWKSet>

/** The algorithms follow from the kind of key, never from the token: a public key must not be taken for a secret. */
const PUBLIC_ALGORITHMS: ReadonlyArray<string> = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
]

/** RFC 7518 §3.2: the secret has the size of the hash at the least. */
const secretAlgorithms = (bytes: number): ReadonlyArray<string> =>
  [256, 384, 512].filter((bits) => bytes * 8 >= bits).map((bits) => `HS${bits}`)

const invalid = (message: string) => new Unauthenticated({ reason: "Invalid", message })
const unavailable = new Unauthenticated({ reason: "Unavailable", message: "the keys of tokens cannot be had now" })

const parseKeys = (text: string, from: string): Effect.Effect<Key, AuthenticatorError> =>
  Effect.try({
    try: () => Jose.createLocalJWKSet(JSON.parse(text)),
    catch: () => new AuthenticatorError({ reason: "KeysInvalid", message: `${from} is not a JSON Web Key Set` })
  })

/** Where keys come from: the set to look in, and, for a key that is not in it, a newer one if there is one. */
interface Source {
  readonly algorithms: ReadonlyArray<string>
  readonly keys: Effect.Effect<Key, Unauthenticated>
  readonly newer: Effect.Effect<Key | undefined>
}

const fixed = (keys: () => Key, algorithms = PUBLIC_ALGORITHMS): Source => ({
  algorithms,
  keys: Effect.sync(keys),
  newer: Effect.succeed(undefined)
})

const fileSource = Effect.fnUntraced(function* (path: string) {
  const known = yield* Effect.mapError(FileWatch.read([path]), unreadable)
  let keys = yield* parseKeys(known.join(), path)
  yield* FileWatch.changes([path], known).pipe(
    Stream.mapEffect((texts) => parseKeys(texts.join(), path).pipe(Effect.either)),
    Stream.runForEach(
      Either.match({
        onLeft: (error) => Effect.logError(`${error.message}: the keys read before stay in force`),
        onRight: (read) => {
          keys = read
          return Effect.logInfo(`read the keys of tokens again from ${path}`)
        }
      })
    ),
    Effect.forkScoped,
    Effect.interruptible
  )
  return fixed(() => keys)
})

/** Keys from an address are asked for again after this time, */
const MAX_AGE = Duration.toMillis("10 minutes")
/** and for a token whose key is not among them; but not more often than so, or anybody could make the gateway ask without end. */
const COOLDOWN = Duration.toMillis("30 seconds")
/** While they cannot be had, those from before serve for so long. After that nobody is let in: a key that was withdrawn must end some time. */
const MAX_STALE = Duration.toMillis("1 hour")
/** For one answer. */
const FETCH_TIMEOUT = "5 seconds"
/** Of one answer, in characters: a large set has some ten keys of 2 KB. */
const MAX_JWKS = 256 * 1024

const fetchText = (url: string): Effect.Effect<string, Error> =>
  Effect.tryPromise({
    try: async (signal) => {
      // A redirect could lead anywhere, also to where the connection is not protected.
      const response = await fetch(url, { signal, redirect: "error", headers: { accept: "application/json" } })
      if (!response.ok) throw new Error(`status ${response.status}`)
      let text = ""
      const decoder = new TextDecoder()
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk, { stream: true })
        if (text.length > MAX_JWKS) throw new Error(`more than ${MAX_JWKS} characters`)
      }
      return text
    },
    catch: (error) => (error instanceof Error ? error : new Error(String(error)))
  }).pipe(Effect.timeoutFail({ duration: FETCH_TIMEOUT, onTimeout: () => new Error("no answer in time") }))

const urlSource = Effect.fnUntraced(function* (url: string) {
  const turn = yield* Effect.makeSemaphore(1)
  let found: { readonly keys: Key; readonly at: number } | undefined
  let askedAt = Number.NEGATIVE_INFINITY

  const ask = Effect.gen(function* () {
    askedAt = yield* Clock.currentTimeMillis
    const text = yield* fetchText(url)
    found = { keys: yield* parseKeys(text, url), at: askedAt }
  }).pipe(Effect.catchAll((error) => Effect.logError(`the keys of tokens cannot be had from ${url}: ${error.message}`)))
  /** The keys in force, asked for anew if they are older than `age`; one asks, the others wait for its answer. */
  const within = (age: number) =>
    turn.withPermits(1)(
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        if (now - (found?.at ?? Number.NEGATIVE_INFINITY) >= age && now - askedAt >= COOLDOWN) yield* ask
        return found
      })
    )

  return {
    algorithms: PUBLIC_ALGORITHMS,
    keys: Effect.gen(function* () {
      const known = yield* within(MAX_AGE)
      const now = yield* Clock.currentTimeMillis
      return known === undefined || now - known.at > MAX_AGE + MAX_STALE ? yield* unavailable : known.keys
    }),
    newer: Effect.gen(function* () {
      const before = found
      const after = yield* within(COOLDOWN)
      return after === before ? undefined : after?.keys
    })
  } satisfies Source
})

const sourceOf = (keys: Keys): Effect.Effect<Source, AuthenticatorError, Scope.Scope> => {
  switch (keys._tag) {
    case "Secret": {
      const secret = new TextEncoder().encode(Redacted.value(keys.secret))
      const algorithms = secretAlgorithms(secret.length)
      return algorithms.length === 0
        ? new AuthenticatorError({ reason: "KeysInvalid", message: "the secret of JWTs must have 32 bytes or more" })
        : Effect.succeed(fixed(() => secret, algorithms))
    }
    case "Jwks":
      return Effect.map(parseKeys(JSON.stringify(keys.jwks), "what was given"), (set) => fixed(() => set))
    case "JwksFile":
      return fileSource(keys.path)
    case "JwksUrl": {
      const url = URL.canParse(keys.url) ? new URL(keys.url) : undefined
      return url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname))
        ? urlSource(keys.url)
        : new AuthenticatorError({ reason: "KeysInvalid", message: "the address of a JWKS must begin with https://" })
    }
  }
}

const claimsOf = async (token: string, key: Key, rules: Jose.JWTVerifyOptions): Promise<Jose.JWTPayload> => {
  if (typeof key !== "function") return (await Jose.jwtVerify(token, key, rules)).payload
  try {
    return (await Jose.jwtVerify(token, key, rules)).payload
  } catch (error) {
    if (!(error instanceof Jose.errors.JWKSMultipleMatchingKeys)) throw error
    // The token does not say which of several keys it is signed with: the only way is to try them.
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

/** The last moment a date can be: a token good for longer than that is good until then. */
const LAST_MOMENT = 8.64e15

/** Recognises tokens that are signed, in time, and meant for this gateway. `exp` must be there.
 * @since 0.1.0
 * @category constructors */
export const make = Effect.fnUntraced(function* (
  options: JwtOptions
): Effect.fn.Return<TokenVerifier, AuthenticatorError, Scope.Scope> {
  const { audience, claims: grantOf = fromClaims, issuer, keys } = options
  if (keys._tag !== "Secret" && audience === undefined) {
    return yield* new AuthenticatorError({
      reason: "AudienceMissing",
      message: "the keys of a JWKS sign for others, too: say the audience that tokens for this gateway have"
    })
  }
  const skew = Duration.toMillis(options.clockSkew ?? 0)
  const source = yield* sourceOf(keys)

  const checkSignature = (token: string, key: Key, now: number) => {
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
    const payload = yield* checkSignature(token, yield* source.keys, now).pipe(
      Effect.catchIf(
        (error) => error instanceof Jose.errors.JWKSNoMatchingKey,
        (error) =>
          Effect.flatMap(source.newer, (set) =>
            set === undefined ? Effect.fail(error) : checkSignature(token, set, now)
          )
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
    return {
      ...grant.right,
      issuedAt: iat === undefined ? undefined : DateTime.unsafeMake(Math.min(iat * 1000, LAST_MOMENT)),
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
