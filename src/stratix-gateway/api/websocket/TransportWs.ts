/**
 * Real sockets: `ws` on a node server.
 *
 * `ws` does what a WebSocket server must get right (handshake, parsing, control frames, limits). Data frames are written to the
 * raw socket of the `upgrade` event, because one buffer then serves every connection. `ws` writes control frames only, and always whole
 * ones, so the two cannot mix within a frame.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import WebSocket, { WebSocketServer } from "ws"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import { NodeServer } from "../http/NodeServer.js"
import type { Admission, Refusal } from "./Handshake.js"
import { isLoopback } from "./Origin.js"
import {
  type Accepted,
  type SocketHandlers,
  Transport,
  type TransportHandlers,
  type TransportSocket,
  type UpgradeRequest
} from "./Transport.js"

const ignore = () => undefined

/** Pieces in which one frame may arrive. The largest message is some fifty packets; one who sends it byte by byte makes the gateway keep an object for each. */
const MAX_CHUNKS = 1024

/** A socket of `ws` that is also ours: a subclass, so that a connection costs no second object and no closures. */
class GatewaySocket extends WebSocket implements TransportSocket {
  remoteAddress = ""
  compressed = false
  private raw: Duplex | undefined = undefined
  handlers: SocketHandlers | undefined = undefined
  private awaitsDrain = false

  unsafeAttach(
    raw: Duplex,
    remoteAddress: string,
    compressed: boolean,
    accept: (socket: GatewaySocket) => Accepted
  ): Effect.Effect<void> {
    this.raw = raw
    this.remoteAddress = remoteAddress
    this.compressed = compressed
    const { handlers, open } = accept(this)
    this.handlers = handlers
    this.on("message", onMessage)
    this.on("ping", onPing)
    this.on("pong", onPong)
    this.on("error", onError)
    this.on("close", onClose)
    return open
  }

  unsafeWrite(frames: Uint8Array): number {
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

  unsafeUnsent(): number {
    return this.raw?.writableLength ?? 0
  }

  unsafeClose(code: number, reason: string): void {
    if (this.readyState === WebSocket.OPEN) this.close(code, reason)
  }

  unsafeTerminate(): void {
    this.terminate()
  }
}

// Shared by all sockets: `ws` calls a listener with its socket as `this`, so none of them needs a closure.

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

/** Answers an upgrade that is refused, and ends its socket.
 * @since 0.1.0
 * @category refusals */
export const unsafeRefuse = (socket: Duplex, refusal: Refusal): void => {
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
  // Asked of the operating system only where a browser is to be judged by it.
  get local() {
    return isNetSocket(socket) && isLoopback(socket.localAddress ?? "")
  }
})

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const server = yield* NodeServer
  const admissions = new WeakMap<Http.IncomingMessage, Admission>()
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: config.maxMessageBytes,
    maxFragments: config.maxFragments,
    maxBufferedChunks: MAX_CHUNKS,
    // Without context takeover a message compresses the same for everybody, so it is compressed once.
    perMessageDeflate: config.compression ? { serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
    WebSocket: GatewaySocket,
    handleProtocols: (_offered, request) => admissions.get(request)?.subprotocol ?? false
  })

  const accept = (
    handlers: TransportHandlers,
    admission: Admission,
    request: Http.IncomingMessage,
    socket: Duplex,
    head: Buffer
  ): Effect.Effect<void> => {
    admissions.set(request, admission)
    // A client that wants a smaller window could not read what is compressed for all: it gets plain frames (`ws` would refuse it).
    if (request.headers["sec-websocket-extensions"]?.includes("server_max_window_bits")) {
      delete request.headers["sec-websocket-extensions"]
    }
    let open: Effect.Effect<void> = Effect.sync(() => admission.place.unsafeLeave())
    // The answer to the upgrade and the welcome leave in one write.
    socket.cork()
    wss.handleUpgrade(request, socket, head, (client) => {
      // `ws` listens for errors from here on.
      socket.off("error", ignore)
      open = client.unsafeAttach(socket, admission.address, client.extensions !== "", (attached) =>
        handlers.unsafeAccept(attached, admission)
      )
    })
    // `ws` has answered by now; a socket that has ended meanwhile it refuses, and the place is free again.
    return Effect.zipRight(
      open,
      Effect.sync(() => socket.uncork())
    )
  }

  const serve = (handlers: TransportHandlers) =>
    Effect.gen(function* () {
      const run = yield* FiberSet.makeRuntime<never>()
      const onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
        // First of all: a peer that resets the socket now must not end the process.
        socket.on("error", ignore)
        // A host application may have upgrades of its own: what is not for this path is theirs to answer.
        if (server.listenerCount("upgrade") > 1 && request.url?.split("?", 1)[0] !== config.path) return
        run(
          handlers.decide(upgradeRequest(request, socket)).pipe(
            Effect.matchEffect({
              onSuccess: (admission) => accept(handlers, admission, request, socket, head),
              onFailure: (refusal) => Effect.sync(() => unsafeRefuse(socket, refusal))
            }),
            Effect.catchAllCause((cause) =>
              Effect.zipRight(
                Effect.logError("the handshake failed", cause),
                Effect.sync(() => socket.destroy())
              )
            )
          )
        )
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => server.on("upgrade", onUpgrade)),
        () => Effect.sync(() => server.off("upgrade", onUpgrade))
      )
    })

  return Transport.of({ serve })
})

/** Sockets of the `NodeServer`, whoever owns it.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Transport, never, StatusSyncConfig.StatusSyncConfig | NodeServer> = Layer.effect(
  Transport,
  make
)
