/**
 * The door: decides on every upgrade request before there is a connection.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { BEARER_PROTOCOL_PREFIX, PLAIN_PROTOCOL, SYNC_PROTOCOL } from "../../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import * as Authenticator from "./Authenticator.js"
import type * as Broadcast from "./Broadcast.js"
import * as Filter from "./Filter.js"
import * as Origin from "./Origin.js"
import type { UpgradeRequest } from "./Transport.js"

/** What a connection will be.
 * @since 0.1.0
 * @category models */
export interface Admission {
  /** The subprotocol to select; `undefined`: none was asked for that this gateway knows. */
  readonly subprotocol: string | undefined
  readonly sync: boolean
  /** What the client asked for. */
  readonly filter: Filter.Filter
  readonly start: Broadcast.Start
  readonly principal: Authenticator.Principal
}

/** An upgrade that is refused, with the HTTP status of the answer.
 * @since 0.1.0
 * @category errors */
export class Refusal extends Schema.TaggedError<Refusal>("stratix/Refusal")("Refusal", {
  reason: Schema.Literal(
    "malformed",
    "unauthorized",
    "forbidden",
    "not-found",
    "method",
    "upgrade-required",
    "too-many",
    "full",
    "closing"
  ),
  status: Schema.Number,
  message: Schema.String,
  headers: Schema.Record({ key: Schema.String, value: Schema.String })
}) {
  /** The body of the answer. */
  get body(): string {
    return JSON.stringify({ error: this.reason, message: this.message })
  }
}

/** @since 0.1.0
 * @category errors */
export const refuse = (
  reason: Refusal["reason"],
  status: number,
  message: string,
  headers: Record<string, string> = {}
): Refusal => new Refusal({ reason, status, message, headers })

/** Decides on upgrade requests.
 * @since 0.1.0
 * @category tags */
export class Handshake extends Context.Tag("stratix/Handshake")<
  Handshake,
  { readonly decide: (request: UpgradeRequest) => Effect.Effect<Admission, Refusal> }
>() {}

const one = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" || value === undefined ? value : value.join(",")

/** The version of the WebSocket protocol (RFC 6455 §4.1). */
const VERSION = "13"

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const authenticator = yield* Authenticator.Authenticator

  const shape = (request: UpgradeRequest): Either.Either<Filter.Query, Refusal> => {
    const header = (name: string) => one(request.headers[name])
    const cut = request.url.indexOf("?")
    const path = cut === -1 ? request.url : request.url.slice(0, cut)
    const fail = (...args: Parameters<typeof refuse>) => Either.left(refuse(...args))
    if (path !== config.path) return fail("not-found", 404, `there is no WebSocket at ${path}: it is at ${config.path}`)
    if (request.method !== "GET")
      return fail("method", 405, `an upgrade is a GET, not a ${request.method}`, { allow: "GET" })
    if (header("upgrade")?.toLowerCase() !== "websocket") {
      return fail("upgrade-required", 426, "only an upgrade to websocket is served here", {
        upgrade: "websocket",
        connection: "Upgrade"
      })
    }
    if (header("sec-websocket-version") !== VERSION) {
      return fail("upgrade-required", 426, `Sec-WebSocket-Version must be ${VERSION}`, {
        "sec-websocket-version": VERSION
      })
    }
    if (!/^[+/0-9A-Za-z]{22}==$/.test(header("sec-websocket-key") ?? "")) {
      return fail("malformed", 400, "Sec-WebSocket-Key must be 16 bytes in base64")
    }
    if (
      !Origin.isAllowed({ origin: header("origin"), host: header("host"), local: request.local }, config.allowedOrigins)
    ) {
      return fail("forbidden", 403, `pages from ${header("origin")} may not connect: its origin is not allowed`)
    }
    return Filter.fromQuery(cut === -1 ? "" : request.url.slice(cut + 1)).pipe(
      Either.mapLeft((message) => refuse("malformed", 400, message)),
      Either.filterOrLeft(
        ({ filter }) => Filter.size(filter) <= config.maxFilterValues,
        ({ filter }) =>
          refuse(
            "malformed",
            400,
            `the filter has ${Filter.size(filter)} values, more than the ${config.maxFilterValues} allowed`
          )
      )
    )
  }

  const decide = Effect.fnUntraced(function* (request: UpgradeRequest) {
    const query = yield* shape(request)
    const offered = (one(request.headers["sec-websocket-protocol"]) ?? "")
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "")
    const subprotocol = offered.find((entry) => entry === SYNC_PROTOCOL || entry === PLAIN_PROTOCOL)
    const bearer = offered.find((entry) => entry.startsWith(BEARER_PROTOCOL_PREFIX))
    if (bearer !== undefined && subprotocol === undefined) {
      return yield* refuse(
        "malformed",
        400,
        `a token among the subprotocols needs ${PLAIN_PROTOCOL} or ${SYNC_PROTOCOL} beside it`
      )
    }
    const header = /^Bearer +(\S+) *$/i.exec(one(request.headers["authorization"]) ?? "")?.[1]
    const token = header ?? bearer?.slice(BEARER_PROTOCOL_PREFIX.length)
    const principal = yield* authenticator
      .authenticate({
        token: token === undefined ? undefined : Redacted.make(token),
        remoteAddress: request.remoteAddress
      })
      .pipe(Effect.mapError((error) => refuse("unauthorized", 401, error.message, { "www-authenticate": "Bearer" })))
    if (!principal.permissions.has("subscribe"))
      return yield* refuse("forbidden", 403, `${principal.name} may not subscribe`)
    const sync = subprotocol === SYNC_PROTOCOL
    const start: Broadcast.Start =
      sync && query.since !== undefined
        ? { _tag: "Since", offset: query.since }
        : sync || query.snapshot
          ? { _tag: "Snapshot" }
          : { _tag: "Head" }
    return { subprotocol, sync, filter: query.filter, start, principal }
  })

  return Handshake.of({ decide })
})

/** The door by the settings and the `Authenticator`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Handshake, never, StatusSyncConfig.StatusSyncConfig | Authenticator.Authenticator> =
  Layer.effect(Handshake, make)
