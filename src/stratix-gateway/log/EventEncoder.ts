/**
 * Checks an event to publish and encodes it once, as it goes on the wire.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import {
  AGENT_STATUS_UPDATE,
  AgentStatus,
  COMMAND_STATUS_UPDATE,
  CommandStatus,
  EventType,
  endedKeys,
  eventKey,
  payloadSchema,
  RequestId,
  Timestamp
} from "../../stratix-core/stratix-protocol.js"
import type { Settings } from "../config/StatusSyncConfig.js"
import * as ParseIssue from "../runtime/ParseIssue.js"
import { type Draft, jsonOf, type Lease } from "./EventLog.js"
import * as JsonValue from "./JsonValue.js"
import type { Stamp } from "./Stamps.js"
import * as Tenant from "./Tenant.js"

/** An event that cannot be published, or could not be; nothing was sent, unless the reason is `Uncertain`: then it may have been. `field` names the part of the event that is wrong.
 * @since 0.1.0
 * @category errors */
export class PublishError extends Schema.TaggedError<PublishError>("stratix/PublishError")("PublishError", {
  reason: Schema.Literal("InvalidField", "NotJson", "TooLarge", "Closed", "Unavailable", "Uncertain"),
  field: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return this.field === "" ? this.detail : `${this.field}: ${this.detail}`
  }
}

/** An event to publish; the stamps are optional.
 * @since 0.1.0
 * @category models */
export interface EventInput {
  readonly eventType: string
  readonly payload: unknown
  /** When it happened; now if absent. */
  readonly timestamp?: number | undefined
  /** The request that caused it; generated if absent. */
  readonly requestId?: string | undefined
  /** Of an agent's status: how long it holds without being renewed. Without it, the status holds until the next one; an agent that is offline has no lease. */
  readonly leaseMs?: number | undefined
  /** With a lease: when it expires, the commands that the agent is running have failed. */
  readonly endCommands?: boolean | undefined
}

const invalid = (field: string, detail: string) =>
  Either.left(new PublishError({ reason: "InvalidField", field, detail }))

const tooLarge = (detail: string) => Either.left(new PublishError({ reason: "TooLarge", field: "payload", detail }))

const strict = { onExcessProperty: "error", errors: "first" } as const

/** A decoder whose error is a `PublishError` on `at` or a field below it. */
const decoder = <A, I>(schema: Schema.Schema<A, I>, at: string) => {
  const decode = Schema.decodeUnknownEither(schema, strict)
  return (value: unknown): Either.Either<A, PublishError> => {
    const decoded = decode(value)
    if (Either.isRight(decoded)) return Either.right(decoded.right)
    const { kind, message, path } = ParseIssue.first(decoded.left)
    const detail =
      kind === "Unexpected" ? "is not a field of this event type" : kind === "Missing" ? "is missing" : message
    return invalid(path === "" ? at : `${at}.${path}`, detail)
  }
}

const decodeEventType = decoder(EventType, "eventType")
const decodeTimestamp = decoder(Timestamp, "timestamp")
/** What `withRequestId` was given, checked. */
export const decodeRequestId = decoder(RequestId, "requestId")

const payloadDecoders = new Map<Schema.Schema.AnyNoContext, (value: unknown) => Either.Either<unknown, PublishError>>()
const decodePayload = (eventType: string, payload: unknown): Either.Either<unknown, PublishError> => {
  const schema: Schema.Schema.AnyNoContext = payloadSchema(eventType)
  if (typeof payload === "object" && payload !== null && Object.hasOwn(payload, JsonValue.PROTO)) {
    return invalid(`payload.${JsonValue.PROTO}`, JsonValue.PROTO_DETAIL)
  }
  let decode = payloadDecoders.get(schema)
  if (decode === undefined) {
    decode = decoder(schema, "payload")
    payloadDecoders.set(schema, decode)
  }
  return decode(payload)
}

const toJson = (payload: unknown): Either.Either<string, PublishError> =>
  Either.try({
    try: () => {
      const problem = JsonValue.problemIn(payload, "payload")
      return problem ?? JSON.stringify(payload)
    },
    // A getter or a toJSON of the caller threw.
    catch: (cause) =>
      new PublishError({ reason: "NotJson", field: "payload", detail: `cannot be read: ${String(cause)}` })
  }).pipe(
    Either.flatMap((result) =>
      typeof result === "string"
        ? Either.right(result)
        : Either.left(new PublishError({ reason: "NotJson", field: result.path, detail: result.detail }))
    )
  )

const eventFields = ["eventType", "payload", "timestamp", "requestId", "leaseMs", "endCommands"]
const eventFieldNames = `${eventFields.slice(0, -1).join(", ")} and ${eventFields.at(-1)}`

/** The lease that a status comes with. */
const leaseOf = (
  { endCommands, eventType, leaseMs }: EventInput,
  status: string | undefined,
  maxLease: Duration.DurationInput
): Either.Either<Lease | undefined, PublishError> => {
  if (endCommands !== undefined && typeof endCommands !== "boolean")
    return invalid("endCommands", "must be true or false")
  if (leaseMs === undefined)
    return endCommands === true ? invalid("endCommands", "needs a lease: leaseMs is absent") : Either.right(undefined)
  if (eventType !== AGENT_STATUS_UPDATE) return invalid("leaseMs", "only the status of an agent has a lease")
  const longest = Duration.toMillis(maxLease)
  if (!Number.isInteger(leaseMs) || leaseMs < 1 || leaseMs > longest)
    return invalid("leaseMs", `must be whole milliseconds from 1 to ${longest}`)
  return Either.right(status === "offline" ? undefined : { millis: leaseMs, endCommands: endCommands === true })
}

const stringField = (payload: unknown, name: string): string | undefined => {
  if (typeof payload !== "object" || payload === null) return undefined
  const value: unknown = Reflect.get(payload, name)
  return typeof value === "string" ? value : undefined
}

const isAgentStatus = Schema.is(AgentStatus)
const isCommandStatus = Schema.is(CommandStatus)

/** The status that an event of a known type gives. */
const statusOf = (eventType: string, payload: unknown): AgentStatus | CommandStatus | undefined => {
  const ofAgent = eventType === AGENT_STATUS_UPDATE ? stringField(payload, "status") : undefined
  const ofCommand = eventType === COMMAND_STATUS_UPDATE ? stringField(payload, "commandStatus") : undefined
  return isAgentStatus(ofAgent) ? ofAgent : isCommandStatus(ofCommand) ? ofCommand : undefined
}

/** Checks an event and encodes it, for a tenant.
 * @since 0.1.0
 * @category constructors */
export const encode = (
  input: EventInput,
  nextStamp: () => Stamp,
  { maxEventBytes, maxLease }: Pick<Settings, "maxEventBytes" | "maxLease">,
  tenant: string = Tenant.DEFAULT
): Either.Either<Draft, PublishError> =>
  Either.gen(function* () {
    if (typeof input !== "object" || input === null)
      return yield* invalid("", "an event must be an object with eventType and payload")
    for (const name of Object.keys(input)) {
      if (!eventFields.includes(name))
        return yield* invalid(name, `is not a field of an event: those are ${eventFieldNames}`)
    }
    const eventType = yield* decodeEventType(input.eventType)
    // Before it is decoded, which takes longer for each field than this for all of them.
    if (JsonValue.isLargerThan(input.payload, maxEventBytes)) {
      return yield* tooLarge(`the event is larger than the ${maxEventBytes} bytes allowed`)
    }
    const payload = yield* decodePayload(eventType, input.payload)
    const payloadJson = yield* toJson(payload)
    const givenTime = input.timestamp === undefined ? undefined : yield* decodeTimestamp(input.timestamp)
    const givenId = input.requestId === undefined ? undefined : yield* decodeRequestId(input.requestId)
    const next = nextStamp()
    const stamp = { timestamp: givenTime ?? next.timestamp, requestId: givenId ?? next.requestId }
    const json = jsonOf(eventType, payloadJson, stamp)
    const bytes = Buffer.byteLength(json)
    if (bytes > maxEventBytes) {
      return yield* tooLarge(`the event is ${bytes} bytes as JSON, more than the ${maxEventBytes} allowed`)
    }
    const agentId = stringField(payload, "agentId")
    const commandId = stringField(payload, "commandId")
    const status = statusOf(eventType, payload)
    const lease = yield* leaseOf(input, status, maxLease)
    const key = eventKey({ eventType, payload: { agentId, commandId } })
    return {
      tenant,
      eventType,
      agentId,
      commandId,
      key: key && Tenant.scoped(tenant, key),
      removes: endedKeys({ eventType, payload: { agentId, commandId } }).map((ended) => Tenant.scoped(tenant, ended)),
      status,
      finished: status === "success" || status === "failed",
      lease,
      stamp,
      json
    }
  })
