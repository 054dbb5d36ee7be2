/**
 * Event types of your own, declared once: for what is published, what clients are told, and the documents of the gateway.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  EventReference,
  KEY_REMOVE
} from "./event-types.js"
import { OwnEventType } from "./events.js"

/** The event types that the protocol names.
 * @since 0.1.0
 * @category models */
export type KnownType =
  | typeof AGENT_STATUS_UPDATE
  | typeof COMMAND_STATUS_UPDATE
  | typeof AGENT_CREATE
  | typeof AGENT_REMOVE
  | typeof COMMAND_REMOVE
  | typeof KEY_REMOVE

/** What a payload says to the gateway.
 * @since 0.1.0
 * @category models */
export interface Reading {
  /** The fields that the Schema names, as JSON. Filters read no others. */
  readonly specified: object
  readonly key: string | undefined
  readonly finished: boolean
}

/** A declared event type, whatever its payload is.
 * @since 0.1.0
 * @category models */
export interface AnyStatusEvent {
  readonly eventType: string
  readonly description: string | undefined
  readonly schema: Schema.Schema.AnyNoContext
  readonly isKeyed: boolean
  /** Checks a payload as it is on the wire. */
  readonly read: (payload: unknown) => Either.Either<Reading, ParseResult.ParseError>
}

/** A declared event type: its payload is an `A` in code, and an `I` on the wire.
 * @since 0.1.0
 * @category models */
export interface StatusEvent<T extends string, A, I extends object> extends AnyStatusEvent, EventReference<T, I> {
  readonly eventType: T
  readonly schema: Schema.Schema<A, I>
  /** A payload as it goes on the wire. */
  readonly encode: (payload: A) => Either.Either<I, ParseResult.ParseError>
}

/** What an event type is declared with.
 * @since 0.1.0
 * @category models */
export interface Options<A, I extends object> {
  readonly schema: Schema.Schema<A, I>
  /** What an event is the newest state of: late joiners get the newest event of every key. 1 to 256 characters. Without it, events happen and are the state of nothing. */
  readonly key?: ((payload: A) => string) | undefined
  /** Whether an event is the last word on its key, which is then removed after the retention time of finished commands. */
  readonly finished?: ((payload: A) => boolean) | undefined
  /** For the documents of the gateway. */
  readonly description?: string | undefined
}

const decodeType = Schema.decodeUnknownSync(OwnEventType)

/** Declares an event type of your own. Throws for a name that is none, or is the protocol's.
 *
 * @example
 * ```ts
 * const Zone = StatusEvent.define("stratix:zone_update", {
 *   schema: Schema.Struct({ zoneId: Schema.String, load: Schema.Number }),
 *   key: (zone) => zone.zoneId
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors */
export const define = <const T extends `stratix:${string}`, A, I extends object>(
  eventType: T & (T extends KnownType ? never : unknown),
  { description, finished, key, schema }: Options<A, I>
): StatusEvent<T, A, I> => {
  decodeType(eventType)
  const decode = Schema.decodeUnknownEither(schema)
  const encode = Schema.encodeEither(schema)
  return {
    eventType,
    description,
    schema,
    encode,
    isKeyed: key !== undefined,
    read: (payload) =>
      Either.flatMap(decode(payload), (decoded) =>
        Either.map(encode(decoded), (specified) => ({
          specified,
          key: key?.(decoded),
          finished: finished?.(decoded) === true
        }))
      )
  }
}

/** The reference to a declared type, for clients that must not load its Schema.
 *
 * @example
 * ```ts
 * import type * as Events from "./events.js"
 * const Zone: StatusEvent.Reference<typeof Events.Zone> = { eventType: "stratix:zone_update" }
 * ```
 *
 * @since 0.1.0
 * @category models */
export type Reference<E extends EventReference> =
  E extends EventReference<infer T, infer P> ? EventReference<T, P> : never
