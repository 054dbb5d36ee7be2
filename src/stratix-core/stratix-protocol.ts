/**
 * What both ends agree on: the Schemas of events and messages. Browser-safe.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Types from "./event-types.js"

export * from "./event-types.js"

/** Longest agent id, command id, event type, agent name or type, in UTF-16 code units: an id is a key that the gateway keeps.
 * @since 0.1.0
 * @category constants */
export const MAX_ID_LENGTH = 256

/** Without a look inside: what came over the wire can be nested deeper than the stack goes, or have a `toString` that is no function. */
const preview = (value: unknown): string => {
  const shown =
    typeof value === "string"
      ? JSON.stringify(value)
      : typeof value === "object" && value !== null
        ? Array.isArray(value)
          ? "an array"
          : "an object"
        : String(value)
  return shown.length > 48 ? `${shown.slice(0, 48)}…` : shown
}

/** What a value must be, said instead of every message from inside its Schema. */
const must = (be: string) => ({
  message: (issue: { readonly actual: unknown }) => ({
    message: `must be ${be}, got ${preview(issue.actual)}`,
    override: true
  })
})

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

/** Payload of {@link AGENT_STATUS_UPDATE}.
 * @since 0.1.0
 * @category events */
export const AgentStatusPayload = Schema.Struct({ agentId: AgentId, status: AgentStatus })
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
export const StratixStateSyncEvent = Schema.Union(AgentStatusEvent, CommandStatusEvent, AgentCreateEvent, OtherEvent)
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
  | typeof AnyPayload => {
  switch (eventType) {
    case Types.AGENT_STATUS_UPDATE:
      return AgentStatusPayload
    case Types.COMMAND_STATUS_UPDATE:
      return CommandStatusPayload
    case Types.AGENT_CREATE:
      return AgentCreatePayload
    default:
      return AnyPayload
  }
}

/** Position in the log. Opaque: only equality means anything to a client.
 * @since 0.1.0
 * @category sync */
export const Offset = Schema.NonEmptyString.annotations({ identifier: "Offset", description: "opaque" })
/** @since 0.1.0
 * @category sync */
export type Offset = typeof Offset.Type

/** The welcome, first on every connection. The last three fields are there for sync clients only.
 * @since 0.1.0
 * @category control */
export const ConnectedMessage = Schema.Struct({
  eventType: Schema.Literal(Types.CONNECTED),
  payload: Schema.Struct({
    message: Schema.String,
    connectionId: Schema.optionalWith(Schema.String, { exact: true }),
    head: Schema.optionalWith(Offset, { exact: true }),
    heartbeat: Schema.optionalWith(Schema.Struct({ intervalMs: Schema.Number, timeoutMs: Schema.Number }), {
      exact: true
    })
  }),
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type ConnectedMessage = typeof ConnectedMessage.Type

/** How a catch-up brings a client to the head: `snapshot` (forget what you knew), `resume` (every event) or `conflated` (newest per key).
 * @since 0.1.0
 * @category sync */
export const SyncMode = Schema.Literal("snapshot", "resume", "conflated")
/** @since 0.1.0
 * @category sync */
export type SyncMode = typeof SyncMode.Type

/** Announces `count` events that bring the client to `to`; with `more` another one follows them, else it is live then.
 * @since 0.1.0
 * @category control */
export const SyncMessage = Schema.Struct({
  eventType: Schema.Literal(Types.SYNC),
  payload: Schema.Struct({
    mode: SyncMode,
    from: Schema.optionalWith(Offset, { exact: true }),
    to: Offset,
    count: Schema.NonNegativeInt,
    lost: Schema.NonNegativeInt,
    more: Schema.optionalWith(Schema.Literal(true), { exact: true })
  }),
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type SyncMessage = typeof SyncMessage.Type

/** The server is alive, and its log is at `head`.
 * @since 0.1.0
 * @category control */
export const HeartbeatMessage = Schema.Struct({
  eventType: Schema.Literal(Types.HEARTBEAT),
  payload: Schema.Struct({ head: Offset }),
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type HeartbeatMessage = typeof HeartbeatMessage.Type

// Messages of their own, or the value itself would be written out, however large and however deep it is.
const Name = Schema.NonEmptyString.pipe(Schema.maxLength(MAX_ID_LENGTH)).annotations(
  must(`a string of 1 to ${MAX_ID_LENGTH} characters`)
)
// With the prefix it would be longer than any event type is, and than the answer may say.
const EventTypeName = Name.pipe(
  Schema.filter(
    (name) => name.startsWith(Types.EVENT_TYPE_PREFIX) || name.length <= MAX_ID_LENGTH - Types.EVENT_TYPE_PREFIX.length,
    must(`a string of 1 to ${MAX_ID_LENGTH} characters, "${Types.EVENT_TYPE_PREFIX}" included`)
  )
)
const listOf = (name: Schema.Schema<string>) =>
  Schema.Array(name).annotations({
    message: (issue) => `must be a list of strings, got ${preview(issue.actual)}`
  })

/** Which events a connection wants: values within a field are alternatives, the fields must all hold, an absent field asks for nothing.
 * @since 0.1.0
 * @category filter */
export const FilterFields = Schema.Struct({
  events: Schema.optionalWith(listOf(EventTypeName), { exact: true }),
  agents: Schema.optionalWith(listOf(Name), { exact: true }),
  commands: Schema.optionalWith(listOf(Name), { exact: true })
})
/** @since 0.1.0
 * @category filter */
export type FilterFields = typeof FilterFields.Type

/** The filter now in force: answer to `subscribe`.
 * @since 0.1.0
 * @category control */
export const SubscribedMessage = Schema.Struct({
  eventType: Schema.Literal(Types.SUBSCRIBED),
  payload: FilterFields,
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type SubscribedMessage = typeof SubscribedMessage.Type

/** A client message was not understood.
 * @since 0.1.0
 * @category control */
export const ErrorMessage = Schema.Struct({
  eventType: Schema.Literal(Types.ERROR),
  payload: Schema.Struct({ reason: Schema.String, detail: Schema.String }),
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type ErrorMessage = typeof ErrorMessage.Type

/** The server is about to close: come back after `retryAfterMs`.
 * @since 0.1.0
 * @category control */
export const ClosingMessage = Schema.Struct({
  eventType: Schema.Literal(Types.CLOSING),
  payload: Schema.Struct({ reason: Schema.String, retryAfterMs: Schema.NonNegativeInt }),
  ...stamped
})
/** @since 0.1.0
 * @category control */
export type ClosingMessage = typeof ClosingMessage.Type

/** Every message of a gateway, without the `offset` that events have in sync mode.
 * @since 0.1.0
 * @category messages */
export const ServerMessage = Schema.Union(
  AgentStatusEvent,
  CommandStatusEvent,
  AgentCreateEvent,
  ConnectedMessage,
  SyncMessage,
  HeartbeatMessage,
  SubscribedMessage,
  ErrorMessage,
  ClosingMessage,
  OtherEvent
)
/** @since 0.1.0
 * @category messages */
export type ServerMessage = typeof ServerMessage.Type

/** Replaces the filter of the connection.
 * @since 0.1.0
 * @category messages */
export const SubscribeMessage = Schema.Struct({ type: Schema.Literal("subscribe"), ...FilterFields.fields })
/** @since 0.1.0
 * @category messages */
export type SubscribeMessage = typeof SubscribeMessage.Type

/** Asks for a `stratix:heartbeat`.
 * @since 0.1.0
 * @category messages */
export const PingMessage = Schema.Struct({ type: Schema.Literal("ping") })

/** What a client may send, as one JSON object in a text frame.
 * @since 0.1.0
 * @category messages */
export const ClientMessage = Schema.Union(SubscribeMessage, PingMessage)
/** @since 0.1.0
 * @category messages */
export type ClientMessage = typeof ClientMessage.Type

/** The key an event is the latest state of, or `undefined` if it is the state of nothing.
 * @since 0.1.0
 * @category events */
export const eventKey = (event: {
  readonly eventType: string
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
      return undefined
  }
}
