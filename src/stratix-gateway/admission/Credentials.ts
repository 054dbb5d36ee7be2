/**
 * Credentials of a request: the token it shows, whose it is, and how it is refused.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Authenticator from "../auth/Authenticator.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import { isImmediate } from "../runtime/Immediate.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"

/** `Retry-After` in seconds for a client whose token could not be checked. */
export const UNAVAILABLE_RETRY = "5"

/** The token of an `Authorization` header of the Bearer scheme. */
export const bearerToken = (authorization: string | undefined): Redacted.Redacted<string> | undefined => {
  if (authorization === undefined) return undefined
  const token = /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  return token === undefined ? undefined : Redacted.make(token)
}

/** `WWW-Authenticate` for a client without a valid token (RFC 6750 §3). */
export const challenge = (error: Authenticator.Unauthenticated): string =>
  error.reason === "Missing" ? 'Bearer realm="stratix"' : 'Bearer realm="stratix", error="invalid_token"'

/** `WWW-Authenticate` for a principal that lacks a permission. */
export const scopeChallenge = (permission: Authenticator.Permission): string =>
  `Bearer realm="stratix", error="insufficient_scope", scope="stratix:${permission}"`

/** Refuses a principal that has expired at this time. */
export const unexpired = (
  principal: Authenticator.Principal,
  now: number
): Exit.Exit<Authenticator.Principal, Authenticator.Unauthenticated> =>
  principal.expiresAt === undefined || DateTime.toEpochMillis(principal.expiresAt) > now
    ? Exit.succeed(principal)
    : Exit.fail(new Authenticator.Unauthenticated({ reason: "Expired", message: "the token has expired" }))

/** Finds the principal of these credentials, within the handshake timeout, and refuses it if it has expired. An immediate decision of the authenticator is an `Exit`. */
export const verifier: Effect.Effect<
  (credentials: Authenticator.Credentials) => Effect.Effect<Authenticator.Principal, Authenticator.Unauthenticated>,
  never,
  Authenticator.Authenticator | StatusSyncConfig.StatusSyncConfig | Scope.Scope
> = Effect.gen(function* () {
  const { handshakeTimeout } = yield* StatusSyncConfig.StatusSyncConfig
  const { authenticate } = yield* Authenticator.Authenticator
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const deadlines = yield* TimeoutQueues.make
  const waits = deadlines.queue(handshakeTimeout, (onExpire: () => void) => onExpire())
  const tooSlow = new Authenticator.Unauthenticated({
    reason: "Unavailable",
    message: "it took too long to find out whether the token is good"
  })
  const inTime = (principal: Authenticator.Principal) => unexpired(principal, clock.unsafeCurrentTimeMillis())

  return (credentials) => {
    const deciding = authenticate(credentials)
    if (isImmediate(deciding)) return Exit.isSuccess(deciding) ? inTime(deciding.value) : deciding
    const fiber = runFork(deciding)
    // Most authenticators decide at once: only a decision that is pending gets a timeout.
    const decided = fiber.unsafePoll()
    if (decided !== null) return Exit.flatMap(decided, inTime)
    const waited = Effect.async<Authenticator.Principal, Authenticator.Unauthenticated>((resume) => {
      const wait = new TimeoutQueues.Timeout(() => {
        resume(tooSlow)
        fiber.unsafeInterruptAsFork(FiberId.none)
      })
      waits.start(wait)
      fiber.addObserver((end) => {
        waits.stop(wait)
        resume(end)
      })
      return Effect.sync(() => {
        waits.stop(wait)
        fiber.unsafeInterruptAsFork(FiberId.none)
      })
    })
    return Effect.flatMap(waited, inTime)
  }
})
