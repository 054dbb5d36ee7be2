/** Where the keys of JSON Web Tokens come from: a secret, a key set, a file or an address. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Jose from "jose"
import * as FileWatch from "../runtime/FileWatch.js"
import { isLoopback } from "../runtime/IpAddress.js"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import { AuthenticatorError, Unauthenticated } from "./Principal.js"

/** What tokens are signed with: a secret shared with the issuer (HS256, HS384, HS512), or the issuer's public keys (RS, PS, ES and EdDSA).
 * @since 0.1.0
 * @category models */
export type Keys =
  | { readonly _tag: "Secret"; readonly secret: Redacted.Redacted<string> }
  | { readonly _tag: "Jwks"; readonly jwks: Jose.JSONWebKeySet }
  | { readonly _tag: "JwksFile"; readonly path: string }
  | { readonly _tag: "JwksUrl"; readonly url: string }

/** A secret, or a function that finds the key of a token by its header. */
export type Key = Uint8Array | ReturnType<typeof Jose.createLocalJWKSet>

/** The keys in force. */
export interface JwkSource {
  readonly algorithms: ReadonlyArray<string>
  readonly keys: Effect.Effect<Key, Unauthenticated>
  /** Newer keys, for a token whose key is not among `keys`; `undefined` if there are none. */
  readonly newer: Effect.Effect<Key | undefined>
}

/** The algorithms follow from the kind of key, never from the token: a public key must not be taken for a secret. */
const PUBLIC_ALGORITHMS: ReadonlyArray<string> = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
]

/** A secret is at least as long as the hash (RFC 7518 §3.2). */
const secretAlgorithms = (bytes: number): ReadonlyArray<string> =>
  [256, 384, 512].filter((bits) => bytes * 8 >= bits).map((bits) => `HS${bits}`)

const unavailable = new Unauthenticated({ reason: "Unavailable", message: "the keys of tokens are not available now" })

const keysInvalid = (message: string) => new AuthenticatorError({ reason: "KeysInvalid", message })

const parseKeys = (text: string, from: string): Effect.Effect<Key, AuthenticatorError> =>
  Effect.try({
    try: () => Jose.createLocalJWKSet(JSON.parse(text)),
    catch: () => keysInvalid(`${from} is not a JSON Web Key Set`)
  })

const fixed = (keys: () => Key, algorithms = PUBLIC_ALGORITHMS): JwkSource => ({
  algorithms,
  keys: Effect.sync(keys),
  newer: Effect.succeed(undefined)
})

const secretSource = (secret: Redacted.Redacted<string>): Effect.Effect<JwkSource, AuthenticatorError> => {
  const bytes = new TextEncoder().encode(Redacted.value(secret))
  const algorithms = secretAlgorithms(bytes.length)
  return algorithms.length === 0
    ? keysInvalid("the secret of JWTs must have 32 bytes or more")
    : Effect.succeed(fixed(() => bytes, algorithms))
}

const fileSource = Effect.fnUntraced(function* (path: string) {
  const loaded = yield* FileWatch.load({
    what: "JWT keys",
    paths: [path],
    parse: (texts) => parseKeys(texts.join(), path)
  }).pipe(Effect.catchTag("FileError", AuthenticatorError.unreadable))
  let keys = loaded.value
  const replace = (next: Key) =>
    Effect.sync(() => {
      keys = next
    })
  yield* loaded.reloads(replace).pipe(Stream.runDrain, Effect.forkScoped, Effect.interruptible)
  return fixed(() => keys)
})

/** Age at which keys from an address are fetched again, behind the tokens that they go on to serve. Issuers announce a new key hours before they sign with it. */
const MAX_AGE = Duration.toMillis("10 minutes")
/** Shortest time between two fetches: a token with an unknown key asks for newer keys, and must not make the gateway fetch without end. */
const COOLDOWN = Duration.toMillis("30 seconds")
/** How long old keys serve while the address does not answer: longer than most outages, but a withdrawn key must end some time. */
const MAX_STALE = Duration.toMillis("1 hour")
/** Time for one answer: half of the default handshake timeout, so that the client still gets its 503. */
const FETCH_TIMEOUT = "5 seconds"
/** Characters of one answer: a large set has some ten keys of 2 KB. */
const MAX_JWKS = 256 * 1024

const fetchText = (url: string): Effect.Effect<string, Error> =>
  Effect.tryPromise({
    try: async (signal) => {
      // A redirect could lead anywhere, even to an unencrypted address.
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
  }).pipe(
    Effect.timeoutFail({ duration: FETCH_TIMEOUT, onTimeout: () => new Error(`no answer within ${FETCH_TIMEOUT}`) })
  )

const urlSource = Effect.fnUntraced(function* (url: string) {
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock
  const now = () => monotonicMillis(clock)
  let found: { readonly keys: Key; readonly at: number } | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let fetching: Deferred.Deferred<void> | undefined

  const age = () => now() - (found?.at ?? Number.NEGATIVE_INFINITY)

  const fetchKeys = Effect.gen(function* () {
    const text = yield* fetchText(url)
    found = { keys: yield* parseKeys(text, url), at: fetchedAt }
  }).pipe(Effect.catchAll((error) => Effect.logError(`no JWT keys from ${url}: ${error.message}`)))

  /** The fetch under way, or a new one, unless the last one began just now. It belongs to no caller: it goes on when all have left. */
  const fetched: Effect.Effect<void> = Effect.suspend(() => {
    if (fetching !== undefined) return Deferred.await(fetching)
    if (now() - fetchedAt < COOLDOWN) return Effect.void
    fetchedAt = now()
    const done = Deferred.unsafeMake<void>(FiberId.none)
    fetching = done
    const over = Effect.sync(() => {
      fetching = undefined
      Deferred.unsafeDone(done, Exit.void)
    })
    return fetchKeys.pipe(
      Effect.ensuring(over),
      Effect.zipRight(again),
      Effect.forkIn(scope),
      Effect.zipRight(Deferred.await(done))
    )
  })

  /** Ahead of the tokens that will need them, so that these do not wait. */
  const again: Effect.Effect<void> = Effect.sleep(MAX_AGE).pipe(
    Effect.zipRight(Effect.suspend(() => (age() >= MAX_AGE ? fetched : Effect.void)))
  )

  return {
    algorithms: PUBLIC_ALGORITHMS,
    keys: Effect.suspend(() => {
      if (found === undefined || age() > MAX_AGE + MAX_STALE) {
        return Effect.zipRight(
          fetched,
          Effect.suspend(() =>
            found === undefined || age() > MAX_AGE + MAX_STALE ? unavailable : Effect.succeed(found.keys)
          )
        )
      }
      const { keys } = found
      return age() < MAX_AGE ? Effect.succeed(keys) : Effect.as(Effect.forkIn(fetched, scope), keys)
    }),
    newer: Effect.suspend(() => {
      const before = found
      return Effect.map(fetched, () => (found === before ? undefined : found?.keys))
    })
  } satisfies JwkSource
})

const isProtected = (address: string): boolean => {
  const url = URL.canParse(address) ? new URL(address) : undefined
  return url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname))
}

/** Opens the source of these keys. Files are read again when they change, addresses are fetched when a token needs it. */
export const make = (keys: Keys): Effect.Effect<JwkSource, AuthenticatorError, Scope.Scope> => {
  switch (keys._tag) {
    case "Secret":
      return secretSource(keys.secret)
    case "Jwks":
      return Effect.map(parseKeys(JSON.stringify(keys.jwks), "jwks"), (set) => fixed(() => set))
    case "JwksFile":
      return fileSource(keys.path)
    case "JwksUrl":
      return isProtected(keys.url)
        ? urlSource(keys.url)
        : keysInvalid("the address of a JWKS must begin with https:// (http:// on this machine only)")
  }
}
