/**
 * Real sockets: `ws` on a Node server.
 *
 * `ws` does what a WebSocket server must get right: handshake, parsing, control frames, limits. Data frames are written to the raw
 * socket of the `upgrade` event, so that one buffer serves every connection. `ws` writes only control frames, and only whole ones, so the
 * two never mix within a frame.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import WebSocket, { type ServerOptions, WebSocketServer } from "ws"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import { isImmediate } from "../runtime/Immediate.js"
import { isLoopback } from "../runtime/IpAddress.js"
import * as Refusals from "../telemetry/Refusals.js"
import * as HttpPipeline from "./HttpPipeline.js"
import { NodeServer } from "./NodeServer.js"
import { type Refusal, refuse } from "./Refusal.js"
import {
  type Accepted,
  type SocketHandlers,
  Transport,
  type TransportHandlers,
  type TransportSocket,
  type UpgradeRequest
} from "./Transport.js"

const ignore = () => undefined

/** How long a client may take to answer a close, in milliseconds; then its socket is destroyed. */
const CLOSE_TIMEOUT = 30_000

/** Pieces in which one frame may arrive. The largest message is about fifty packets; a client that sends it byte by byte would make the gateway keep an object for each. */
const MAX_CHUNKS = 1024

/** A `ws` socket that is also a `TransportSocket`: a subclass, so that a connection costs no second object and no closures. */
class GatewaySocket extends WebSocket implements TransportSocket {
  remoteAddress = ""
  compressed = false
  private raw: Duplex | undefined = undefined
  handlers: SocketHandlers | undefined = undefined
  private written = 0
  private awaitsDrain = false

  attach<A extends Accepted>(raw: Duplex, accepted: A, handlers: TransportHandlers<A>): void {
    this.raw = raw
    this.remoteAddress = accepted.address
    this.compressed = this.extensions !== ""
    this.on("message", onMessage)
    this.on("ping", onPing)
    this.on("pong", onPong)
    this.on("error", onError)
    this.on("close", onClose)
    this.handlers = handlers.accept(this, accepted)
    this.handlers.onOpen()
  }

  writes(): number {
    return this.written
  }

  write(frames: Uint8Array): number {
    this.written++
    const { raw } = this
    if (raw === undefined || this.readyState !== WebSocket.OPEN) return 0
    if (raw.write(frames)) return 0
    if (!this.awaitsDrain) {
      this.awaitsDrain = true
      raw.once("drain", () => {
        this.awaitsDrain = false
        this.handlers?.onDrain()
      })
    }
    return raw.writableLength
  }

  unsentBytes(): number {
    return this.raw?.writableLength ?? 0
  }

  end(code: number, reason: string): void {
    if (this.readyState === WebSocket.OPEN) this.close(code, reason)
  }
}

// Shared by all sockets: `ws` calls listeners with the socket as `this`, so none needs a closure.

function onMessage(this: WebSocket, data: WebSocket.RawData, isBinary: boolean): void {
  if (!(this instanceof GatewaySocket) || this.handlers === undefined) return
  this.handlers.onSignOfLife()
  if (isBinary) this.handlers.onBinary()
  else this.handlers.onText(data.toString())
}

function onPing(this: WebSocket): void {
  if (this instanceof GatewaySocket) this.handlers?.onSignOfLife()
}

function onPong(this: WebSocket): void {
  if (!(this instanceof GatewaySocket)) return
  this.handlers?.onSignOfLife()
  this.handlers?.onPong()
}

function onError(this: WebSocket, error: Error): void {
  if (this instanceof GatewaySocket) this.handlers?.onError(error)
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  if (!(this instanceof GatewaySocket)) return
  const { handlers } = this
  this.handlers = undefined
  handlers?.onClose(code, reason.toString())
}

/** Answers a refused upgrade and ends its socket.
 * @since 0.1.0
 * @category refusals */
export const answerRefusal = (socket: Duplex, refusal: Refusal): void => {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { body } = refusal
  const headers = {
    connection: "close",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    ...refusal.headers
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.once("finish", () => socket.destroy())
  socket.end(`HTTP/1.1 ${refusal.status} ${Http.STATUS_CODES[refusal.status] ?? ""}\r\n${lines.join("")}\r\n${body}`)
}

const isNetSocket = (socket: Duplex): socket is Socket => "remoteAddress" in socket

const upgradeRequest = (request: Http.IncomingMessage, socket: Duplex): UpgradeRequest => ({
  method: request.method ?? "",
  url: request.url ?? "/",
  headers: request.headers,
  remoteAddress: (isNetSocket(socket) ? socket.remoteAddress : undefined) ?? "",
  // A getter: only the origin policy for browsers asks, and it costs a system call.
  get local() {
    return isNetSocket(socket) && isLoopback(socket.localAddress ?? "")
  }
})

/** Gives a request back to the server, as if it had not asked for another protocol: a client that offers HTTP/2 (h2c) is content with HTTP/1.1. */
const serveAsHttp = (server: Http.Server, request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ""
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${request.rawHeaders[i + 1]}`)
  }
  // Once for a socket: the server listens to it anew every time.
  lines.push("connection: close", "", "")
  socket.off("error", ignore)
  socket.unshift(Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), head]))
  server.emit(server instanceof Tls.Server ? "secureConnection" : "connection", socket)
  socket.resume()
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const server = yield* NodeServer
  const refusals = yield* Refusals.Refusals
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const acceptedBy = new WeakMap<Http.IncomingMessage, Accepted>()
  // `closeTimeout` (of `ws` 8.19 and later) is not in its types yet.
  const options: ServerOptions<typeof GatewaySocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: config.maxMessageBytes,
    maxFragments: config.maxFragments,
    maxBufferedChunks: MAX_CHUNKS,
    // Without context takeover a message compresses the same for every client, so it is compressed once.
    perMessageDeflate: config.compression ? { serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
    WebSocket: GatewaySocket,
    handleProtocols: (_offered, request) => acceptedBy.get(request)?.subprotocol ?? false,
    // A drain gives clients this long to read on and to answer the close; `ws` must not end them sooner.
    closeTimeout: Math.max(CLOSE_TIMEOUT, Duration.toMillis(config.drainTimeout))
  }
  const wss = new WebSocketServer(options)
  // Handshakes that `ws` itself refuses, such as malformed extensions.
  wss.on("wsClientError", (error, socket) => {
    refusals.recordRefusal("malformed", error.message)
    answerRefusal(socket, refuse("malformed", 400, error.message))
  })

  /** An upgrade, from its request to its socket or its refusal. */
  class Upgrade<A extends Accepted> {
    constructor(
      private readonly handlers: TransportHandlers<A>,
      private readonly request: Http.IncomingMessage,
      private readonly socket: Duplex,
      private readonly head: Buffer
    ) {}

    end(decision: Exit.Exit<A, Refusal>): void {
      try {
        Exit.match(decision, {
          onSuccess: (accepted) => this.accept(accepted),
          onFailure: (cause) =>
            Option.match(Cause.failureOption(cause), {
              onSome: (refusal) => answerRefusal(this.socket, refusal),
              onNone: () => this.breakOff(cause)
            })
        })
      } catch (defect) {
        this.breakOff(Cause.die(defect))
      }
    }

    /** Ends the socket without an answer. */
    breakOff(cause: Cause.Cause<unknown>): void {
      this.socket.destroy()
      if (!Cause.isInterruptedOnly(cause)) runFork(Effect.logError("the handshake failed", cause))
    }

    private accept(accepted: A): void {
      const { handlers, head, request, socket } = this
      acceptedBy.set(request, accepted)
      // A client that demands a smaller window could not read shared compressed frames, and `ws` would refuse it: it gets plain frames.
      if (request.headers["sec-websocket-extensions"]?.includes("server_max_window_bits")) {
        delete request.headers["sec-websocket-extensions"]
      }
      let taken = false
      // The answer to the upgrade and the welcome share one write.
      socket.cork()
      try {
        wss.handleUpgrade(request, socket, head, (client) => {
          // `ws` listens for errors from here on.
          socket.off("error", ignore)
          client.attach(socket, accepted, handlers)
          taken = true
        })
      } finally {
        socket.uncork()
        // `ws` has answered by now. It refuses a socket that has ended in the meantime; its permit is free again.
        if (!taken) accepted.permit.release()
      }
    }
  }

  const serve = <A extends Accepted>(handlers: TransportHandlers<A>) =>
    Effect.gen(function* () {
      const run = yield* FiberSet.makeRuntime<never>()
      const responses = yield* HttpPipeline.openResponses(server)
      const decide = (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
        const upgrade = new Upgrade(handlers, request, socket, head)
        // An exception in a listener would end the process.
        try {
          const decision = handlers.decide(upgradeRequest(request, socket))
          if (isImmediate(decision)) upgrade.end(decision)
          else {
            run(Effect.exit(Effect.onExit(decision, (exit) => Effect.sync(() => upgrade.end(exit)))))
          }
        } catch (defect) {
          upgrade.breakOff(Cause.die(defect))
        }
      }
      const onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
        // First: a peer that resets the socket now must not end the process.
        socket.on("error", ignore)
        // A host application may serve upgrades of its own on other paths: they are not ours to answer.
        if (server.listenerCount("upgrade") > 1 && request.url?.split("?", 1)[0] !== config.path) return
        const isWebSocket = request.headers.upgrade?.toLowerCase() === "websocket"
        // The answers to what was pipelined before must not get into the stream of the new protocol.
        responses.afterThem(socket, () => {
          if (isWebSocket) decide(request, socket, head)
          else serveAsHttp(server, request, socket, head)
        })
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => server.on("upgrade", onUpgrade)),
        () => Effect.sync(() => server.off("upgrade", onUpgrade))
      )
    })

  return Transport.of({ serve })
})

/** Sockets of the `NodeServer`, this package's own or a host application's.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Transport, never, StatusSyncConfig.StatusSyncConfig | NodeServer> = Layer.effect(
  Transport,
  make
).pipe(Layer.provide(Refusals.layer))
