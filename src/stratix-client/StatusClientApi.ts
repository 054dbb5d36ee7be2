/**
 * What a client is given, and what it has.
 *
 * @since 0.1.0
 */
import type { EventReference } from "../stratix-core/event-types.js"
import type { StratixStateSyncEvent } from "../stratix-core/stratix-protocol.js"
import type { Environment, Fetch, WebSocketConstructor } from "./Environment.js"
import type { EventBuffer } from "./EventBuffer.js"
import type { Filter } from "./Filter.js"
import type { Freshness } from "./freshness/Freshness.js"
import type { Unsubscribe } from "./Handlers.js"
import type { Message, PayloadOf, Payloads } from "./Message.js"
import type { StatusClientError } from "./StatusClientError.js"
import type { StatusState } from "./StatusState.js"

/** An event of the log. `offset` is there unless the connection is a plain one.
 * @since 0.1.0
 * @category models */
export type StatusEvent = Message<StratixStateSyncEvent["eventType"]>

/** What carries a connection.
 * @since 0.1.0
 * @category models */
export type Transport = "websocket" | "event-stream"

/** How to connect. Everything has a default.
 * @since 0.1.0
 * @category models */
export interface StatusClientOptions {
  /** Which events; all of them by default. Ids and names of 1 to 256 characters. */
  readonly filter?: Filter
  /** A bearer token, or where to get one: asked before every attempt, with `refused` once the gateway refused the last one (4401).
   * It travels as a subprotocol, so it is made of letters, digits and ``!#$%&'*+-.^_`|~`` (every JWT is). */
  readonly token?: string | ((refused: boolean) => string | Promise<string>)
  /** The platform's by default. Node before 22 has none: give the one of `ws`. */
  readonly WebSocket?: WebSocketConstructor
  /** `auto`: a WebSocket, and the event stream where those do not get through; or one of them only. `auto` by default. Plain mode has no stream. */
  readonly transport?: Transport | "auto"
  /** Where the event stream is; by default `api/stratix/stream` beside the address of the WebSocket. */
  readonly streamUrl?: string | URL
  /** For the event stream; the platform's by default. */
  readonly fetch?: Fetch
  /** `plain` for a gateway without `stratix.sync.v1`: no offsets, no resume, no word when a catch-up is complete. `sync` by default. */
  readonly mode?: "sync" | "plain"
  /** Longest first pause before coming back; doubles with every attempt that fails. 1,000 ms. */
  readonly backoffBaseMs?: number
  /** Longest pause ever, the gateway's own wish aside. 30,000 ms. */
  readonly backoffCapMs?: number
  /** How long a connection may take until the welcome, and a probe until any sign of life. 10,000 ms. */
  readonly connectTimeoutMs?: number
  /** Age of what is processed here, above which the client is `behind`. 2,000 ms. */
  readonly maxLagMs?: number
  /** Silence above which it is `stale`. By default two and a half times the interval in which the gateway promises a word: 10,000 ms. */
  readonly maxSilenceMs?: number
  /** How often `onState` calls back at the most; by default once per frame that is drawn, and where nothing is drawn once per turn of the event loop. */
  readonly stateIntervalMs?: number
  /** Hears what went wrong without ending the client; by default the page's `error` event, in Node the process's `warning` event. */
  readonly onError?: (error: StatusClientError) => void
  /** Time, chance and wake-up signs; the platform's by default. */
  readonly environment?: Partial<Environment>
}

/** Adds a handler of one event type.
 * @since 0.1.0
 * @category models */
export interface On {
  <T extends keyof Payloads>(
    eventType: T,
    handler: (payload: PayloadOf<T>, message: Message<T>) => unknown
  ): Unsubscribe
  <T extends string, P = PayloadOf<T>>(
    event: EventReference<T, P>,
    handler: (payload: P, message: Message<T, P>) => unknown
  ): Unsubscribe
}

/** A client. Handlers are called in the order in which they were added; one that throws is reported to `onError` and stops nothing.
 * @since 0.1.0
 * @category models */
export interface StatusClient extends AsyncIterable<StatusEvent> {
  /** The newest event of each agent, command and agent info. While a snapshot arrives it stays what it was, and is replaced at once when the
   * snapshot is complete. A value that was read never changes: read it when you draw, not for every event. */
  readonly state: StatusState
  /** How true `state` is at this moment. */
  readonly freshness: Freshness
  /** Calls back for every message of a type, the gateway's own (`stratix:sync`, …) included, and for each event in a `stratix:events`, not for
   * that itself. A type that the protocol does not name is said as `{ eventType: "stratix:…" }`, with its payload where its declaration is known (see
   * `EventReference`). `state` knows of the event already, unless a snapshot is arriving. */
  readonly on: On
  /** Calls back for every event of the log, whatever its type. */
  readonly onEvent: (handler: (event: StatusEvent) => unknown) => Unsubscribe
  /** Calls back at most once per frame after `state` has changed, with the keys that did: `agent:<id>`, `command:<id>`, `agent-info:<id>`, or
   * `<event type>/<key>` of a declared type. Draw those, and remove what `state` does not have any more. */
  readonly onState: (handler: (keys: ReadonlySet<string>) => unknown) => Unsubscribe
  /** Calls back after `freshness` has changed. */
  readonly onFreshness: (handler: (freshness: Freshness) => unknown) => Unsubscribe
  /** Every event of the log from now on; ends when the client is closed. Above `capacity` untaken events (1,024 by default) the oldest
   * is dropped and counted; `state` misses nothing. Iterating over the client itself is the same. */
  readonly events: (capacity?: number) => EventBuffer<StatusEvent>
  /** Asks for other events from now on, also after reconnects. `state` is replaced when the snapshot for the new filter is complete.
   * Throws a `URIError` for text that has no percent-encoding. */
  readonly subscribe: (filter: Filter) => void
  /** What carries the connection there is, or the attempt. It changes only together with `freshness`. */
  readonly transport: Transport
  /** When the next attempt to connect begins, in milliseconds since the epoch; `undefined` unless one is waited for. */
  readonly nextAttemptAt: number | undefined
  /** Does not wait for it, unless a gateway that drains asked for that. Where there is a connection, asks for a sign of life. */
  readonly retryNow: () => void
  /** Ends the connection and everything that belongs to it. `state` stays readable. */
  readonly close: () => void
}
