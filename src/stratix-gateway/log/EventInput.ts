/**
 * Events to publish, as publishers give them.
 *
 * @since 0.1.0
 */
import type {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  AgentCreatePayload,
  AgentRemovePayload,
  AgentStatusPayload,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  CommandRemovePayload,
  CommandStatusPayload,
  KEY_REMOVE,
  KeyRemovePayload
} from "../../stratix-core/stratix-protocol.js"

/** Fields of your own beside those that the protocol gives an event type: they stand in the payload with these, whose names they cannot have.
 * @since 0.1.0
 * @category models */
export interface Extra {
  readonly [name: string]: unknown
}

/** What any event to publish may have.
 * @since 0.1.0
 * @category models */
export interface StampInput {
  /** When it happened; now if absent. */
  readonly timestamp?: number | undefined
  /** The request that caused it; generated if absent. */
  readonly requestId?: string | undefined
}

interface Input<T extends string, P> extends StampInput {
  readonly eventType: T
  readonly payload: P
  readonly extra?: Extra | undefined
}

/** What an agent's status may have besides. */
interface LeaseInput {
  /** Of an agent's status: how long it holds without being renewed. Without it, the status holds until the next one; an agent that is offline has no lease. */
  readonly leaseMs?: number | undefined
  /** With a lease: when it expires, the commands that the agent is running have failed. */
  readonly endCommands?: boolean | undefined
}

/** An event to publish, of a type that the protocol names; the stamps are optional.
 * @since 0.1.0
 * @category models */
export type EventInput =
  | (Input<typeof AGENT_STATUS_UPDATE, AgentStatusPayload> & LeaseInput)
  | Input<typeof COMMAND_STATUS_UPDATE, CommandStatusPayload>
  | Input<typeof AGENT_CREATE, AgentCreatePayload>
  | Input<typeof AGENT_REMOVE, AgentRemovePayload>
  | Input<typeof COMMAND_REMOVE, CommandRemovePayload>
  | Input<typeof KEY_REMOVE, KeyRemovePayload>

/** An event to publish whose type and payload the compiler knows nothing of: one that came from elsewhere, or of a type that is not declared.
 * @since 0.1.0
 * @category models */
export interface UnknownEventInput extends Input<string, unknown>, LeaseInput {}
