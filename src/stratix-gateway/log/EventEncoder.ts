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
  KEY_REMOVE,
  KNOWN_TYPES,
  RequestId,
  Timestamp
} from "../../stratix-core/stratix-protocol.js"
import type { Settings } from "../config/StatusSyncConfig.js"
import type { DeclaredEvents } from "./DeclaredEvents.js"
import type { UnknownEventInput } from "./EventInput.js"
import { type Draft, jsonOf, type Lease } from "./EventLog.js"
import * as JsonValue from "./JsonValue.js"
import * as Payload from "./Payload.js"
import { decoder, invalid, PublishError } from "./PublishError.js"
import type { Stamp } from "./Stamps.js"
import * as Tenant from "./Tenant.js"

const tooLarge = (detail: string) => Either.left(new PublishError({ reason: "TooLarge", field: "payload", detail }))

const decodeEventType = decoder(EventType, "eventType")
const decodeTimestamp = decoder(Timestamp, "timestamp")
/** What `withRequestId` was given, checked. */
export const decodeRequestId = decoder(RequestId, "requestId")

const eventFields = ["eventType", "payload", "extra", "timestamp", "requestId", "leaseMs", "endCommands"]
const eventFieldNames = `${eventFields.slice(0, -1).join(", ")} and ${eventFields.at(-1)}`

/** The lease that a status comes with. */
const leaseOf = (
  { endCommands, eventType, leaseMs }: UnknownEventInput,
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

const stringField = (payload: object, name: string): string | undefined => {
  const value: unknown = Reflect.get(payload, name)
  return typeof value === "string" ? value : undefined
}

const isAgentStatus = Schema.is(AgentStatus)
const isCommandStatus = Schema.is(CommandStatus)

/** The status that an event of a known type gives. */
const statusOf = (eventType: string, payload: object): AgentStatus | CommandStatus | undefined => {
  const ofAgent = eventType === AGENT_STATUS_UPDATE ? stringField(payload, "status") : undefined
  const ofCommand = eventType === COMMAND_STATUS_UPDATE ? stringField(payload, "commandStatus") : undefined
  return isAgentStatus(ofAgent) ? ofAgent : isCommandStatus(ofCommand) ? ofCommand : undefined
}

/** Checks an event and encodes it, for a tenant.
 * @since 0.1.0
 * @category constructors */
export const encode = (
  input: UnknownEventInput,
  nextStamp: () => Stamp,
  { maxEventBytes, maxLease }: Pick<Settings, "maxEventBytes" | "maxLease">,
  declared: typeof DeclaredEvents.Service,
  tenant: string = Tenant.DEFAULT
): Either.Either<Draft, PublishError> => {
  // Without a generator: a sixth of what publishing costs.
  if (typeof input !== "object" || input === null)
    return invalid("", "an event must be an object with eventType and payload")
  for (const name of Object.keys(input)) {
    if (!eventFields.includes(name)) return invalid(name, `is not a field of an event: those are ${eventFieldNames}`)
  }
  const { eventType } = input
  const type = KNOWN_TYPES.has(eventType) ? undefined : decodeEventType(eventType)
  if (type?._tag === "Left") return Either.left(type.left)
  // Before it is decoded, which takes longer for each field than this for all of them.
  if (JsonValue.isLargerThan(input.payload, maxEventBytes) || JsonValue.isLargerThan(input.extra, maxEventBytes)) {
    return tooLarge(`the event is larger than the ${maxEventBytes} bytes allowed`)
  }
  const checked = Payload.check(input, declared.get(eventType))
  if (Either.isLeft(checked)) return Either.left(checked.left)
  const { finished, own, payload, specified } = checked.right
  const payloadJson = Payload.toJson(payload)
  if (Either.isLeft(payloadJson)) return Either.left(payloadJson.left)
  const givenTime = input.timestamp === undefined ? undefined : decodeTimestamp(input.timestamp)
  if (givenTime?._tag === "Left") return Either.left(givenTime.left)
  const givenId = input.requestId === undefined ? undefined : decodeRequestId(input.requestId)
  if (givenId?._tag === "Left") return Either.left(givenId.left)
  const next = nextStamp()
  const stamp = { timestamp: givenTime?.right ?? next.timestamp, requestId: givenId?.right ?? next.requestId }
  const json = jsonOf(eventType, payloadJson.right, stamp)
  const bytes = Buffer.byteLength(json)
  if (bytes > maxEventBytes) {
    return tooLarge(`the event is ${bytes} bytes as JSON, more than the ${maxEventBytes} allowed`)
  }
  const agentId = stringField(specified, "agentId")
  const commandId = stringField(specified, "commandId")
  const status = statusOf(eventType, specified)
  const lease = leaseOf(input, status, maxLease)
  if (Either.isLeft(lease)) return Either.left(lease.left)
  const key = eventKey({ eventType, payload: { agentId, commandId }, key: own })
  // What ends a key goes where the events go that have it.
  const ending = eventType === KEY_REMOVE ? stringField(specified, "eventType") : undefined
  return Either.right({
    tenant,
    eventType: ending ?? eventType,
    agentId,
    commandId,
    key: key && Tenant.scoped(tenant, key),
    own: ending === undefined ? own : stringField(specified, "key"),
    removes: endedKeys({ eventType, payload: specified }).map((ended) => Tenant.scoped(tenant, ended)),
    status,
    finished: finished || status === "success" || status === "failed",
    lease: lease.right,
    stamp,
    json
  })
}
