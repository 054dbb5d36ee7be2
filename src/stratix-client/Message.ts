/**
 * What a server sends, told apart from what it must not send.
 *
 * @since 0.1.0
 */
import * as Types from "../stratix-core/event-types.js"
import type {
  AgentCreatePayload,
  AgentRemovePayload,
  AgentStatusPayload,
  ClosingMessage,
  CommandRemovePayload,
  CommandStatusPayload,
  ConnectedMessage,
  ErrorMessage,
  HeartbeatMessage,
  KeyRemovePayload,
  Offset,
  SubscribedMessage,
  SyncMessage
} from "../stratix-core/stratix-protocol.js"

/** The payload of every message type the protocol names.
 * @since 0.1.0
 * @category models */
export interface Payloads {
  readonly [Types.AGENT_STATUS_UPDATE]: AgentStatusPayload
  readonly [Types.COMMAND_STATUS_UPDATE]: CommandStatusPayload
  readonly [Types.AGENT_CREATE]: AgentCreatePayload
  readonly [Types.AGENT_REMOVE]: AgentRemovePayload
  readonly [Types.COMMAND_REMOVE]: CommandRemovePayload
  readonly [Types.KEY_REMOVE]: KeyRemovePayload
  readonly [Types.CONNECTED]: ConnectedMessage["payload"]
  readonly [Types.SYNC]: SyncMessage["payload"]
  readonly [Types.HEARTBEAT]: HeartbeatMessage["payload"]
  readonly [Types.SUBSCRIBED]: SubscribedMessage["payload"]
  readonly [Types.ERROR]: ErrorMessage["payload"]
  readonly [Types.CLOSING]: ClosingMessage["payload"]
}

/** The payload of a message type; any JSON object for types the protocol does not name.
 * @since 0.1.0
 * @category models */
export type PayloadOf<T extends string> = T extends keyof Payloads ? Payloads[T] : Readonly<Record<string, unknown>>

/** One message of a server. `offset` is there on events of a sync connection.
 * @since 0.1.0
 * @category models */
export interface Message<T extends string = string, P = PayloadOf<T>> {
  readonly eventType: T
  readonly payload: P
  /** When it happened, in milliseconds since the Unix epoch, by the gateway's clock. */
  readonly timestamp: number
  readonly requestId: string
  readonly offset?: Offset
  /** Of a declared event type, in sync mode: what the event is the state of among those of its type. */
  readonly key?: string
  /** When it was sent, in milliseconds on the gateway's monotonic clock; in sync mode. */
  readonly sentAt?: number
}

interface Unknowns {
  readonly [name: string]: unknown
}

const isObject = (value: unknown): value is Unknowns =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether the fields of an example are there, each of the example's type. Asked for every event: no list is made of it. */
const fits = (value: Unknowns, example: Unknowns): boolean => {
  for (const name in example) if (typeof value[name] !== typeof example[name]) return false
  return true
}

const envelope = { eventType: "", requestId: "", timestamp: 0 }

const isEnvelope = (value: unknown): value is Message =>
  isObject(value) &&
  fits(value, envelope) &&
  isObject(value["payload"]) &&
  typeof (value["offset"] ?? "") === "string" &&
  typeof (value["sentAt"] ?? 0) === "number"

const asMessage = (value: unknown): Message | undefined => (isEnvelope(value) ? value : undefined)

/** The message in a frame, or `undefined` if there is none.
 * @since 0.1.0
 * @category conversions */
export const parse = (data: unknown): Message | undefined => {
  try {
    return typeof data === "string" ? asMessage(JSON.parse(data)) : undefined
  } catch {
    return undefined
  }
}

/** What a frame says: its message, or the events that came together in it; `undefined` for each that cannot be read.
 * @since 0.1.0
 * @category conversions */
export const messagesIn = (frame: Message | undefined): ReadonlyArray<Message | undefined> => {
  const events = frame?.eventType === Types.EVENTS ? frame.payload["events"] : [frame]
  return Array.isArray(events) ? events.map(asMessage) : [undefined]
}

// What the client itself relies on, by example; the values (is "online" a status?) are the gateway's word.
const shapes: { readonly [eventType: string]: Unknowns } = {
  [Types.AGENT_STATUS_UPDATE]: { agentId: "", status: "" },
  [Types.COMMAND_STATUS_UPDATE]: { commandId: "", agentId: "", commandStatus: "" },
  [Types.AGENT_CREATE]: { agentId: "", name: "", type: "" },
  [Types.AGENT_REMOVE]: { agentId: "" },
  [Types.COMMAND_REMOVE]: { commandId: "", agentId: "" },
  [Types.KEY_REMOVE]: { eventType: "", key: "" },
  [Types.SYNC]: { mode: "", to: "", count: 0 },
  [Types.CLOSING]: { retryAfterMs: 0 },
  [Types.ERROR]: { reason: "", detail: "" }
}

/** Whether the payload has the fields its type says.
 * @since 0.1.0
 * @category predicates */
export const isWellFormed = ({ eventType, payload }: Message): boolean => fits(payload, shapes[eventType] ?? {})

/** Whether a well-formed message is of a type, whose `stratix:` may be left out.
 * @since 0.1.0
 * @category predicates */
export const isOfType = <T extends string, P = PayloadOf<T>>(
  message: Message<string, unknown>,
  event: T | Types.EventReference<T, P>
): message is Message<T, P> => {
  const name = typeof event === "string" ? event : event.eventType
  return message.eventType === name || message.eventType === `stratix:${name}`
}
