/**
 * Real sockets: `ws` on upgrades that were admitted.
 *
 * `ws` does what a WebSocket server must get right: handshake, parsing, control frames, limits. Data frames are written to the raw
 * socket of the `upgrade` event, so that one buffer serves every connection. `ws` writes only control frames, and only whole ones, so the
 * two never mix within a frame.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import WebSocket, { type ServerOptions, WebSocketServer } from "ws"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Refusals from "../telemetry/Refusals.js"
import * as Form from "./Form.js"
import { type Refusal, refuse } from "./Refusal.js"
import type { Accepted, SocketHandlers, TransportHandlers, TransportSocket } from "./Transport.js"
import { ignoreError, type Upgrade } from "./UpgradeGuard.js"

/** How long a client may take to answer a close, in milliseconds; then its socket is destroyed. */
const CLOSE_TIMEOUT = 30_000

/** Pieces in which one frame may arrive. The largest message is about fifty packets; a client that sends it byte by byte would make the gateway keep an object for each. */
const MAX_CHUNKS = 1024

/** Unsent bytes above which pings are not answered: some hundred of the largest pongs, more than a client that reads leaves unread. */
const MAX_UNREAD_PONGS = 16 * 1024

/** Makes WebSockets of upgrades.
 * @since 0.1.0
 * @category tags */
export class WebSockets extends Context.Tag("stratix/WebSockets")<
  WebSockets,
  {
    /** Answers the upgrade of an admitted client and hands its socket over; releases the permit of one whose socket has ended. May throw what the handlers throw. */
    readonly accept: <A extends Accepted>(
      upgrade: Upgrade,
      accepted: A,
      handlers: Pick<TransportHandlers<A>, "accept">
    ) => void
  }
>() {}

/** A `ws` socket that is also a `TransportSocket`: a subclass, so that a connection costs no second object and no closures. */
class GatewaySocket extends WebSocket implements TransportSocket {
  remoteAddress = ""
  form = Form.frames
  private raw: Duplex | undefined = undefined
  handlers: SocketHandlers | undefined = undefined
  private written = 0
  private awaitsDrain = false

  attach<A extends Accepted>(raw: Duplex, accepted: A, handlers: Pick<TransportHandlers<A>, "accept">): void {
    this.raw = raw
    this.remoteAddress = accepted.address
    if (this.extensions !== "") this.form = Form.deflated
    this.handlers = handlers.accept(this, accepted)
    this.handlers.onOpen()
  }

  /** `ws` tells what happens by events. Taken here, they cost a connection no listeners. */
  override emit(event: string | symbol, ...args: ReadonlyArray<unknown>): boolean {
    const { handlers } = this
    if (handlers === undefined) return true
    const [first, second] = args
    switch (event) {
      case "message":
        handlers.onSignOfLife()
        if (second === true) handlers.onBinary()
        else handlers.onText(String(first))
        break
      case "ping":
        handlers.onSignOfLife()
        if (first instanceof Buffer) this.answerPing(first)
        break
      case "pong":
        handlers.onSignOfLife()
        handlers.onPong()
        break
      case "error":
        if (first instanceof Error) handlers.onError(first)
        break
      case "close":
        this.handlers = undefined
        handlers.onClose(Number(first), String(second))
        break
    }
    return true
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

  // `ws` has a method of this name, for pings with a payload: nothing else calls it.
  override ping(): void {
    this.write(this.form.ping)
  }

  unsentBytes(): number {
    return this.raw?.writableLength ?? 0
  }

  /** Unless the client is being closed, or does not read the answers it has. */
  answerPing(data: Buffer): void {
    if (this.readyState === WebSocket.OPEN && this.unsentBytes() <= MAX_UNREAD_PONGS) this.pong(data, false)
  }

  end(code: number, reason: string): void {
    if (this.readyState === WebSocket.OPEN) this.close(code, reason)
  }
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

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const refusals = yield* Refusals.Refusals
  /** Of the handshake under way: `ws` asks for it within the call. */
  let subprotocol: string | undefined
  // `closeTimeout` (of `ws` 8.19 and later) is not in its types yet.
  const options: ServerOptions<typeof GatewaySocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: config.maxMessageBytes,
    maxFragments: config.maxFragments,
    maxBufferedChunks: MAX_CHUNKS,
    // `ws` would terminate a client with many pings in one packet; here they count towards the message rate, which has a close code.
    autoPong: false,
    // Without context takeover a message compresses the same for every client, so it is compressed once.
    perMessageDeflate: config.compression ? { serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
    WebSocket: GatewaySocket,
    handleProtocols: () => subprotocol ?? false,
    // A drain gives clients this long to read on and to answer the close; `ws` must not end them sooner.
    closeTimeout: Math.max(CLOSE_TIMEOUT, Duration.toMillis(config.drainTimeout))
  }
  const wss = new WebSocketServer(options)
  // Handshakes that `ws` itself refuses, such as malformed extensions.
  wss.on("wsClientError", (error, socket) => {
    refusals.recordRefusal("malformed", error.message)
    answerRefusal(socket, refuse("malformed", 400, error.message))
  })
  return WebSockets.of({
    accept: ({ head, request, socket }, accepted, handlers) => {
      subprotocol = accepted.subprotocol
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
          socket.off("error", ignoreError)
          client.attach(socket, accepted, handlers)
          taken = true
        })
      } finally {
        socket.uncork()
        // `ws` has answered by now. It refuses a socket that has ended in the meantime; its permit is free again.
        if (!taken) accepted.permit.release()
      }
    }
  })
})

/** WebSockets by the settings.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<WebSockets, never, StatusSyncConfig.StatusSyncConfig> = Layer.effect(
  WebSockets,
  make
).pipe(Layer.provide(Refusals.layer))
