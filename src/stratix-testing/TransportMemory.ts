/**
 * A transport without sockets: every frame arrives in the step that wrote it, so that tests of timing are exact.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Form from "../stratix-gateway/transport/Form.js"
import { type Refusal, refuse } from "../stratix-gateway/transport/Refusal.js"
import {
  type SocketHandlers,
  Transport,
  type TransportSocket,
  type UpgradeRequest
} from "../stratix-gateway/transport/Transport.js"
import * as TestClients from "./TestClients.js"

const ABNORMAL = 1006
const TEXT = 0x1

/** The texts in a buffer of whole server frames. */
const textsIn = (frames: Uint8Array): ReadonlyArray<string> => {
  const buffer = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength)
  const found: Array<string> = []
  let at = 0
  while (at < buffer.length) {
    const opcode = buffer.readUInt8(at) & 0x0f
    const short = buffer.readUInt8(at + 1) & 0x7f
    const [length, start] =
      short < 126
        ? [short, at + 2]
        : short === 126
          ? [buffer.readUInt16BE(at + 2), at + 4]
          : [Number(buffer.readBigUInt64BE(at + 2)), at + 10]
    if (opcode === TEXT) found.push(buffer.toString("utf8", start, start + length))
    at = start + length
  }
  return found
}

/** Both ends of a connection in one object: the server holds it as its socket, the script moves its other end. */
class MemorySocket implements TransportSocket {
  readonly form: Form.Form
  readonly inbox: TestClients.Inbox
  private handlers: SocketHandlers | undefined = undefined
  private waiting: Array<Uint8Array> = []
  private written = 0
  private unsent = 0
  private frozen = false
  private readonly answersPings: boolean
  private closing: TestClients.Closed | undefined = undefined
  private over: TestClients.Closed | undefined = undefined

  constructor(
    readonly remoteAddress: string,
    options: TestClients.ConnectOptions
  ) {
    this.form = options.stream === true ? Form.stream : Form.frames
    this.answersPings = options.answersPings ?? true
    this.inbox = new TestClients.Inbox(options)
  }

  attach(handlers: SocketHandlers): void {
    this.handlers = handlers
    handlers.onOpen()
  }

  writes(): number {
    return this.written
  }

  write(frames: Uint8Array): number {
    this.written++
    if (this.over || this.closing !== undefined) return 0
    if (!this.frozen) this.arrive(frames)
    else {
      this.waiting.push(frames)
      this.unsent += frames.length
    }
    return this.unsent
  }

  ping(): void {
    // What is written to one that reads is taken at once.
    if (this.form === Form.stream && this.unsent === 0) this.up((handlers) => handlers.onTaken())
    this.write(this.form.ping)
  }

  unsentBytes(): number {
    return this.unsent
  }

  end(code: number, reason: string): void {
    if (this.over || this.closing !== undefined) return
    this.closing = { code, reason }
    if (!this.frozen) this.finish(this.closing)
  }

  terminate(): void {
    this.finish({ code: ABNORMAL, reason: "" })
  }

  /** The end for both sides, once. */
  finish(closed: TestClients.Closed): void {
    if (this.over) return
    this.over = closed
    this.waiting = []
    this.unsent = 0
    this.inbox.end(closed)
    this.handlers?.onClose(closed.code, closed.reason)
  }

  private arrive(frames: Uint8Array): void {
    if (frames === this.form.ping) {
      this.inbox.pings++
      if (this.answersPings && this.form !== Form.stream) this.pong()
    } else if (this.form === Form.stream) this.inbox.onStream(Buffer.from(frames).toString())
    else for (const text of textsIn(frames)) this.inbox.onText(text)
  }

  private up(then: (handlers: SocketHandlers) => void): void {
    if (!this.over && this.handlers !== undefined) then(this.handlers)
  }

  pong(): void {
    this.up((handlers) => {
      handlers.onSignOfLife()
      handlers.onPong()
    })
  }

  text(text: string): void {
    this.up((handlers) => {
      handlers.onSignOfLife()
      handlers.onText(text)
    })
  }

  binary(): void {
    this.up((handlers) => {
      handlers.onSignOfLife()
      handlers.onBinary()
    })
  }

  freeze(): void {
    this.frozen = true
  }

  thaw(): void {
    if (!this.frozen) return
    this.frozen = false
    const arrived = this.waiting
    const drained = this.unsent > 0
    this.waiting = []
    this.unsent = 0
    for (const frames of arrived) this.arrive(frames)
    if (this.closing !== undefined) this.finish(this.closing)
    else if (drained) {
      this.up((handlers) => {
        if (this.form === Form.stream) handlers.onTaken()
        handlers.onDrain()
      })
    }
  }
}

const clientOf = (socket: MemorySocket, subprotocol: string | undefined): TestClients.TestClient => ({
  subprotocol,
  take: socket.inbox.take,
  takeN: socket.inbox.takeN,
  received: socket.inbox.received,
  raw: socket.inbox.raw,
  isOpen: socket.inbox.isOpen,
  closed: socket.inbox.closed,
  pings: Effect.sync(() => socket.inbox.pings),
  send: (message) => Effect.sync(() => socket.text(JSON.stringify(message))),
  sendText: (text) => Effect.sync(() => socket.text(text)),
  sendBinary: () => Effect.sync(() => socket.binary()),
  pong: Effect.sync(() => socket.pong()),
  freeze: Effect.sync(() => socket.freeze()),
  thaw: Effect.sync(() => socket.thaw()),
  drop: Effect.sync(() => socket.terminate()),
  close: (code = 1000) => Effect.sync(() => socket.finish({ code, reason: "" }))
})

interface Opened {
  readonly socket: MemorySocket
  readonly subprotocol: string | undefined
}

const make = Effect.sync(() => {
  let open:
    | ((request: UpgradeRequest, socket: (address: string) => MemorySocket) => Effect.Effect<Opened, Refusal>)
    | undefined
  const closed = refuse("closing", 503, "no gateway accepts connections")
  let keys = 0

  const transport = Transport.of({
    serve: (given) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          open = (request, makeSocket) =>
            Effect.map(given.decide(request), (accepted) => {
              const socket = makeSocket(accepted.address)
              socket.attach(given.accept(socket, accepted))
              return { socket, subprotocol: accepted.subprotocol }
            })
        }),
        () =>
          Effect.sync(() => {
            open = undefined
          })
      )
  })

  const clients = TestClients.TestClients.of({
    connect: (options = {}) =>
      Effect.suspend(() => {
        if (open === undefined) return Effect.fail(closed)
        const remoteAddress = options.remoteAddress ?? "127.0.0.1"
        const key = Buffer.alloc(16)
        key.writeUInt32BE(++keys)
        const upgrade = {
          upgrade: "websocket",
          connection: "Upgrade",
          "sec-websocket-version": "13",
          "sec-websocket-key": key.toString("base64"),
          ...(options.protocols !== undefined && { "sec-websocket-protocol": options.protocols.join(", ") })
        }
        const request: UpgradeRequest = {
          asks: options.stream === true ? "stream" : "websocket",
          method: "GET",
          url: `${options.path ?? "/"}${options.query === undefined ? "" : `?${options.query}`}`,
          remoteAddress,
          local: true,
          headers: { host: "127.0.0.1:3001", ...(options.stream !== true && upgrade), ...options.headers }
        }
        return Effect.map(
          open(request, (address) => new MemorySocket(address, options)),
          ({ socket, subprotocol }) => clientOf(socket, subprotocol)
        )
      })
  })

  return Context.make(Transport, transport).pipe(Context.add(TestClients.TestClients, clients))
})

/** The transport and the clients that connect to it.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Transport | TestClients.TestClients> = Layer.effectContext(make)
