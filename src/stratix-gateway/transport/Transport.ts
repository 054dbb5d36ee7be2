/**
 * Sockets as the gateway sees them: accept, write, close, terminate, how much is unsent, when that has drained.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Form } from "./Form.js"
import type { Refusal } from "./Refusal.js"

/** A request for a connection, before anything is decided.
 * @since 0.1.0
 * @category models */
export interface UpgradeRequest {
  /** What the connection is to be: an upgrade to a WebSocket, or an event stream, which its route has been found for. */
  readonly asks: "websocket" | "stream"
  readonly method: string
  /** Path and query, as in the request line. */
  readonly url: string
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  /** Address of the peer of the TCP connection. */
  readonly remoteAddress: string
  /** Whether the request came in through a loopback address of this machine. */
  readonly local: boolean
}

/** An open socket. Its methods never throw and never wait; on a closed socket they do nothing.
 * @since 0.1.0
 * @category models */
export interface TransportSocket {
  readonly remoteAddress: string
  readonly form: Form
  /** How often something was written. */
  readonly writes: () => number
  /** Writes whole messages of its form. Returns the bytes not yet handed to the operating system. */
  readonly write: (bytes: Uint8Array) => number
  /** Writes the ping of its form. What the client shows of life comes to the handlers. */
  readonly ping: () => void
  /** Bytes not yet handed to the operating system. */
  readonly unsentBytes: () => number
  /** Sends a close frame, or ends the stream; the socket is terminated if the client does not answer. Nothing can be written afterwards. */
  readonly end: (code: number, reason: string) => void
  /** Ends the socket at once, without a close frame. */
  readonly terminate: () => void
}

/** What happens on a socket.
 * @since 0.1.0
 * @category models */
export interface SocketHandlers {
  /** Called once, before all others, when every handler is attached and no frame can be missed. */
  readonly onOpen: () => void
  /** A frame of any kind came in. */
  readonly onSignOfLife: () => void
  /** The client cannot speak, and the operating system has taken bytes for it since the last ping. */
  readonly onTaken: () => void
  /** A pong came in. */
  readonly onPong: () => void
  readonly onText: (text: string) => void
  readonly onBinary: () => void
  /** Everything has been sent, after the high-water mark was exceeded. */
  readonly onDrain: () => void
  /** The socket broke; `onClose` follows. */
  readonly onError: (error: Error) => void
  /** The end, exactly once. 1006: without a close frame. */
  readonly onClose: (code: number, reason: string) => void
}

/** What a transport needs to know of an admitted upgrade.
 * @since 0.1.0
 * @category models */
export interface Accepted {
  /** The subprotocol to select; `undefined` if the client offered none that this gateway knows. */
  readonly subprotocol: string | undefined
  /** The client's address: the peer's, or the one a trusted proxy names. */
  readonly address: string
  /** Counts the connection towards the limits. Released when the connection ends, or by the transport if the upgrade fails. */
  readonly permit: { readonly release: () => void }
}

/** What a transport asks for every upgrade.
 * @since 0.1.0
 * @category models */
export interface TransportHandlers<A extends Accepted> {
  /** Decides on an upgrade. An immediate decision is an `Exit`, which needs no fiber. */
  readonly decide: (request: UpgradeRequest) => Effect.Effect<A, Refusal>
  /** Takes the socket of an admitted client. */
  readonly accept: (socket: TransportSocket, accepted: A) => SocketHandlers
}

/** Where connections come from.
 * @since 0.1.0
 * @category tags */
export class Transport extends Context.Tag("stratix/Transport")<
  Transport,
  {
    /** Accepts upgrades until the scope closes. Open sockets stay open. */
    readonly serve: <A extends Accepted>(handlers: TransportHandlers<A>) => Effect.Effect<void, never, Scope.Scope>
  }
>() {}

/** For a service that is a guest: its upgrades come in through the routes of its host.
 * @since 0.1.0
 * @category layers */
export const layerRouted: Layer.Layer<Transport> = Layer.succeed(Transport, { serve: () => Effect.void })
