/**
 * One raw client: hand-made upgrade, then frames counted by their headers alone. Payloads are looked at only by `onText`, where it is set.
 */
import { connect } from "node:net"

/** One for all sockets: a chunk is dealt with before the next one is read. */
const shared = Buffer.allocUnsafe(256 * 1024)

const CONTINUATION = 0x0
const CLOSE = 0x8
const PING = 0x9
const PONG = 0xa

/** A frame from the client. A zero mask leaves the payload as it is. */
const masked = (opcode, payload) =>
  Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])

const text = (payload) => masked(0x1, Buffer.from(payload))

const NOTHING = Buffer.alloc(0)

export class Connection {
  /** Messages that came since `ready`. */
  messages = 0
  /** How many of them were compressed. */
  compressed = 0
  pings = 0
  /** Messages since the recording of latencies began. */
  recorded = 0
  isReady = false
  isOpen = false
  frozen = false
  /** Set while messages are to be read, not only counted: `(payload: Buffer) => void`. */
  /** @type {((payload: Buffer) => void) | undefined} */
  onText = undefined
  /** Bytes that could not be taken yet: an unfinished header, or an unfinished message that is to be read. */
  #rest = NOTHING
  /** Payload bytes still to come of a message that is only counted. */
  #skip = 0
  /** Messages until ready. */
  #greetings

  /**
   * `client` is its number; `handler` is `{ onReady(connection), onMessages(connection, count), onEnd(connection, error) }`.
   * `greetings`: messages a server sends before a client is in; `socketio`: speaks the packets of engine.io and socket.io inside.
   */
  constructor({ client, port, path, headers, greetings, socketio, handler }) {
    this.client = client
    this.handler = handler
    this.socketio = socketio
    this.#greetings = greetings
    const socket = connect({
      port,
      host: "127.0.0.1",
      onread: { buffer: shared, callback: (size, buffer) => this.#onBytes(buffer.subarray(0, size)) }
    })
    this.socket = socket
    socket.setNoDelay(true)
    socket.on("connect", () => socket.write(upgrade(path, headers)))
    let failure
    socket.on("error", (error) => {
      failure = error
    })
    socket.on("close", () => {
      this.isOpen = false
      handler.onEnd(this, failure)
    })
  }

  /** Never reads again. */
  freeze() {
    this.frozen = true
    this.socket.pause()
  }

  /** Ends at once, as a client that lost its network: without a close frame. */
  drop() {
    this.socket.resetAndDestroy()
  }

  #onBytes(chunk) {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = NOTHING
    const start = this.isOpen ? 0 : this.#onResponse(bytes)
    if (start >= 0) this.#onFrames(bytes, start)
    return !this.frozen
  }

  /** Where the frames begin, or -1 while the response is not complete. */
  #onResponse(bytes) {
    const end = bytes.indexOf("\r\n\r\n")
    if (end === -1) {
      this.#rest = Buffer.from(bytes)
      return -1
    }
    const response = bytes.toString("latin1", 0, end)
    if (!response.startsWith("HTTP/1.1 101")) {
      this.socket.destroy(new Error(`refused: ${response.split("\r\n")[0]}`))
      return -1
    }
    this.isOpen = true
    if (this.#greetings === 0) this.#becomeReady()
    return end + 4
  }

  #becomeReady() {
    this.isReady = true
    this.handler.onReady(this)
  }

  #onFrames(bytes, start) {
    const size = bytes.length
    let at = start
    let messages = 0
    while (at < size && !this.frozen) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, size - at)
        at += step
        this.#skip -= step
        if (this.#skip === 0) messages += this.#onMessage()
        continue
      }
      const first = bytes[at]
      const short = bytes[at + 1] & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (size - at < header) break
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUIntBE(at + 4, 6)
      const opcode = first & 0x0f
      const whole = size - at - header >= length
      const isMessage = opcode < CLOSE && !(this.socketio && length === 1)
      if (isMessage && opcode === CONTINUATION) throw new Error("fragmented messages are not counted")
      if (!whole && (!isMessage || this.onText !== undefined)) break
      at += header
      if (isMessage) {
        if ((first & 0x40) !== 0) this.compressed++
        if (whole) {
          const payload = this.onText === undefined ? undefined : bytes.subarray(at, at + length)
          at += length
          messages += this.#onMessage(payload)
        } else {
          this.#skip = length
        }
        continue
      }
      this.#onControl(opcode, bytes.subarray(at, at + length))
      at += length
    }
    if (at < size) this.#rest = Buffer.from(bytes.subarray(at))
    if (messages > 0) this.handler.onMessages(this, messages)
  }

  /** How many messages this is for the count: greetings are none. */
  #onMessage(payload) {
    if (!this.isReady) {
      this.#greetings--
      // engine.io says "open", the client asks for the namespace, socket.io says "connected".
      if (this.socketio && this.#greetings === 1) this.socket.write(text("40"))
      if (this.#greetings === 0) this.#becomeReady()
      return 0
    }
    this.messages++
    this.onText?.(payload)
    return 1
  }

  #onControl(opcode, payload) {
    if (opcode === PING) {
      this.pings++
      this.socket.write(masked(PONG, payload))
    } else if (opcode === CLOSE) {
      this.socket.end(masked(CLOSE, payload))
    } else if (opcode === 0x1) {
      this.pings++
      this.socket.write(text("3"))
    }
  }
}

const upgrade = (path, headers) =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
    "",
    ""
  ].join("\r\n")
