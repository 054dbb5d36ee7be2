/**
 * The handshake: decides on every upgrade request before there is a connection.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../../stratix-core/stratix-protocol.js"
import * as Authenticator from "../auth/Authenticator.js"
import * as TenantChoice from "../auth/TenantChoice.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Broadcast from "../fanout/Broadcast.js"
import * as Filter from "../log/Filter.js"
import { isImmediate } from "../runtime/Immediate.js"
import type { RefusalReason } from "../telemetry/Metrics.js"
import * as Refusals from "../telemetry/Refusals.js"
import * as Tracing from "../telemetry/Tracing.js"
import { type Refusal, refuse } from "../transport/Refusal.js"
import type { UpgradeRequest } from "../transport/Transport.js"
import type { Admission } from "./Admission.js"
import * as Credentials from "./Credentials.js"
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
  /** Which of its principal's tenants it sees, in place of what the client chooses. */
  readonly tenant?: string | undefined
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

const header = ({ headers }: UpgradeRequest, name: string): string | undefined => one(headers[name])

/** Where a stream goes on: `EventSource` repeats its URL, and so an old `since`, whenever it comes back. */
const cursorOf = (request: UpgradeRequest): string | undefined => {
  const id = request.asks === "stream" ? header(request, "last-event-id") : undefined
  return id === "" ? undefined : id
}

const pathOf = (url: string): string => {
  const cut = url.indexOf("?")
  return cut === -1 ? url : url.slice(0, cut)
}

/** The version of the WebSocket protocol (RFC 6455 §4.1). */
const VERSION = "13"

/** An entry of `Sec-WebSocket-Protocol` (RFC 9110 §5.6.2). */
const HTTP_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The subprotocol to select, and the token among the subprotocols offered. */
interface Offered extends Pick<Admission, "subprotocol"> {
  readonly token?: string
}

const noneOffered: Either.Either<Offered, Refusal> = Either.right({ subprotocol: undefined })

/** A status of 500 and more is none of the client's making. */
const outcomeOf = (exit: Exit.Exit<Admission, Refusal>): Limits.HandshakeOutcome => {
  if (Exit.isSuccess(exit)) return "admitted"
  const refusal = Cause.failureOption(exit.cause)
  return Option.isSome(refusal) && refusal.value.status < 500 ? "refused" : "undecided"
}

const settle = (permit: Limits.Permit, exit: Exit.Exit<Admission, Refusal>): void => {
  permit.handshakeDone(outcomeOf(exit))
  if (Exit.isFailure(exit)) permit.release()
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const limits = yield* Limits.Limits
  const { recordRefusal } = yield* Refusals.Refusals
  const verify = yield* Credentials.verifier
  const { isStillValid } = yield* Authenticator.Authenticator
  const clock = yield* Effect.clock

  /** A principal that the host application gives must be as good as one that the authenticator finds. */
  const vet = (principal: Authenticator.Principal) =>
    isStillValid(principal)
      ? Credentials.unexpired(principal, clock.unsafeCurrentTimeMillis())
      : Exit.fail(new Authenticator.Unauthenticated({ reason: "Revoked", message: "the token was revoked" }))

  const refusedAs =
    (label: RefusalReason, address: string) =>
    (refusal: Refusal): Refusal => {
      recordRefusal(label, refusal.message, address)
      return refusal
    }

  const refuseAs = (address: string, label: RefusalReason, ...args: Parameters<typeof refuse>) =>
    Either.left(refusedAs(label, address)(refuse(...args)))

  /** The upgrade itself, as RFC 6455 wants it. */
  const upgrade = (request: UpgradeRequest, address: string, routed: boolean): Either.Either<void, Refusal> => {
    const path = pathOf(request.url)
    if (!routed && path !== config.path) {
      const message = `there is no WebSocket at ${path}: it is at ${config.path}`
      return refuseAs(address, "not_found", "not-found", 404, message)
    }
    if (request.method !== "GET") {
      const message = `an upgrade is a GET, not a ${request.method}`
      return refuseAs(address, "method", "method", 405, message, { allow: "GET" })
    }
    if (header(request, "upgrade")?.toLowerCase() !== "websocket") {
      const message = "only an upgrade to websocket is served here"
      const headers = { upgrade: "websocket", connection: "Upgrade" }
      return refuseAs(address, "upgrade_required", "upgrade-required", 426, message, headers)
    }
    if (header(request, "sec-websocket-version") !== VERSION) {
      const message = `Sec-WebSocket-Version must be ${VERSION}`
      const headers = { "sec-websocket-version": VERSION }
      return refuseAs(address, "upgrade_required", "upgrade-required", 426, message, headers)
    }
    return /^[+/0-9A-Za-z]{22}==$/.test(header(request, "sec-websocket-key") ?? "")
      ? Either.void
      : refuseAs(address, "malformed", "malformed", 400, "Sec-WebSocket-Key must be 16 bytes in base64")
  }

  const shape = (request: UpgradeRequest, address: string, routed: boolean): Either.Either<Filter.Query, Refusal> => {
    if (request.asks === "websocket") {
      const asked = upgrade(request, address, routed)
      if (Either.isLeft(asked)) return Either.left(asked.left)
    } else if (request.method !== "GET") {
      const message = `an event stream is the answer to a GET, not to a ${request.method}`
      return refuseAs(address, "method", "method", 405, message, { allow: "GET" })
    } else if (
      header(request, "transfer-encoding") !== undefined ||
      Number(header(request, "content-length") ?? 0) !== 0
    ) {
      return refuseAs(address, "malformed", "malformed", 400, "the request for an event stream has no body")
    }
    const host = header(request, "host")
    if (host !== undefined && !Host.isAllowed(host, request, config)) {
      return refuseAs(address, "host", "forbidden", 403, Host.refusalOf(host))
    }
    const origin = header(request, "origin")
    // A client without an origin is not a browser, and saves the system call behind `local`.
    if (
      origin !== undefined &&
      !Origin.isAllowed(
        { origin, host, local: request.local, hostListed: host !== undefined && Host.isListed(host, config) },
        config.allowedOrigins
      )
    ) {
      const message = `pages from ${origin} may not connect: its origin is not allowed`
      return refuseAs(address, "origin", "forbidden", 403, message)
    }
    const cut = request.url.indexOf("?")
    const query = Filter.fromQuery(cut === -1 ? "" : request.url.slice(cut + 1))
    if (Either.isLeft(query)) return refuseAs(address, "malformed", "malformed", 400, query.left)
    const size = Filter.size(query.right.filter)
    if (size <= config.maxFilterValues) return Either.right(query.right)
    const message = `the filter has ${size} values, more than the ${config.maxFilterValues} allowed`
    return refuseAs(address, "filter_size", "malformed", 400, message)
  }

  const protocols = (request: UpgradeRequest): Either.Either<Offered, Refusal> => {
    const list = header(request, "sec-websocket-protocol")
    if (list === undefined) return noneOffered
    const offered = list.split(",").map((entry) => entry.trim())
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
        )(refuse("unavailable", 503, error.message, { "retry-after": Credentials.UNAVAILABLE_RETRY }))
      : refusedAs(
          "unauthenticated",
          address
        )(
          refuse(
            "unauthorized",
            401,
            ignored ? `${error.message}; one in the query string is not looked at here` : error.message,
            { "www-authenticate": Credentials.challenge(error) }
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
              "www-authenticate": Credentials.scopeChallenge("subscribe")
            })
          )
        )
      }
      const chosen = TenantChoice.choose(principal, host?.tenant ?? query.tenant)
      if (Either.isLeft(chosen))
        return Exit.fail(refusedAs("forbidden", address)(refuse("forbidden", 403, chosen.left)))
      const tenant = chosen.right
      const protocol = request.asks === "stream" ? "stream" : subprotocol === SYNC_PROTOCOL ? "sync" : "plain"
      const sync = protocol !== "plain"
      // What it was shown until then may be another part of the log than what it may see now.
      const since = principal.visibility === undefined ? (cursorOf(request) ?? query.since) : undefined
      const start: Broadcast.Start =
        sync && since !== undefined
          ? { _tag: "Since", offset: since }
          : sync || query.snapshot
            ? Broadcast.atSnapshot
            : Broadcast.atHead
      const { filter } = query
      const within = host?.visible
      // Values alone: a function among them would keep the whole request for as long as the connection lasts.
      return Exit.succeed({ subprotocol, protocol, sync, filter, start, principal, tenant, within, address, permit })
    }
    const unauthenticated = (error: Authenticator.Unauthenticated): Refusal =>
      unauthorized(error, error.reason === "Missing" && query.token !== undefined, address)

    const verification =
      host?.principal !== undefined
        ? vet(host.principal)
        : verify({
            token:
              Credentials.bearerToken(header(request, "authorization")) ??
              (shown === undefined ? undefined : Redacted.make(shown)),
            headers: request.headers,
            remoteAddress: address
          })
    if (!isImmediate(verification)) return Effect.flatMap(Effect.mapError(verification, unauthenticated), admitted)
    return Exit.isSuccess(verification)
      ? admitted(verification.value)
      : Exit.mapError(Exit.failCause(verification.cause), unauthenticated)
  }

  const full = ({ message, reason, retryAfterSeconds, status }: Limits.LimitExceeded, address: string): Refusal =>
    refusedAs(
      reason,
      address
    )(refuse(status === 429 ? "too-many" : "full", status, message, { "retry-after": String(retryAfterSeconds) }))

  const tracer = yield* Tracing.listening
  /** In the client's trace, if it sent one. */
  const traced = (request: UpgradeRequest, address: string, decision: Effect.Effect<Admission, Refusal>) => {
    const parent = Tracing.callerOf({ traceparent: header(request, "traceparent") })
    // A client that does not record its trace does not want it recorded here either.
    if (parent?.sampled === false) return decision
    return decision.pipe(
      Effect.tap(({ principal, protocol }) =>
        Effect.annotateCurrentSpan({ "stratix.protocol": protocol, "stratix.principal": principal.name })
      ),
      Effect.tapError(({ reason, status }) =>
        Effect.annotateCurrentSpan({ "stratix.refusal": reason, "http.response.status_code": status })
      ),
      // Without the query string, which may contain a token.
      Effect.withSpan(Tracing.spans.handshake, {
        kind: "server",
        captureStackTrace: false,
        attributes: { "client.address": address, "url.path": pathOf(request.url) },
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
    let decision: Effect.Effect<Admission, Refusal>
    try {
      decision = admit(request, address, permit, host)
    } catch (defect) {
      decision = Exit.die(defect)
    }
    if (!isImmediate(decision)) return Effect.onExit(decision, (exit) => Effect.sync(() => settle(permit, exit)))
    settle(permit, decision)
    return decision
  }

  const addressOf = (request: UpgradeRequest): string =>
    limits.clientAddress(request.remoteAddress, header(request, "x-forwarded-for"))

  const decideFor = (
    request: UpgradeRequest,
    address: string,
    host: HostDecision | undefined
  ): Effect.Effect<Admission, Refusal> => {
    const acquired = limits.acquire(address)
    if (!isImmediate(acquired)) {
      return Effect.matchEffect(acquired, {
        onFailure: (over) => Exit.fail(full(over, address)),
        onSuccess: (permit) => within(request, address, permit, host)
      })
    }
    return Exit.isSuccess(acquired)
      ? within(request, address, acquired.value, host)
      : Exit.mapError(Exit.failCause(acquired.cause), (over) => full(over, address))
  }

  return Handshake.of({
    addressOf,
    decide: (request, host) => {
      const address = addressOf(request)
      return tracer === undefined
        ? decideFor(request, address, host)
        : traced(
            request,
            address,
            Effect.suspend(() => decideFor(request, address, host))
          )
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
