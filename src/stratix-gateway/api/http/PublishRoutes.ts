/** The routes that publish, at work. */
import { createHash } from "node:crypto"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import {
  AGENT_CREATE,
  AGENT_STATUS_UPDATE,
  COMMAND_STATUS_UPDATE,
  KEY_REMOVE,
  MAX_ID_LENGTH
} from "../../../stratix-core/stratix-protocol.js"
import * as Limits from "../../admission/Limits.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as EventLog from "../../log/EventLog.js"
import * as EventLoop from "../../runtime/EventLoop.js"
import * as JsonBody from "../../runtime/JsonBody.js"
import * as Refusals from "../../telemetry/Refusals.js"
import * as StatusSync from "../websocket/StatusSync.js"
import { CurrentPrincipal } from "./CurrentPrincipal.js"
import * as Problem from "./Problem.js"
import * as RequestAddress from "./RequestAddress.js"
import * as RequestBody from "./RequestBody.js"

import { MAX_EVENTS, type PublishGroup } from "./StratixApi.js"

type Response = HttpServerResponse.HttpServerResponse

/** Bytes in which a character of an event may be written in a body: `\\u0041`. */
const ESCAPED = 6

const arrayLength = (count: number) => `an array must have 1 to ${MAX_EVENTS} events, has ${count}`

/** The body, if it is declared as JSON (which a web page cannot do with a form), is no larger than allowed, and is JSON. */
const json = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<unknown, Response, StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals> =>
  Effect.gen(function* () {
    const { maxBodyBytes, maxEventBytes } = yield* StatusSyncConfig.StatusSyncConfig
    const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()
    if (type !== "application/json") {
      return yield* Effect.fail(
        Problem.response(415, "UnsupportedMediaType", `content-type must be application/json, is ${type ?? "absent"}`)
      )
    }
    const address = RequestAddress.of(request, yield* Limits.Limits)
    const { recordRefusal } = yield* Refusals.Refusals
    const tooLarge = Effect.suspend(() => {
      const message = `the body must be at most ${maxBodyBytes} bytes`
      recordRefusal("body_size", message, address)
      return Effect.fail(Problem.response(413, "TooLarge", message))
    })
    if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return yield* tooLarge
    const body = yield* Effect.catchAll(
      RequestBody.bytes(NodeHttpServerRequest.toIncomingMessage(request), maxBodyBytes),
      () => tooLarge
    )
    const limits = { maxItems: MAX_EVENTS, maxItemBytes: maxEventBytes * ESCAPED }
    return yield* Effect.catchAll(JsonBody.parse(body, limits), (fault) => {
      switch (fault._tag) {
        case "NotJson":
          return Effect.fail(Problem.response(400, "NotJson", `the body is not JSON: ${fault.message}`))
        case "TooMany":
          recordRefusal("array_length", `an array of ${fault.count} events`, address)
          return Effect.fail(Problem.response(400, "InvalidField", arrayLength(fault.count)))
        case "ItemTooLarge":
          return Effect.fail(Problem.response(400, "TooLarge", fault.message))
      }
    })
  })

const invalid = (message: string, field?: string) =>
  Effect.fail(Problem.response(400, "InvalidField", message, field === undefined ? {} : { field }))

const object = (body: unknown): Effect.Effect<object, Response> =>
  typeof body === "object" && body !== null && !Array.isArray(body)
    ? Effect.succeed(body)
    : invalid("the body must be a JSON object")

const statusOf: { readonly [R in StatusSync.PublishError["reason"]]: number } = {
  InvalidField: 400,
  NotJson: 400,
  TooLarge: 400,
  Closed: 503,
  Unavailable: 503,
  Uncertain: 503
}

/** Seconds after which a publisher may try again: a log that is away is tried once a second. */
const RETRY_AFTER = "1"

/** The answer to an event that was not published. Where the body is the payload, its fields are named without `payload`. */
const notPublished = ({ detail, field, reason }: StatusSync.PublishError, isPayload: boolean): Response => {
  const at = isPayload ? field.replace(/^payload\.?/, "") : field
  const status = statusOf[reason]
  const headers = status === 503 ? { "retry-after": RETRY_AFTER } : {}
  return Problem.response(status, reason, at === "" ? detail : `${at}: ${detail}`, { field: at, headers })
}

/** Names the log, so that a publisher sees that it is another one. */
const epoch = Effect.map(EventLog.EventLog, ({ id }) => id)

const accepted = (body: object) =>
  Effect.map(epoch, (name) => HttpServerResponse.unsafeJson({ ...body, epoch: name }, { status: 202 }))

/** The service for the tenant that the request chooses. */
const publisher = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const { tenant } = yield* CurrentPrincipal
  return sync.forTenant(yield* tenant)
})

/** Publishes once, however often the same request comes with the same `Idempotency-Key`. */
const once =
  (request: HttpServerRequest.HttpServerRequest) =>
  <A, E, R>(publication: Effect.Effect<A, E, R>): Effect.Effect<A, E | Response, R | CurrentPrincipal> =>
    Effect.gen(function* () {
      const key = request.headers["idempotency-key"]
      if (key === undefined) return yield* publication
      if (key === "" || key.length > MAX_ID_LENGTH) {
        return yield* invalid(`Idempotency-Key must have 1 to ${MAX_ID_LENGTH} characters`, "Idempotency-Key")
      }
      // One publisher's key means nothing to another.
      const { principal } = yield* CurrentPrincipal
      const scoped = JSON.stringify([principal.name, request.method, request.url, key])
      // A URL may be as long as a header.
      const name = createHash("sha256").update(scoped).digest("base64url")
      return yield* StatusSync.withIdempotencyKey(name)(publication)
    })

/** What says of an agent's status how long it holds stands in the body beside its payload. */
const eventOf = (eventType: string, body: object): StatusSync.UnknownEventInput => {
  if (eventType !== AGENT_STATUS_UPDATE) return { eventType, payload: body }
  const { endCommands, leaseMs, ...payload }: LeaseFields = body
  return { eventType, payload, leaseMs, endCommands }
}

interface LeaseFields {
  // What each of them has to be, `broadcast` checks.
  readonly leaseMs?: number
  readonly endCommands?: boolean
}

/** Publishes the one event of a route that says its type: the payload is the path and the body together. */
const publishPayload = (eventType: string, request: HttpServerRequest.HttpServerRequest, path: object) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { spend } = yield* CurrentPrincipal
    const body = yield* Effect.flatMap(json(request), object)
    for (const name of Object.keys(path)) {
      if (name in body) return yield* invalid(`${name}: is in the path already`, name)
    }
    yield* spend(1)
    const offset = yield* sync.broadcastUnknown(eventOf(eventType, { ...path, ...body })).pipe(
      Effect.mapError((error) => notPublished(error, true)),
      once(request)
    )
    return yield* accepted({ offset })
  }).pipe(Problem.answered)

/** Renews the lease of an agent. */
const renewLease = (agentId: string) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { spend } = yield* CurrentPrincipal
    yield* spend(1)
    const renewed = yield* sync.renewLease(agentId).pipe(Effect.mapError((error) => notPublished(error, true)))
    if (!renewed) {
      const message = `agent ${JSON.stringify(agentId)} has no lease: publish its status with leaseMs`
      return Problem.response(404, "NoLease", message, { field: "agentId" })
    }
    return HttpServerResponse.unsafeJson({ epoch: yield* epoch })
  }).pipe(Problem.answered)

const isStrings = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((item) => typeof item === "string")

/** Renews the leases of many agents, and names those that have none. */
const renewLeases = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { spend } = yield* CurrentPrincipal
    const { agents }: { readonly agents?: unknown } = yield* Effect.flatMap(json(request), object)
    if (!isStrings(agents) || agents.length < 1 || agents.length > MAX_EVENTS)
      return yield* invalid(`agents: must be a list of 1 to ${MAX_EVENTS} agent ids`, "agents")
    yield* spend(agents.length)
    const missing = yield* Effect.filter(agents, (agentId) =>
      Effect.zipLeft(Effect.negate(sync.renewLease(agentId)), EventLoop.step)
    ).pipe(Effect.mapError((error) => notPublished(error, true)))
    return HttpServerResponse.unsafeJson({ epoch: yield* epoch, missing })
  }).pipe(Problem.answered)

/** Ends an agent, with its commands where the query asks for it. */
const removeAgent = (request: HttpServerRequest.HttpServerRequest, agentId: string, commands: boolean) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { spend } = yield* CurrentPrincipal
    yield* spend(1)
    const offset = yield* sync.notifyAgentRemove(agentId, { commands }).pipe(
      Effect.mapError((error) => notPublished(error, true)),
      once(request)
    )
    return yield* accepted({ offset })
  }).pipe(Problem.answered)

/** Ends a key of an event type of the author's own. */
const removeKey = (request: HttpServerRequest.HttpServerRequest, eventType: string, key: string) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { spend } = yield* CurrentPrincipal
    yield* spend(1)
    const offset = yield* sync.broadcastUnknown({ eventType: KEY_REMOVE, payload: { eventType, key } }).pipe(
      Effect.mapError((error) => notPublished(error, true)),
      once(request)
    )
    return yield* accepted({ offset })
  }).pipe(Problem.answered)

// What each of them has to be, `broadcastAll` checks.
const isEvents = (body: unknown): body is ReadonlyArray<StatusSync.UnknownEventInput> => Array.isArray(body)

/** Publishes one event, or an array of them. */
const publishEvents = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const sync = yield* publisher
    const { recordRefusal } = yield* Refusals.Refusals
    const { spend } = yield* CurrentPrincipal
    const body = yield* json(request)
    if (isEvents(body)) {
      if (body.length < 1 || body.length > MAX_EVENTS) {
        recordRefusal("array_length", `an array of ${body.length} events`)
        return yield* invalid(arrayLength(body.length))
      }
      yield* spend(body.length)
      const offsets = yield* sync.broadcastAllUnknown(body).pipe(
        Effect.mapError((error) => notPublished(error, false)),
        once(request)
      )
      return yield* accepted({ offsets })
    }
    const event = yield* object(body)
    yield* spend(1)
    const offset = yield* sync.broadcastUnknown({ eventType: "", payload: undefined, ...event }).pipe(
      Effect.mapError((error) => notPublished(error, false)),
      once(request)
    )
    return yield* accepted({ offsets: [offset] })
  }).pipe(Problem.answered)

/** The group `stratix.publish`, as it is in an API. */
export const layer = <Id extends string>(id: Id, group: typeof PublishGroup) =>
  HttpApiBuilder.group(HttpApi.make(id).add(group), "stratix.publish", (handlers) =>
    handlers
      .handleRaw("publishEvents", ({ request }) => publishEvents(request))
      .handleRaw("publishAgentStatus", ({ path, request }) => publishPayload(AGENT_STATUS_UPDATE, request, path))
      .handleRaw("publishCommandStatus", ({ path, request }) => publishPayload(COMMAND_STATUS_UPDATE, request, path))
      .handleRaw("renewLease", ({ path }) => renewLease(path.agentId))
      .handleRaw("renewLeases", ({ request }) => renewLeases(request))
      .handleRaw("removeAgent", ({ path, request, urlParams }) =>
        removeAgent(request, path.agentId, urlParams.commands === "true")
      )
      .handleRaw("removeKey", ({ path, request, urlParams }) => removeKey(request, path.eventType, urlParams.key ?? ""))
      .handleRaw("publishAgentCreate", ({ request }) => publishPayload(AGENT_CREATE, request, {}))
  )
