/**
 * The names of what travels on the wire. No imports, so that a browser bundle that needs only these stays small.
 *
 * @since 0.1.0
 */

/** Prefix of every event type.
 * @since 0.1.0
 * @category constants */
export const EVENT_TYPE_PREFIX = "stratix:"

/** An agent went online, offline, busy or into error. Key `agent:<agentId>`.
 * @since 0.1.0
 * @category events */
export const AGENT_STATUS_UPDATE = "stratix:agent_status_update"

/** A command was queued, is running, succeeded or failed. Key `command:<commandId>`.
 * @since 0.1.0
 * @category events */
export const COMMAND_STATUS_UPDATE = "stratix:command_status_update"

/** An agent was created. Key `agent-info:<agentId>`.
 * @since 0.1.0
 * @category events */
export const AGENT_CREATE = "stratix:agent_create"

/** An agent was removed: ends the keys `agent:<agentId>` and `agent-info:<agentId>`.
 * @since 0.1.0
 * @category events */
export const AGENT_REMOVE = "stratix:agent_remove"

/** A command was removed: ends the key `command:<commandId>`.
 * @since 0.1.0
 * @category events */
export const COMMAND_REMOVE = "stratix:command_remove"

/** What an event type of your own told of one key was removed: ends that key.
 * @since 0.1.0
 * @category events */
export const KEY_REMOVE = "stratix:key_remove"

/** An event type and, for the compiler only, what its payload is.
 *
 * @example
 * ```ts
 * const Zone: EventReference<"stratix:zone_update", { readonly zoneId: string }> = { eventType: "stratix:zone_update" }
 * ```
 *
 * @since 0.1.0
 * @category events */
export interface EventReference<T extends string = string, P = { readonly [name: string]: unknown }> {
  readonly eventType: T
  /** Never there: it carries the type of the payload. */
  readonly "~payload"?: () => P
}

/** The welcome: first message on every connection.
 * @since 0.1.0
 * @category control */
export const CONNECTED = "stratix:connected"

/** Announces a catch-up.
 * @since 0.1.0
 * @category control */
export const SYNC = "stratix:sync"

/** Carries events to sync clients, each with its offset.
 * @since 0.1.0
 * @category control */
export const EVENTS = "stratix:events"

/** The server is alive; carries the head.
 * @since 0.1.0
 * @category control */
export const HEARTBEAT = "stratix:heartbeat"

/** The filter now in force.
 * @since 0.1.0
 * @category control */
export const SUBSCRIBED = "stratix:subscribed"

/** A client message was not understood.
 * @since 0.1.0
 * @category control */
export const ERROR = "stratix:error"

/** The server is about to close the connection.
 * @since 0.1.0
 * @category control */
export const CLOSING = "stratix:closing"

/** Event types that the protocol names.
 * @since 0.1.0
 * @category events */
export const KNOWN_TYPES: ReadonlySet<string> = /* @__PURE__ */ new Set([
  AGENT_STATUS_UPDATE,
  COMMAND_STATUS_UPDATE,
  AGENT_CREATE,
  AGENT_REMOVE,
  COMMAND_REMOVE,
  KEY_REMOVE
])

/** Event types that only the server itself sends: they belong to no key and have no place in the log.
 * @since 0.1.0
 * @category control */
export const CONTROL_TYPES: ReadonlySet<string> = /* @__PURE__ */ new Set([
  CONNECTED,
  SYNC,
  EVENTS,
  HEARTBEAT,
  SUBSCRIBED,
  ERROR,
  CLOSING
])

/** Subprotocol with offsets, snapshot and resume.
 * @since 0.1.0
 * @category subprotocols */
export const SYNC_PROTOCOL = "stratix.sync.v1"

/** Subprotocol that names plain mode, for browsers that must offer one beside their token.
 * @since 0.1.0
 * @category subprotocols */
export const PLAIN_PROTOCOL = "stratix.plain.v1"

/** A subprotocol entry beginning with this carries a bearer token.
 * @since 0.1.0
 * @category subprotocols */
export const BEARER_PROTOCOL_PREFIX = "stratix.bearer."

/** Text of the welcome.
 * @since 0.1.0
 * @category constants */
export const WELCOME_MESSAGE = "Connected to Stratix Gateway"
