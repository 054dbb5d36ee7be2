/**
 * Event streams as connections: the answer to a GET, whose bytes are written to its socket as a WebSocket's are.
 *
 * The body has no length and is not chunked, so that one buffer serves every stream as it is; it ends with the socket.
 */
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import * as CloseCodes from "../../stratix-core/close-codes.js"
import * as Form from "./Form.js"
import * as HttpPipeline from "./HttpPipeline.js"
import type { Accepted, SocketHandlers, TransportHandlers, TransportSocket } from "./Transport.js"

class StreamSocket implements TransportSocket {
  readonly form = Form.stream
  readonly remoteAddress: string
  private handlers: SocketHandlers | undefined
  private written = 0
  private writtenBytes = 0
  /** Of the bytes written, those that the operating system had at the last ping. */
  private taken = 0
  private awaitsDrain = false
  private closed = { code: CloseCodes.ABNORMAL, reason: "" }

  constructor(
    private readonly raw: Socket,
    accepted: Accepted
  ) {
    this.remoteAddress = accepted.address
  }

  attach(handlers: SocketHandlers): void {
    this.handlers = handlers
    this.raw
      .on("error", (error) => handlers.onError(error))
      // A client that leaves ends its half of the socket; Node then ends ours.
      .once("end", () => this.closedWith(CloseCodes.NORMAL, ""))
      .once("close", () => handlers.onClose(this.closed.code, this.closed.reason))
    handlers.onOpen()
  }

  private closedWith(code: number, reason: string): void {
    if (this.closed.code === CloseCodes.ABNORMAL) this.closed = { code, reason }
  }

  writes(): number {
    return this.written
  }

  write(bytes: Uint8Array): number {
    this.written++
    const { raw } = this
    if (!raw.writable) return 0
    this.writtenBytes += bytes.length
    if (raw.write(bytes)) return 0
    if (!this.awaitsDrain) {
      this.awaitsDrain = true
      raw.once("drain", () => {
        this.awaitsDrain = false
        this.handlers?.onTaken()
        this.handlers?.onDrain()
      })
    }
    return raw.writableLength
  }

  ping(): void {
    const taken = this.writtenBytes - this.unsentBytes()
    if (taken > this.taken) this.handlers?.onTaken()
    this.taken = taken
    this.write(this.form.ping)
  }

  unsentBytes(): number {
    return this.raw.writableLength
  }

  end(code: number, reason: string): void {
    if (!this.raw.writable) return
    this.closedWith(code, reason)
    // Not only our half: a client that keeps its own half open would keep its place.
    this.raw.destroySoon()
  }

  terminate(): void {
    this.raw.destroy()
  }
}

/** Whether an answer is the next on its socket. That to a request pipelined behind another one is not: it must be waited for, which a stream cannot. */
export const isNext = (response: ServerResponse): boolean => response.socket !== null

/** Answers with an event stream, and hands its socket over. May throw what the handlers throw. */
export const accept = <A extends Accepted>(
  response: ServerResponse,
  headers: Readonly<Record<string, string | Array<string>>>,
  accepted: A,
  handlers: Pick<TransportHandlers<A>, "accept">
): void => {
  const { socket } = response
  if (socket === null || socket.destroyed) {
    accepted.permit.release()
    return
  }
  HttpPipeline.neverEnds(response)
  response.useChunkedEncodingByDefault = false
  response.shouldKeepAlive = false
  const stream = new StreamSocket(socket, accepted)
  // The head and the welcome share one write.
  socket.cork()
  try {
    response.writeHead(200, headers)
    response.flushHeaders()
    // The answer stays the current one of its socket, so that Node holds back those to requests that were pipelined behind it. To all who ask, it is written.
    response.finished = true
    stream.attach(handlers.accept(stream, accepted))
  } finally {
    socket.uncork()
  }
}
