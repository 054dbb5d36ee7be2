/**
 * The Schemas of events. Browser-safe.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Types from "./event-types.js"
import { must, preview } from "./schema-errors.js"

/** Longest agent id, command id, event type, agent name or type, in UTF-16 code units: an id is a key that the gateway keeps.
 * @since 0.1.0
 * @category constants */
export const MAX_ID_LENGTH = 256

const Id = Schema.String.pipe(
  Schema.filter((text) => text.length > 0 && text.length <= MAX_ID_LENGTH, {
    ...must(`a string of 1 to ${MAX_ID_LENGTH} characters`),
    arbitrary: () => (fc) => fc.string({ minLength: 1, maxLength: 24 })
  })
)

/** Identifier of an agent: 1 to 256 characters.
 * @since 0.1.0
 * @category events */
export const AgentId = Id.annotations({ identifier: "AgentId", description: "1 to 256 characters" })

/** Identifier of a command: 1 to 256 characters.
 * @since 0.1.0
 * @category events */
export const CommandId = Id.annotations({ identifier: "CommandId", description: "1 to 256 characters" })

/** State of an agent.
 * @since 0.1.0
 * @category events */
export const AgentStatus = Schema.Literal("online", "offline", "busy", "error").annotations({
  identifier: "AgentStatus",
  ...must('one of "online", "offline", "busy", "error"')
})
/** @since 0.1.0
 * @category events */
export type AgentStatus = typeof AgentStatus.Type

/** State of a command.
 * @since 0.1.0
 * @category events */
export const CommandStatus = Schema.Literal("pending", "running", "success", "failed").annotations({
  identifier: "CommandStatus",
  ...must('one of "pending", "running", "success", "failed"')
})
/** @since 0.1.0
 * @category events */
export type CommandStatus = typeof CommandStatus.Type

/** How far a command is, in percent: 0 to 100.
 * @since 0.1.0
 * @category events */
export const Progress = Schema.Number.pipe(Schema.between(0, 100)).annotations({
  identifier: "Progress",
  description: "percent, 0 to 100",
  ...must("a number from 0 to 100")
})

const text = Schema.String.annotations(must("a string"))

/** Payload of {@link AGENT_STATUS_UPDATE}. `reason` says why; the gateway gives one where a lease has expired.
 * @since 0.1.0
 * @category events */
export const AgentStatusPayload = Schema.Struct({
  agentId: AgentId,
  status: AgentStatus,
  reason: Schema.optionalWith(text, { exact: true })
})
/** @since 0.1.0
 * @category events */
export type AgentStatusPayload = typeof AgentStatusPayload.Type

/** Payload of {@link COMMAND_STATUS_UPDATE}. `result` is any JSON.
 * @since 0.1.0
 * @category events */
export const CommandStatusPayload = Schema.Struct({
  commandId: CommandId,
  agentId: AgentId,
  commandStatus: CommandStatus,
  progress: Schema.optionalWith(Progress, { exact: true }),
  result: Schema.optionalWith(Schema.Unknown, { exact: true }),
  error: Schema.optionalWith(text, { exact: true })
})
/** @since 0.1.0
 * @category events */
export type CommandStatusPayload = typeof CommandStatusPayload.Type

/** Payload of {@link AGENT_CREATE}.
 * @since 0.1.0
 * @category events */
export const AgentCreatePayload = Schema.Struct({ agentId: AgentId, name: Id, type: Id })
/** @since 0.1.0
 * @category events */
export type AgentCreatePayload = typeof AgentCreatePayload.Type

/** Payload of {@link AGENT_REMOVE}.
 * @since 0.1.0
 * @category events */
export const AgentRemovePayload = Schema.Struct({ agentId: AgentId })
/** @since 0.1.0
 * @category events */
export type AgentRemovePayload = typeof AgentRemovePayload.Type

/** Payload of {@link COMMAND_REMOVE}. `agentId` is the agent that it leaves.
 * @since 0.1.0
 * @category events */
export const CommandRemovePayload = Schema.Struct({ commandId: CommandId, agentId: AgentId })
/** @since 0.1.0
 * @category events */
export type CommandRemovePayload = typeof CommandRemovePayload.Type

/** An event type of your own: none that the protocol names, and so one whose keys are your own.
 * @since 0.1.0
 * @category events */
export const OwnEventType = Schema.suspend(() => EventType).pipe(
  Schema.filter((type) => !Types.KNOWN_TYPES.has(type), {
    identifier: "OwnEventType",
    ...must("an event type of your own, which the protocol does not name")
  })
)

/** What an event of a type of your own is the state of, among those of its type: 1 to 256 characters.
 * @since 0.1.0
 * @category events */
export const Key = Id.annotations({ identifier: "Key", description: "1 to 256 characters" })

/** Payload of {@link KEY_REMOVE}.
 * @since 0.1.0
 * @category events */
export const KeyRemovePayload = Schema.Struct({ eventType: OwnEventType, key: Key })
/** @since 0.1.0
 * @category events */
export type KeyRemovePayload = typeof KeyRemovePayload.Type

/** Any JSON object: the payload of event types this package does not know.
 * @since 0.1.0
 * @category events */
export const AnyPayload = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations(
  must("a JSON object")
)

/** Milliseconds since the Unix epoch.
 * @since 0.1.0
 * @category events */
export const Timestamp = Schema.NonNegativeInt.annotations({
  identifier: "Timestamp",
  description: "milliseconds since the Unix epoch",
  ...must("whole milliseconds since the Unix epoch")
})

/** Identifies an event, or the request that caused it.
 * @since 0.1.0
 * @category events */
export const RequestId = Id.annotations({ identifier: "RequestId", description: "1 to 256 characters" })

const stamped = { timestamp: Timestamp, requestId: RequestId }

/** An event type: `stratix:` and a name of letters, digits, `_`, `-`, `.` or `:`; not one of the server's own message types.
 * @since 0.1.0
 * @category events */
export const EventType = Schema.String.pipe(
  Schema.filter(
    (type) => type.length <= MAX_ID_LENGTH && /^stratix:[A-Za-z0-9_.:-]+$/.test(type) && !Types.CONTROL_TYPES.has(type),
    {
      identifier: "EventType",
      message: (issue) => ({
        message:
          typeof issue.actual === "string" && Types.CONTROL_TYPES.has(issue.actual)
            ? `${preview(issue.actual)} is a message of the server itself and cannot be published`
            : `must be "stratix:" followed by letters, digits, "_", "-", "." or ":", got ${preview(issue.actual)}`,
        override: true
      }),
      arbitrary: () => (fc) => fc.stringMatching(/^stratix:x_[a-z0-9_]{1,12}$/)
    }
  )
)

/** @since 0.1.0
 * @category events */
export const AgentStatusEvent = Schema.Struct({
  eventType: Schema.Literal(Types.AGENT_STATUS_UPDATE),
  payload: AgentStatusPayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type AgentStatusEvent = typeof AgentStatusEvent.Type

/** @since 0.1.0
 * @category events */
export const CommandStatusEvent = Schema.Struct({
  eventType: Schema.Literal(Types.COMMAND_STATUS_UPDATE),
  payload: CommandStatusPayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type CommandStatusEvent = typeof CommandStatusEvent.Type

/** @since 0.1.0
 * @category events */
export const AgentCreateEvent = Schema.Struct({
  eventType: Schema.Literal(Types.AGENT_CREATE),
  payload: AgentCreatePayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type AgentCreateEvent = typeof AgentCreateEvent.Type

/** @since 0.1.0
 * @category events */
export const AgentRemoveEvent = Schema.Struct({
  eventType: Schema.Literal(Types.AGENT_REMOVE),
  payload: AgentRemovePayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type AgentRemoveEvent = typeof AgentRemoveEvent.Type

/** @since 0.1.0
 * @category events */
export const CommandRemoveEvent = Schema.Struct({
  eventType: Schema.Literal(Types.COMMAND_REMOVE),
  payload: CommandRemovePayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type CommandRemoveEvent = typeof CommandRemoveEvent.Type

/** @since 0.1.0
 * @category events */
export const KeyRemoveEvent = Schema.Struct({
  eventType: Schema.Literal(Types.KEY_REMOVE),
  payload: KeyRemovePayload,
  ...stamped
})
/** @since 0.1.0
 * @category events */
export type KeyRemoveEvent = typeof KeyRemoveEvent.Type

/** An event of a type this package does not know.
 * @since 0.1.0
 * @category events */
export const OtherEvent = Schema.Struct({ eventType: EventType, payload: AnyPayload, ...stamped })
/** @since 0.1.0
 * @category events */
export type OtherEvent = typeof OtherEvent.Type

/** One event as it stands on the wire: these four fields, in this order.
 * @since 0.1.0
 * @category events */
export const StratixStateSyncEvent = Schema.Union(
  AgentStatusEvent,
  CommandStatusEvent,
  AgentCreateEvent,
  AgentRemoveEvent,
  CommandRemoveEvent,
  KeyRemoveEvent,
  OtherEvent
)
/** @since 0.1.0
 * @category events */
export type StratixStateSyncEvent = typeof StratixStateSyncEvent.Type

/** The payload Schema of an event type.
 * @since 0.1.0
 * @category events */
export const payloadSchema = (
  eventType: string
):
  | Schema.Schema<AgentStatusPayload>
  | Schema.Schema<CommandStatusPayload>
  | Schema.Schema<AgentCreatePayload>
  | Schema.Schema<AgentRemovePayload>
  | Schema.Schema<CommandRemovePayload>
  | Schema.Schema<KeyRemovePayload>
  | typeof AnyPayload => {
  switch (eventType) {
    case Types.AGENT_STATUS_UPDATE:
      return AgentStatusPayload
    case Types.COMMAND_STATUS_UPDATE:
      return CommandStatusPayload
    case Types.AGENT_CREATE:
      return AgentCreatePayload
    case Types.AGENT_REMOVE:
      return AgentRemovePayload
    case Types.COMMAND_REMOVE:
      return CommandRemovePayload
    case Types.KEY_REMOVE:
      return KeyRemovePayload
    default:
      return AnyPayload
  }
}

/** The key of a key of your own among all keys: those of two event types are two.
 * @since 0.1.0
 * @category events */
export const ownKey = (eventType: string, key: string): string => `${eventType}/${key}`

/** The key an event is the latest state of, or `undefined` if it is the state of nothing. Where the event comes from the log, with its own `key`.
 * @since 0.1.0
 * @category events */
export const eventKey = (event: {
  readonly eventType: string
  readonly key?: string | undefined
  readonly payload: { readonly agentId?: unknown; readonly commandId?: unknown }
}): string | undefined => {
  switch (event.eventType) {
    case Types.AGENT_STATUS_UPDATE:
      return `agent:${event.payload.agentId}`
    case Types.COMMAND_STATUS_UPDATE:
      return `command:${event.payload.commandId}`
    case Types.AGENT_CREATE:
      return `agent-info:${event.payload.agentId}`
    default:
      return event.key === undefined ? undefined : ownKey(event.eventType, event.key)
  }
}

const NONE: ReadonlyArray<string> = []

/** The keys that an event ends: they leave every state. Empty for an event that ends none.
 * @since 0.1.0
 * @category events */
export const endedKeys = (event: {
  readonly eventType: string
  readonly payload: {
    readonly agentId?: unknown
    readonly commandId?: unknown
    readonly eventType?: unknown
    readonly key?: unknown
  }
}): ReadonlyArray<string> => {
  switch (event.eventType) {
    case Types.AGENT_REMOVE:
      return [`agent:${event.payload.agentId}`, `agent-info:${event.payload.agentId}`]
    case Types.COMMAND_REMOVE:
      return [`command:${event.payload.commandId}`]
    case Types.KEY_REMOVE:
      return [ownKey(String(event.payload.eventType), String(event.payload.key))]
    default:
      return NONE
  }
}
