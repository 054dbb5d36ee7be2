/**
 * One HTTP request at a time on each socket: what a client pipelines waits until the answer before it is written.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import * as TurnQueue from "../runtime/TurnQueue.js"
import * as Refusals from "../telemetry/Refusals.js"

/** Requests of one socket that wait. Node parses a whole packet before it can be stopped, and a packet holds some 1,500 of the smallest; clients that pipeline on purpose send a handful. */
const MAX_WAITING = 16

/** Chunks of a body of which the first so many may be of any size; then a chunk has so many bytes on average. Each costs the gateway some µs, whatever is in it, and no program writes bodies byte by byte. */
const SMALL_CHUNKS = 1000
const CHUNK_BYTES = 16

type Listener = (request: IncomingMessage, response: ServerResponse) => void

type Waiting = readonly [IncomingMessage, ServerResponse]

const ignore = () => undefined

/** Answers that go on until their client leaves. */
const endless = new WeakSet<ServerResponse>()

/** An answer that goes on until its client leaves need not be read within `responseTimeout`. */
export const neverEnds = (response: ServerResponse): void => {
  endless.add(response)
}

/** Ends a request that will not be served. Node would do it when the socket closes, with an error each, whose trace costs more than the request. */
const drop = (request: IncomingMessage): void => {
  request.destroy()
}

/** The requests of one socket. */
class Pipeline {
  private readonly waiting: Array<Waiting> = []
  private busy = false
  private slowed = false
  private readonly timeout: TimeoutQueues.Timeout<Pipeline>
  /** The answer under way. */
  current: ServerResponse | undefined = undefined

  constructor(
    readonly socket: Duplex,
    private readonly listener: Listener,
    private readonly timeouts: TimeoutQueues.TimeoutQueue<Pipeline>,
    private readonly onTooMany: (socket: Duplex) => void,
    private readonly onSmallChunks: (socket: Duplex) => void
  ) {
    this.timeout = new TimeoutQueues.Timeout<Pipeline>(this)
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    if (this.socket.destroyed) {
      drop(request)
      return
    }
    if (request.headers["transfer-encoding"] !== undefined) this.weigh(request)
    if (!this.busy) {
      this.run(request, response)
      return
    }
    if (this.waiting.length >= MAX_WAITING) {
      this.onTooMany(this.socket)
      for (const [unserved] of this.waiting.splice(0)) drop(unserved)
      drop(request)
      return
    }
    this.waiting.push([request, response])
    // Node's parser reads the socket by itself, and so cannot be paused, until another listener is attached.
    if (!this.slowed) this.socket.on("data", ignore)
    this.slowed = true
    this.socket.pause()
  }

  /** Ends the socket if its body comes in chunks that are too small. Node pushes each into the request, read or not. */
  private weigh(request: IncomingMessage): void {
    const { push } = request
    let chunks = 0
    let bytes = 0
    request.push = (chunk: Buffer | null, encoding) => {
      if (chunk !== null && ++chunks > SMALL_CHUNKS) {
        bytes += chunk.length
        if (bytes < (chunks - SMALL_CHUNKS) * CHUNK_BYTES) {
          if (!this.socket.destroyed) this.onSmallChunks(this.socket)
          return false
        }
      }
      return Reflect.apply(push, request, [chunk, encoding])
    }
  }

  private run(request: IncomingMessage, response: ServerResponse): void {
    this.busy = true
    this.current = response
    this.timeouts.start(this.timeout)
    // From its last byte on; the `end` of an unread body comes with the end of the answer.
    request.once("end", () => {
      if (!response.closed) this.timeouts.start(this.timeout)
    })
    response.once("close", () => {
      this.timeouts.stop(this.timeout)
      this.busy = false
      this.current = undefined
      const next = this.waiting.shift()
      if (this.socket.destroyed) this.waiting.length = 0
      else if (next !== undefined) this.run(...next)
      if (this.slowed && this.waiting.length === 0) {
        this.slowed = false
        this.socket.off("data", ignore)
        this.socket.resume()
      }
    })
    this.listener(request, response)
  }
}

/** A `request` listener that gives the requests of a socket to another one after the other, those of all sockets in steps of a few milliseconds, and ends a socket that does not read its answer within `responseTimeout`. */
export const make = (
  listener: Listener
): Effect.Effect<Listener, never, StatusSyncConfig.StatusSyncConfig | Refusals.Refusals | Scope.Scope> =>
  Effect.gen(function* () {
    const { responseTimeout } = yield* StatusSyncConfig.StatusSyncConfig
    const { recordRefusal } = yield* Refusals.Refusals
    const deadlines = yield* TimeoutQueues.make
    const timeouts = deadlines.queue(responseTimeout, ({ current, socket }: Pipeline) => {
      if (current !== undefined && endless.has(current)) return
      recordRefusal("timeout", "the answer was not read in time")
      socket.destroy()
    })
    const onTooMany = (socket: Duplex) => {
      recordRefusal("pipelined", `more than ${MAX_WAITING} requests that wait for the answer before them`)
      socket.destroy()
    }
    const onSmallChunks = (socket: Duplex) => {
      recordRefusal("fragments", `a body in chunks of less than ${CHUNK_BYTES} bytes on average`)
      socket.destroy()
    }
    // One request of each socket.
    const queue = yield* TurnQueue.make(([request, response]: Waiting) => {
      if (!request.socket.destroyed) listener(request, response)
    })
    const begin: Listener = (request, response) => queue([request, response])
    const pipelines = new WeakMap<Duplex, Pipeline>()
    return (request, response) => {
      const { socket } = request
      let pipeline = pipelines.get(socket)
      if (pipeline === undefined) {
        pipeline = new Pipeline(socket, begin, timeouts, onTooMany, onSmallChunks)
        pipelines.set(socket, pipeline)
      }
      pipeline.add(request, response)
    }
  })
