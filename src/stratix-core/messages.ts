/**
 * The Schemas of everything on the wire that is not an event. Browser-safe.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Types from "./event-types.js"
import {
  AgentCreateEvent,
  AgentRemoveEvent,
  AgentStatusEvent,
  CommandRemoveEvent,
  CommandStatusEvent,
  Key,
  KeyRemoveEvent,
  MAX_ID_LENGTH,
  OtherEvent,
  RequestId,
  Timestamp
} from "./events.js"
import { must, preview } from "./schema-errors.js"

/** Position in the log. Opaque: only equality means anything to a client.
 * @since 0.1.0
 * @category sync */
export const Offset = Schema.NonEmptyString.annotations({ identifier: "Offset", description: "opaque" })
/** @since 0.1.0
 * @category sync */
export type Offset = typeof Offset.Type

/** Milliseconds on the gateway's monotonic clock, whose zero means nothing: only differences on one connection do.
 * @since 0.1.0
 * @category sync */
export const SentAt = Schema.Number.pipe(
  Schema.int(),
  Schema.annotations({ identifier: "SentAt", description: "milliseconds on the gateway's monotonic clock" })
)

/** The last fields of a message. `sentAt` says to sync clients when it was sent. */
const envelope = {
  timestamp: Timestamp,
  requestId: RequestId,
  sentAt: Schema.optionalWith(SentAt, { exact: true })
}

/** How long ago, in milliseconds, the gateway last had contact with its log; absent while it has. Everything it says may be so old. */
const StaleMs = Schema.optionalWith(Schema.NonNegativeInt, { exact: true })

/** The welcome, first on every connection. All but `message` is there for sync clients only. They hear something at least every
 * `keepAliveMs`. `epoch` names the log that offsets belong to: a gateway that was restarted without a durable one has another. `staleMs` is as in
 * a heartbeat.
 * @since 0.1.0
 * @category control */
export const ConnectedMessage = Schema.Struct({
  eventType: Schema.Literal(Types.CONNECTED),
  payload: Schema.Struct({
    message: Schema.String,
    connectionId: Schema.optionalWith(Schema.String, { exact: true }),
    head: Schema.optionalWith(Offset, { exact: true }),
    epoch: Schema.optionalWith(Schema.String, { exact: true }),
    heartbeat: Schema.optionalWith(
      Schema.Struct({
        intervalMs: Schema.Number,
        timeoutMs: Schema.Number,
        keepAliveMs: Schema.optionalWith(Schema.Number, { exact: true })
      }),
      { exact: true }
    ),
    staleMs: StaleMs
  }),
  ...envelope
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
  ...envelope
})
/** @since 0.1.0
 * @category control */
export type SyncMessage = typeof SyncMessage.Type

const withOffset = <Fields extends Schema.Struct.Fields>(event: Schema.Struct<Fields>) =>
  Schema.Struct({ ...event.fields, offset: Offset })

/** An event as sync clients get it: with its offset, and of a declared type with the key that it is the state of.
 * @since 0.1.0
 * @category sync */
export const LogEvent = Schema.Union(
  withOffset(AgentStatusEvent),
  withOffset(CommandStatusEvent),
  withOffset(AgentCreateEvent),
  withOffset(AgentRemoveEvent),
  withOffset(CommandRemoveEvent),
  withOffset(KeyRemoveEvent),
  Schema.Struct({ ...withOffset(OtherEvent).fields, key: Schema.optionalWith(Key, { exact: true }) })
)
/** @since 0.1.0
 * @category sync */
export type LogEvent = typeof LogEvent.Type

/** Carries events to sync clients: those of one flush, or of one step of a catch-up, in offset order.
 * @since 0.1.0
 * @category control */
export const EventsMessage = Schema.Struct({
  eventType: Schema.Literal(Types.EVENTS),
  payload: Schema.Struct({ events: Schema.Array(LogEvent) }),
  ...envelope
})
/** @since 0.1.0
 * @category control */
export type EventsMessage = typeof EventsMessage.Type

/** The server is alive, and its log is at `head`. The answer to a `ping` with an `at` repeats it. `staleMs` is there while the gateway has no
 * contact with its log: how long, in milliseconds. What it shows may be so old.
 * @since 0.1.0
 * @category control */
export const HeartbeatMessage = Schema.Struct({
  eventType: Schema.Literal(Types.HEARTBEAT),
  payload: Schema.Struct({
    head: Offset,
    at: Schema.optionalWith(Schema.Finite, { exact: true }),
    staleMs: StaleMs
  }),
  ...envelope
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
  ...envelope
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
  ...envelope
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
  ...envelope
})
/** @since 0.1.0
 * @category control */
export type ClosingMessage = typeof ClosingMessage.Type

/** Every message of a gateway. An event stands alone for plain clients; sync clients get it in a `stratix:events`, with its offset.
 * @since 0.1.0
 * @category messages */
export const ServerMessage = Schema.Union(
  AgentStatusEvent,
  CommandStatusEvent,
  AgentCreateEvent,
  AgentRemoveEvent,
  CommandRemoveEvent,
  KeyRemoveEvent,
  ConnectedMessage,
  SyncMessage,
  EventsMessage,
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

/** Longest offset that a client may report, in characters: the gateway keeps it. Those of the logs of this package have less than 64. */
const MAX_CURSOR_LENGTH = 128

/** Asks for a `stratix:heartbeat`, which repeats `at`: a moment on the client's own clock. `cursor` is the offset up to which the client has
 * processed everything, for operators only.
 * @since 0.1.0
 * @category messages */
export const PingMessage = Schema.Struct({
  type: Schema.Literal("ping"),
  at: Schema.optionalWith(Schema.Finite.annotations(must("a finite number")), { exact: true }),
  cursor: Schema.optionalWith(
    Offset.pipe(Schema.maxLength(MAX_CURSOR_LENGTH)).annotations(
      must(`an offset of 1 to ${MAX_CURSOR_LENGTH} characters`)
    ),
    { exact: true }
  )
})

/** What a client may send, as one JSON object in a text frame.
 * @since 0.1.0
 * @category messages */
export const ClientMessage = Schema.Union(SubscribeMessage, PingMessage)
/** @since 0.1.0
 * @category messages */
export type ClientMessage = typeof ClientMessage.Type
