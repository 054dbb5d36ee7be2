/**
 * Who makes a request, and what they may see and do.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import { MAX_REVOKED, type Revocation, type Revocations } from "../log/Revocations.js"
import * as FileWatch from "../runtime/FileWatch.js"
import { isImmediate } from "../runtime/Immediate.js"
import { isLoopback } from "../runtime/IpAddress.js"
import type * as JwkSource from "./JwkSource.js"
import * as Jwt from "./Jwt.js"
import {
  AuthenticatorError,
  anonymous,
  type Credentials,
  type Principal,
  type TokenVerifier,
  Unauthenticated
} from "./Principal.js"
import * as StaticTokens from "./StaticTokens.js"

export type { Keys } from "./JwkSource.js"
export { fromClaims, type Grant, type JwtOptions } from "./Jwt.js"
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

/** Finds the principal of a request, or refuses it. The service requires one, and asks it for WebSockets and HTTP routes alike.
 * @since 0.1.0
 * @category tags */
export class Authenticator extends Context.Tag("stratix/Authenticator")<
  Authenticator,
  {
    readonly authenticate: (credentials: Credentials) => Effect.Effect<Principal, Unauthenticated>
    /** Whether it lets in every client: a gateway that other machines can reach warns of it. */
    readonly open: boolean
    /**
     * Refuses everything issued to this name until now, and closes its connections with 4401. What is issued later is valid again. Completes once the
     * log has it too, where the log is one that others have or that outlives this process; for how long it is remembered: docs/SECURITY.md.
     */
    readonly revoke: (name: string) => Effect.Effect<void>
    /** Whether a principal that was let in may stay. */
    readonly isStillValid: (principal: Principal) => boolean
    /** A message whenever principals may have become invalid. */
    readonly revocations: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope>
    /** Until the scope closes, shares revocations with a log: those made here and those it remembers or hears of. */
    readonly shareRevocations: (log: Revocations) => Effect.Effect<void, never, Scope.Scope>
  }
>() {}

/** Asks one verifier after the other. If none recognises the token, the answer is the first that says more than "not valid". */
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

/** An authenticator that asks these verifiers, in this order. Your own is `Layer.scoped(Authenticator, make({ verifiers: [{ verify }] }))`.
 * @since 0.1.0
 * @category constructors */
export const make = Effect.fnUntraced(function* (options: {
  readonly verifiers: ReadonlyArray<TokenVerifier>
  /** Whether it lets in every client; `false` if absent. */
  readonly open?: boolean
}): Effect.fn.Return<typeof Authenticator.Service, never, Scope.Scope> {
  const { open = false, verifiers } = options
  // One waiting message is as good as many.
  const signs = yield* Effect.acquireRelease(PubSub.sliding<void>(1), PubSub.shutdown)
  const revokedAt = new Map<string, number>()
  // Bound: one for each service that asks this authenticator.
  const logs = new Set<Revocations>()

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

  const unlessRevoked = (principal: Principal): Exit.Exit<Principal, Unauthenticated> =>
    isRevoked(principal)
      ? Exit.fail(new Unauthenticated({ reason: "Revoked", message: "the token was revoked" }))
      : Exit.succeed(principal)

  const remember = (revocations: Iterable<Revocation>) =>
    Effect.gen(function* () {
      for (const { at, name } of revocations) {
        if ((revokedAt.get(name) ?? Number.NEGATIVE_INFINITY) >= at) continue
        revokedAt.delete(name)
        revokedAt.set(name, at)
        const oldest = revokedAt.size > MAX_REVOKED ? revokedAt.keys().next().value : undefined
        if (oldest === undefined) continue
        revokedAt.delete(oldest)
        yield* Effect.logWarning(`more than ${MAX_REVOKED} names are revoked: the revocation of ${oldest} is forgotten`)
      }
      yield* PubSub.publish(signs, undefined)
    })

  return {
    open,
    authenticate: (credentials) => {
      const found = firstOf(verifiers, credentials)
      return isImmediate(found) ? Exit.flatMap(found, unlessRevoked) : Effect.flatMap(found, unlessRevoked)
    },
    revoke: Effect.fnUntraced(function* (name) {
      const revocation = { name, at: yield* Clock.currentTimeMillis }
      yield* remember([revocation])
      yield* Effect.forEach(logs, (log) => log.share(revocation), { concurrency: "unbounded", discard: true })
    }),
    isStillValid: (principal) =>
      !isRevoked(principal) && verifiers.every((verifier) => verifier.isStillValid?.(principal) ?? true),
    revocations: PubSub.subscribe(signs),
    shareRevocations: Effect.fnUntraced(function* (log) {
      const heard = yield* log.subscribe
      yield* remember(yield* Queue.takeAll(heard))
      const take = Effect.flatMap(Queue.takeBetween(heard, 1, MAX_REVOKED), remember)
      yield* Effect.forkScoped(Effect.interruptible(Effect.forever(take)))
      yield* Effect.acquireRelease(
        Effect.sync(() => logs.add(log)),
        () => Effect.sync(() => logs.delete(log))
      )
    })
  }
})

const layerOf = <E>(verifier: Effect.Effect<TokenVerifier, E, Scope.Scope>): Layer.Layer<Authenticator, E> =>
  Layer.scoped(
    Authenticator,
    Effect.flatMap(verifier, (made) => make({ verifiers: [made] }))
  )

const parseTokens = (
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
  const loaded = yield* FileWatch.load({
    what: "tokens",
    paths: [path],
    parse: (texts) => parseTokens(texts.join(), path)
  }).pipe(Effect.catchTag("FileError", AuthenticatorError.unreadable))
  const made = yield* tokens(loaded.value)
  const changes = loaded.reloads((next) => Effect.map(Clock.currentTimeMillis, (now) => made.replace(next, now)))
  return { ...made, changes }
})

/** Recognises these tokens. Several may have one name, so that a new one can be in use before the old one is removed.
 * @since 0.1.0
 * @category layers */
export const layerTokens = (given: ReadonlyArray<StaticTokens.StaticToken>): Layer.Layer<Authenticator> =>
  layerOf(tokens(given))

/** Recognises the tokens in a file (JSON, an array of `StaticToken`), and reads it again when it changes: connections whose token was removed or changed are closed with 4401. A file that becomes invalid leaves the tokens as they are, and is logged.
 * @since 0.1.0
 * @category layers */
export const layerTokensFile = (path: string): Layer.Layer<Authenticator, AuthenticatorError> =>
  layerOf(tokensFile(path))

/** Recognises JSON Web Tokens.
 * @since 0.1.0
 * @category layers */
export const layerJwt = (options: Jwt.JwtOptions): Layer.Layer<Authenticator, AuthenticatorError> =>
  layerOf(Jwt.make(options))

const allowAll = make({ verifiers: [{ verify: () => Exit.succeed(anonymous) }], open: true })

/** Lets in every client, with or without a token, to watch, publish and inspect.
 * @since 0.1.0
 * @category layers */
export const layerAllowAll: Layer.Layer<Authenticator> = Layer.scoped(Authenticator, allowAll)

/** Refuses every token: for a host application that authenticates requests itself.
 * @since 0.1.0
 * @category layers */
export const layerDenyAll: Layer.Layer<Authenticator> = layerOf(
  Effect.succeed({
    verify: ({ token }) =>
      Exit.fail(
        token === undefined
          ? new Unauthenticated({ reason: "Missing", message: "this gateway does not authenticate clients itself" })
          : new Unauthenticated({ reason: "Invalid", message: "this gateway accepts no tokens" })
      )
  })
)

const settingsInvalid = (message: string) => new AuthenticatorError({ reason: "SettingsInvalid", message })

const jwtKeys = (config: StatusSyncConfig.Settings): Effect.Effect<JwkSource.Keys | undefined, AuthenticatorError> => {
  const given: ReadonlyArray<JwkSource.Keys> = [
    ...(config.jwtSecret === undefined ? [] : [{ _tag: "Secret", secret: config.jwtSecret } as const]),
    ...(config.jwtJwksFile === undefined ? [] : [{ _tag: "JwksFile", path: config.jwtJwksFile } as const]),
    ...(config.jwtJwksUrl === undefined ? [] : [{ _tag: "JwksUrl", url: config.jwtJwksUrl } as const])
  ]
  if (given.length > 1) {
    return settingsInvalid("set only one of STRATIX_JWT_SECRET, STRATIX_JWT_JWKS_FILE and STRATIX_JWT_JWKS_URL")
  }
  // An operator who says what tokens must be believes that tokens are asked for.
  if (given.length === 0 && (config.jwtIssuer !== undefined || config.jwtAudience !== undefined)) {
    return settingsInvalid("JWTs need keys: set STRATIX_JWT_SECRET, STRATIX_JWT_JWKS_FILE or STRATIX_JWT_JWKS_URL")
  }
  return Effect.succeed(given[0])
}

const configured = Effect.fnUntraced(function* (config: StatusSyncConfig.Settings) {
  const verifiers: Array<TokenVerifier> = []
  if (config.tokens !== undefined) {
    verifiers.push(yield* Effect.flatMap(parseTokens(Redacted.value(config.tokens), "STRATIX_TOKENS"), tokens))
  }
  if (config.tokensFile !== undefined) verifiers.push(yield* tokensFile(config.tokensFile))
  const keys = yield* jwtKeys(config)
  if (keys !== undefined) {
    const { jwtAudience: audience, jwtClockSkew: clockSkew, jwtIssuer: issuer } = config
    verifiers.push(yield* Jwt.make({ keys, issuer, audience, clockSkew }))
  }
  return verifiers
})

/** Recognises what the settings name. Where they name nothing, they must allow anonymous clients, or there must be no reason to refuse. */
const bySettings = (reasonToRefuse: (config: StatusSyncConfig.Settings) => string | undefined) =>
  Layer.scoped(
    Authenticator,
    Effect.gen(function* () {
      const config = yield* StatusSyncConfig.StatusSyncConfig
      const verifiers = yield* configured(config)
      if (verifiers.length > 0) {
        return config.allowAnonymous
          ? yield* settingsInvalid(
              "STRATIX_ALLOW_ANONYMOUS is true, but tokens or JWT keys are set: remove one of them"
            )
          : yield* make({ verifiers })
      }
      const reason = config.allowAnonymous ? undefined : reasonToRefuse(config)
      if (reason === undefined) return yield* allowAll
      return yield* new AuthenticatorError({
        reason: "NothingConfigured",
        message: `${reason}: set STRATIX_TOKENS_FILE, STRATIX_TOKENS or a STRATIX_JWT_ key (docs/SECURITY.md), or let in every client with STRATIX_ALLOW_ANONYMOUS=true`
      })
    })
  )

/** By the `StatusSyncConfig`: static tokens, JWTs, or both. Fails where it has neither, unless it allows anonymous clients.
 * @since 0.1.0
 * @category layers */
export const layerSettings: Layer.Layer<Authenticator, AuthenticatorError, StatusSyncConfig.StatusSyncConfig> =
  bySettings(() => "no tokens or keys are configured")

/** By the environment (or any `ConfigProvider`): static tokens, JWTs, or both. Fails where it has neither, unless it allows anonymous clients.
 * @since 0.1.0
 * @category layers */
export const layerConfig: Layer.Layer<
  Authenticator,
  AuthenticatorError | StatusSyncConfig.ConfigInvalid | ConfigError
> = Layer.provide(layerSettings, StatusSyncConfig.layerConfig)

/** Like `layerSettings`, for a gateway that binds `host` itself; where no tokens or keys are configured, it lets in every client if only this machine can reach the gateway: `host` is loopback, and there are no trusted proxies.
 * @since 0.1.0
 * @category layers */
export const layerLoopback: Layer.Layer<Authenticator, AuthenticatorError, StatusSyncConfig.StatusSyncConfig> =
  bySettings(({ host, trustedProxies }) =>
    !isLoopback(host)
      ? `${host} can be reached from other machines, and no tokens or keys are configured`
      : trustedProxies.length > 0
        ? "other machines can reach the gateway through STRATIX_TRUSTED_PROXIES, and no tokens or keys are configured"
        : undefined
  )
