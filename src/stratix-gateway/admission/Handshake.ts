/**
 * The handshake: decides on every upgrade request before there is a connection.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../../stratix-core/stratix-protocol.js"
import * as Authenticator from "../auth/Authenticator.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Broadcast from "../fanout/Broadcast.js"
import * as Filter from "../log/Filter.js"
import { isImmediate } from "../runtime/Immediate.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import type { RefusalReason } from "../telemetry/Metrics.js"
import * as Refusals from "../telemetry/Refusals.js"
import * as Tracing from "../telemetry/Tracing.js"
import { type Refusal, refuse } from "../transport/Refusal.js"
import type { UpgradeRequest } from "../transport/Transport.js"
import type { Admission } from "./Admission.js"
import * as Host from "./Host.js"
import * as Limits from "./Limits.js"
import * as Origin from "./Origin.js"

/** What a host application decided before the handshake. It routed the request, so any path is right.
 * @since 0.1.0
 * @category models */
export interface HostDecision {
  /** Whom it authenticated. The client's own token is not looked at then, but the principal must not have expired and must not be revoked. */
  readonly principal?: Authenticator.Principal | undefined
  /** The most that this connection may see, within what its principal may. */
  readonly visible?: Filter.Filter | undefined
}

/** Decides on upgrade requests.
 * @since 0.1.0
 * @category tags */
export class Handshake extends Context.Tag("stratix/Handshake")<
  Handshake,
  {
    /** Decides on an upgrade. If the authenticator decides at once, the result is an `Exit`, which needs no fiber: nearly every handshake is like that, and a crowd of reconnecting clients is accepted 1.4 times as fast (docs/decisions/0007). */
    readonly decide: (request: UpgradeRequest, host?: HostDecision) => Effect.Effect<Admission, Refusal>
    /** The client's address: the peer's, or the one a trusted proxy names. */
    readonly addressOf: (request: UpgradeRequest) => string
  }
>() {}

const one = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" || value === undefined ? value : value.join(",")

/** The version of the WebSocket protocol (RFC 6455 §4.1). */
const VERSION = "13"

/** An entry of `Sec-WebSocket-Protocol` (RFC 9110 §5.6.2). */
const HTTP_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** `Retry-After` in seconds for a client whose token could not be checked.
 * @since 0.1.0
 * @category credentials */
export const UNAVAILABLE_RETRY = "5"

/** The token of an `Authorization` header of the Bearer scheme.
 * @since 0.1.0
 * @category credentials */
export const bearerToken = (authorization: string | undefined): Redacted.Redacted<string> | undefined => {
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1]
  return token === undefined ? undefined : Redacted.make(token)
}

/** `WWW-Authenticate` for a client without a valid token (RFC 6750 §3).
 * @since 0.1.0
 * @category credentials */
export const challenge = (error: Authenticator.Unauthenticated): string =>
  error.reason === "Missing" ? 'Bearer realm="stratix"' : 'Bearer realm="stratix", error="invalid_token"'

/** `WWW-Authenticate` for a principal that lacks a permission.
 * @since 0.1.0
 * @category credentials */
export const scopeChallenge = (permission: Authenticator.Permission): string =>
  `Bearer realm="stratix", error="insufficient_scope", scope="stratix:${permission}"`

/** Refuses a principal that has expired at this time.
 * @since 0.1.0
 * @category credentials */
export const unexpired = (
  principal: Authenticator.Principal,
  now: number
): Exit.Exit<Authenticator.Principal, Authenticator.Unauthenticated> =>
  principal.expiresAt === undefined || DateTime.toEpochMillis(principal.expiresAt) > now
    ? Exit.succeed(principal)
    : Exit.fail(new Authenticator.Unauthenticated({ reason: "Expired", message: "the token has expired" }))

/** Finds the principal of these credentials, within the handshake timeout, and refuses it if it has expired. An immediate decision of the authenticator is an `Exit`.
 * @since 0.1.0
 * @category credentials */
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
    if (isImmediate(deciding)) return Exit.flatMap(deciding, inTime)
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

/** A status of 500 and more is none of the client's making. */
const outcomeOf = (exit: Exit.Exit<Admission, Refusal>): Limits.HandshakeOutcome => {
  if (Exit.isSuccess(exit)) return "admitted"
  const refusal = Cause.failureOption(exit.cause)
  return Option.isSome(refusal) && refusal.value.status < 500 ? "refused" : "undecided"
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const limits = yield* Limits.Limits
  const { recordRefusal } = yield* Refusals.Refusals
  const verify = yield* verifier
  const { isStillValid } = yield* Authenticator.Authenticator
  const clock = yield* Effect.clock

  /** A principal that the host application gives must be as good as one that the authenticator finds. */
  const vet = (principal: Authenticator.Principal) =>
    isStillValid(principal)
      ? unexpired(principal, clock.unsafeCurrentTimeMillis())
      : Exit.fail(new Authenticator.Unauthenticated({ reason: "Revoked", message: "the token was revoked" }))

  const refusedAs =
    (label: RefusalReason, address: string) =>
    (refusal: Refusal): Refusal => {
      recordRefusal(label, refusal.message, address)
      return refusal
    }

  const shape = (request: UpgradeRequest, address: string, routed: boolean): Either.Either<Filter.Query, Refusal> => {
    const header = (name: string) => one(request.headers[name])
    const cut = request.url.indexOf("?")
    const path = cut === -1 ? request.url : request.url.slice(0, cut)
    const fail = (label: RefusalReason, ...args: Parameters<typeof refuse>) =>
      Either.left(refusedAs(label, address)(refuse(...args)))
    if (!routed && path !== config.path) {
      return fail("not_found", "not-found", 404, `there is no WebSocket at ${path}: it is at ${config.path}`)
    }
    if (request.method !== "GET") {
      return fail("method", "method", 405, `an upgrade is a GET, not a ${request.method}`, { allow: "GET" })
    }
    if (header("upgrade")?.toLowerCase() !== "websocket") {
      return fail("upgrade_required", "upgrade-required", 426, "only an upgrade to websocket is served here", {
        upgrade: "websocket",
        connection: "Upgrade"
      })
    }
    if (header("sec-websocket-version") !== VERSION) {
      return fail("upgrade_required", "upgrade-required", 426, `Sec-WebSocket-Version must be ${VERSION}`, {
        "sec-websocket-version": VERSION
      })
    }
    if (!/^[+/0-9A-Za-z]{22}==$/.test(header("sec-websocket-key") ?? "")) {
      return fail("malformed", "malformed", 400, "Sec-WebSocket-Key must be 16 bytes in base64")
    }
    const host = header("host")
    const hostRequest = {
      host,
      // Asked of the operating system only where it decides.
      get local() {
        return request.local
      }
    }
    if (host !== undefined && !Host.isAllowed(hostRequest, config)) {
      return fail("host", "forbidden", 403, Host.refusalOf(host))
    }
    const origin = header("origin")
    // A client without an origin is not a browser, and saves the system call behind `local`.
    if (
      origin !== undefined &&
      !Origin.isAllowed(
        { origin, host, local: request.local, hostListed: host !== undefined && Host.isListed(host, config) },
        config.allowedOrigins
      )
    ) {
      return fail("origin", "forbidden", 403, `pages from ${origin} may not connect: its origin is not allowed`)
    }
    const query = Filter.fromQuery(cut === -1 ? "" : request.url.slice(cut + 1))
    if (Either.isLeft(query)) return fail("malformed", "malformed", 400, query.left)
    const size = Filter.size(query.right.filter)
    return size <= config.maxFilterValues
      ? Either.right(query.right)
      : fail(
          "filter_size",
          "malformed",
          400,
          `the filter has ${size} values, more than the ${config.maxFilterValues} allowed`
        )
  }

  /** The subprotocol to select, and the token among the subprotocols offered. */
  const protocols = (
    request: UpgradeRequest
  ): Either.Either<Pick<Admission, "subprotocol"> & { token?: string }, Refusal> => {
    const header = one(request.headers["sec-websocket-protocol"])
    if (header === undefined) return Either.right({ subprotocol: undefined })
    const offered = header.split(",").map((entry) => entry.trim())
    if (!offered.every((entry) => HTTP_TOKEN.test(entry)) || new Set(offered).size < offered.length) {
      return Either.left(refuse("malformed", 400, "Sec-WebSocket-Protocol must be a list of different names"))
    }
    const subprotocol = offered.find((entry) => entry === SYNC_PROTOCOL || entry === PLAIN_PROTOCOL)
    const bearer = offered.find((entry) => entry.startsWith(BEARER_PROTOCOL_PREFIX))
    if (bearer === undefined) return Either.right({ subprotocol })
    return subprotocol === undefined
      ? Either.left(
          refuse(
            "malformed",
            400,
            `a token among the subprotocols needs ${PLAIN_PROTOCOL} or ${SYNC_PROTOCOL} beside it`
          )
        )
      : Either.right({ subprotocol, token: bearer.slice(BEARER_PROTOCOL_PREFIX.length) })
  }

  const unauthorized = (error: Authenticator.Unauthenticated, ignored: boolean, address: string): Refusal =>
    error.reason === "Unavailable"
      ? refusedAs(
          "unavailable",
          address
        )(refuse("unavailable", 503, error.message, { "retry-after": UNAVAILABLE_RETRY }))
      : refusedAs(
          "unauthenticated",
          address
        )(
          refuse(
            "unauthorized",
            401,
            ignored ? `${error.message}; one in the query string is not looked at here` : error.message,
            { "www-authenticate": challenge(error) }
          )
        )

  const admit = (
    request: UpgradeRequest,
    address: string,
    permit: Limits.Permit,
    host: HostDecision | undefined
  ): Effect.Effect<Admission, Refusal> => {
    const shaped = shape(request, address, host !== undefined)
    if (Either.isLeft(shaped)) return Exit.fail(shaped.left)
    const query = shaped.right
    const offered = protocols(request)
    if (Either.isLeft(offered)) return Exit.fail(refusedAs("malformed", address)(offered.left))
    const { subprotocol, token } = offered.right
    const shown = token ?? (config.queryTokens ? query.token : undefined)

    const admitted = (principal: Authenticator.Principal): Exit.Exit<Admission, Refusal> => {
      if (!principal.permissions.has("subscribe")) {
        return Exit.fail(
          refusedAs(
            "forbidden",
            address
          )(
            refuse("forbidden", 403, `${principal.name} may not subscribe`, {
              "www-authenticate": scopeChallenge("subscribe")
            })
          )
        )
      }
      const sync = subprotocol === SYNC_PROTOCOL
      const start: Broadcast.Start =
        sync && query.since !== undefined
          ? { _tag: "Since", offset: query.since }
          : sync || query.snapshot
            ? Broadcast.atSnapshot
            : Broadcast.atHead
      const visible =
        host?.visible === undefined ? principal.visible : Filter.intersect(principal.visible, host.visible)
      return Exit.succeed({ subprotocol, sync, filter: query.filter, start, principal, visible, address, permit })
    }
    const unauthenticated = (error: Authenticator.Unauthenticated): Refusal =>
      unauthorized(error, error.reason === "Missing" && query.token !== undefined, address)

    if (host?.principal !== undefined) {
      return Exit.flatMap(Exit.mapError(vet(host.principal), unauthenticated), admitted)
    }
    const verification = verify({
      token:
        bearerToken(one(request.headers["authorization"])) ?? (shown === undefined ? undefined : Redacted.make(shown)),
      remoteAddress: address
    })
    return isImmediate(verification)
      ? Exit.flatMap(Exit.mapError(verification, unauthenticated), admitted)
      : Effect.flatMap(Effect.mapError(verification, unauthenticated), admitted)
  }

  const full = ({ message, reason, retryAfterSeconds, status }: Limits.LimitExceeded, address: string): Refusal =>
    refusedAs(
      reason,
      address
    )(refuse(status === 429 ? "too-many" : "full", status, message, { "retry-after": String(retryAfterSeconds) }))

  const tracer = yield* Tracing.listening
  /** In the client's trace, if it sent one. */
  const traced = (request: UpgradeRequest, address: string, decision: Effect.Effect<Admission, Refusal>) => {
    const parent = Tracing.callerOf({ traceparent: one(request.headers["traceparent"]) })
    // A client that does not record its trace does not want it recorded here either.
    if (parent?.sampled === false) return decision
    return decision.pipe(
      Effect.tap(({ principal, sync }) =>
        Effect.annotateCurrentSpan({ "stratix.protocol": sync ? "sync" : "plain", "stratix.principal": principal.name })
      ),
      Effect.tapError(({ reason, status }) =>
        Effect.annotateCurrentSpan({ "stratix.refusal": reason, "http.response.status_code": status })
      ),
      // Without the query string, which may contain a token.
      Effect.withSpan(Tracing.spans.handshake, {
        kind: "server",
        captureStackTrace: false,
        attributes: { "client.address": address, "url.path": request.url.split("?", 1)[0] },
        ...(parent === undefined ? { root: true } : { parent })
      })
    )
  }

  /** Decides for a client within the limits. A refusal gives its permit back. */
  const within = (
    request: UpgradeRequest,
    address: string,
    permit: Limits.Permit,
    host: HostDecision | undefined
  ): Effect.Effect<Admission, Refusal> => {
    const handshakeDone = (exit: Exit.Exit<Admission, Refusal>) => {
      permit.handshakeDone(outcomeOf(exit))
      if (Exit.isFailure(exit)) permit.release()
    }
    let decision: Effect.Effect<Admission, Refusal>
    try {
      decision = admit(request, address, permit, host)
    } catch (defect) {
      decision = Exit.die(defect)
    }
    if (!isImmediate(decision)) return Effect.onExit(decision, (exit) => Effect.sync(() => handshakeDone(exit)))
    handshakeDone(decision)
    return decision
  }

  const addressOf = (request: UpgradeRequest): string =>
    limits.clientAddress(request.remoteAddress, one(request.headers["x-forwarded-for"]))

  return Handshake.of({
    addressOf,
    decide: (request, host) => {
      const address = addressOf(request)
      const decide = () =>
        Either.match(limits.acquire(address), {
          onLeft: (over) => Exit.fail(full(over, address)),
          onRight: (permit) => within(request, address, permit, host)
        })
      return tracer === undefined ? decide() : traced(request, address, Effect.suspend(decide))
    }
  })
})

/** The handshake according to the settings, the limits and the `Authenticator`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<
  Handshake,
  never,
  StatusSyncConfig.StatusSyncConfig | Authenticator.Authenticator | Limits.Limits | Refusals.Refusals
> = Layer.scoped(Handshake, make)
