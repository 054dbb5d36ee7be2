/**
 * Who is there, and what they may see and do.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as FileWatch from "../runtime/FileWatch.js"
import { isImmediate } from "../runtime/Immediate.js"
import * as Jwt from "./Jwt.js"
import {
  AuthenticatorError,
  anonymous,
  type Credentials,
  type Principal,
  type TokenVerifier,
  Unauthenticated,
  unreadable
} from "./Principal.js"
import * as StaticTokens from "./StaticTokens.js"

export { fromClaims, type Grant, type JwtOptions, type Keys } from "./Jwt.js"
export {
  AuthenticatorError,
  anonymous,
  type Credentials,
  Permission,
  type Principal,
  type TokenVerifier,
  Unauthenticated
} from "./Principal.js"
export { StaticToken } from "./StaticTokens.js"

/** Request to principal, or refusal.
 * @since 0.1.0
 * @category tags */
export class Authenticator extends Context.Tag("stratix/Authenticator")<
  Authenticator,
  {
    readonly authenticate: (credentials: Credentials) => Effect.Effect<Principal, Unauthenticated>
    /** Whether it lets in whoever asks: a gateway on an open address warns of it. */
    readonly open: boolean
    /**
     * Refuses everything that was issued to this name until now, and ends its connections with 4401. What is issued later is good.
     * It is kept in memory: what has to outlive the process is taken out where tokens come from.
     */
    readonly revoke: (name: string) => Effect.Effect<void>
    /** Whether a principal that was let in may stay. */
    readonly isStillValid: (principal: Principal) => boolean
    /** Says something whenever there may be principals that do not hold any more. */
    readonly revocations: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope>
  }
>() {}

/** Revoked names that are remembered. Above it the one revoked longest ago is forgotten, which is logged. */
const MAX_REVOKED = 10_000

/** Asks one after the other. If nobody knows the token, the answer is the first that says more than that. */
const firstOf = (
  [first, ...others]: ReadonlyArray<TokenVerifier>,
  credentials: Credentials
): Effect.Effect<Principal, Unauthenticated> =>
  first === undefined
    ? new Unauthenticated({ reason: "Invalid", message: "the token is not valid" })
    : others.reduce<Effect.Effect<Principal, Unauthenticated>>(
        (before, next) =>
          Effect.catchAll(before, (error) =>
            Effect.mapError(next.verify(credentials), (other) => (error.reason === "Invalid" ? other : error))
          ),
        first.verify(credentials)
      )

/** An authenticator that asks these recognisers, in this order. A custom one is `make({ recognisers: [{ recognise }] })`.
 * @since 0.1.0
 * @category constructors */
export const make = Effect.fnUntraced(function* (options: {
  readonly verifiers: ReadonlyArray<TokenVerifier>
  /** Whether it lets in whoever asks; `false` if absent. */
  readonly open?: boolean
}): Effect.fn.Return<typeof Authenticator.Service, never, Scope.Scope> {
  const { open = false, verifiers } = options
  // One sign that waits is as good as many.
  const signs = yield* Effect.acquireRelease(PubSub.sliding<void>(1), PubSub.shutdown)
  const revokedAt = new Map<string, number>()

  yield* Stream.mergeAll(
    verifiers.map(({ changes }) => changes ?? Stream.empty),
    { concurrency: "unbounded" }
  ).pipe(
    Stream.runForEach(() => PubSub.publish(signs, undefined)),
    Effect.forkScoped,
    Effect.interruptible
  )

  const isRevoked = (principal: Principal): boolean => {
    const at = revokedAt.get(principal.name)
    if (at === undefined) return false
    return principal.issuedAt === undefined || DateTime.toEpochMillis(principal.issuedAt) <= at
  }

  const holding = (principal: Principal): Exit.Exit<Principal, Unauthenticated> =>
    isRevoked(principal)
      ? Exit.fail(new Unauthenticated({ reason: "Revoked", message: "the token was revoked" }))
      : Exit.succeed(principal)

  return {
    open,
    authenticate: (credentials) => {
      const found = firstOf(verifiers, credentials)
      return isImmediate(found) ? Exit.flatMap(found, holding) : Effect.flatMap(found, holding)
    },
    revoke: Effect.fnUntraced(function* (name) {
      revokedAt.delete(name)
      revokedAt.set(name, yield* Clock.currentTimeMillis)
      const oldest = revokedAt.size > MAX_REVOKED ? revokedAt.keys().next().value : undefined
      if (oldest !== undefined) {
        revokedAt.delete(oldest)
        yield* Effect.logWarning(`more than ${MAX_REVOKED} names are revoked: ${oldest} is not any more`)
      }
      yield* PubSub.publish(signs, undefined)
    }),
    isStillValid: (principal) =>
      !isRevoked(principal) && verifiers.every((verifier) => verifier.isStillValid?.(principal) ?? true),
    revocations: PubSub.subscribe(signs)
  }
})

const layerOf = <E>(
  verifiers: Effect.Effect<ReadonlyArray<TokenVerifier>, E, Scope.Scope>
): Layer.Layer<Authenticator, E> =>
  Layer.scoped(
    Authenticator,
    Effect.flatMap(verifiers, (given) => make({ verifiers: given }))
  )

const allowAll = make({ verifiers: [{ verify: () => Effect.succeed(anonymous) }], open: true })

/** Lets in whoever asks.
 * @since 0.1.0
 * @category layers */
export const layerAllowAll: Layer.Layer<Authenticator> = Layer.scoped(Authenticator, allowAll)

const checked = (
  text: string,
  from: string
): Effect.Effect<ReadonlyArray<StaticTokens.StaticToken>, AuthenticatorError> =>
  Either.match(StaticTokens.fromJson(text), {
    onLeft: (problem) => new AuthenticatorError({ reason: "TokensInvalid", message: `${from}: ${problem}` }),
    onRight: Effect.succeed
  })

const tokens = (given: ReadonlyArray<StaticTokens.StaticToken>) =>
  Effect.map(Effect.clock, (clock) => StaticTokens.make(given, clock))

const tokensFile = Effect.fnUntraced(function* (path: string) {
  const known = yield* Effect.mapError(FileWatch.read([path]), unreadable)
  const made = yield* Effect.flatMap(checked(known.join(), path), tokens)
  const changes = FileWatch.changes([path], known).pipe(
    Stream.mapEffect((texts) =>
      checked(texts.join(), path).pipe(
        Effect.flatMap((next) => Effect.map(Clock.currentTimeMillis, (now) => made.replace(next, now))),
        Effect.matchEffect({
          onSuccess: () => Effect.logInfo(`read the tokens again from ${path}`),
          onFailure: (error) => Effect.logError(`${error.message}: the tokens read before stay in force`)
        })
      )
    )
  )
  return { ...made, changes }
})

/** Knows these tokens. Several may have one name, so that a new one can be in use before the old one is taken out.
 * @since 0.1.0
 * @category layers */
export const layerTokens = (given: ReadonlyArray<StaticTokens.StaticToken>): Layer.Layer<Authenticator> =>
  layerOf(Effect.map(tokens(given), (made) => [made]))

/** Knows the tokens in a file (JSON, an array of `StaticToken`), and reads it again when it changes: connections of a token that is not in it any more, or in another way, are closed with 4401. A file that is not right leaves the tokens as they were, and is logged.
 * @since 0.1.0
 * @category layers */
export const layerTokensFile = (path: string): Layer.Layer<Authenticator, AuthenticatorError> =>
  layerOf(Effect.map(tokensFile(path), (made) => [made]))

/** Knows JSON Web Tokens.
 * @since 0.1.0
 * @category layers */
export const layerJwt = (options: Jwt.JwtOptions): Layer.Layer<Authenticator, AuthenticatorError> =>
  layerOf(Effect.map(Jwt.make(options), (made) => [made]))

const keysIn = (config: StatusSyncConfig.Settings): Effect.Effect<Option.Option<Jwt.Keys>, AuthenticatorError> => {
  const given: ReadonlyArray<Jwt.Keys> = [
    ...(config.jwtSecret === undefined ? [] : [{ _tag: "Secret", secret: config.jwtSecret } as const]),
    ...(config.jwtJwksFile === undefined ? [] : [{ _tag: "JwksFile", path: config.jwtJwksFile } as const]),
    ...(config.jwtJwksUrl === undefined ? [] : [{ _tag: "JwksUrl", url: config.jwtJwksUrl } as const])
  ]
  const wrong = (message: string) => new AuthenticatorError({ reason: "SettingsInvalid", message })
  if (given.length > 1) {
    return wrong("only one of STRATIX_JWT_SECRET, STRATIX_JWT_JWKS_FILE and STRATIX_JWT_JWKS_URL can be there")
  }
  // Somebody who says what tokens must be believes that tokens are asked for.
  if (given.length === 0 && (config.jwtIssuer !== undefined || config.jwtAudience !== undefined)) {
    return wrong("JWTs need keys: STRATIX_JWT_SECRET, STRATIX_JWT_JWKS_FILE or STRATIX_JWT_JWKS_URL")
  }
  return Effect.succeed(Option.fromNullable(given[0]))
}

const bySettings = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const verifiers: Array<TokenVerifier> = []
  if (config.tokens !== undefined) {
    verifiers.push(yield* Effect.flatMap(checked(Redacted.value(config.tokens), "STRATIX_TOKENS"), tokens))
  }
  if (config.tokensFile !== undefined) verifiers.push(yield* tokensFile(config.tokensFile))
  const keys = yield* keysIn(config)
  if (Option.isSome(keys)) {
    verifiers.push(
      yield* Jwt.make({
        keys: keys.value,
        issuer: config.jwtIssuer,
        audience: config.jwtAudience,
        clockSkew: config.jwtClockSkew
      })
    )
  }
  return yield* verifiers.length === 0 ? allowAll : make({ verifiers })
})

/** By the settings: static tokens, JWTs, or both; whoever asks, where the settings speak of neither.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Authenticator, AuthenticatorError, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(
  Authenticator,
  bySettings
)

/** The authenticator that was provided to the service, where one was; else by the settings.
 * @since 0.1.0
 * @category layers */
export const layerProvided: Layer.Layer<Authenticator, AuthenticatorError, StatusSyncConfig.StatusSyncConfig> =
  Layer.unwrapEffect(
    Effect.map(
      Effect.serviceOption(Authenticator),
      Option.match({ onNone: () => layer, onSome: (given) => Layer.succeed(Authenticator, given) })
    )
  )
