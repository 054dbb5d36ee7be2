/** The body of a request: read up to a limit, or read and dropped. */
import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as EventLoop from "../../runtime/EventLoop.js"

/** What arrives in pieces below this is copied together: a body that comes byte by byte would else be an object for each. */
const SMALL = 4096

/** Bytes up to which a body is joined in one go: as long as Node reads it in one. */
const WHOLE = 64 * 1024

/** The chunks of a body, as they came. */
class Chunks {
  size = 0
  private all: Array<Buffer> = []
  private small = Buffer.alloc(0)
  private smallSize = 0

  add(chunk: Buffer): void {
    this.size += chunk.length
    if (chunk.length < SMALL) this.addSmall(chunk)
    else {
      this.endSmall()
      this.all.push(chunk)
    }
  }

  /** In one buffer, which is filled in steps: between two of them the gateway serves others. */
  readonly joined: Effect.Effect<Buffer> = Effect.suspend(() => {
    this.endSmall()
    const chunks = this.all
    this.all = []
    if (this.size <= WHOLE) return Effect.succeed(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    const body = Buffer.allocUnsafe(this.size)
    let at = 0
    return Effect.as(
      Effect.forEach(chunks, (chunk) => {
        at += chunk.copy(body, at)
        return EventLoop.step
      }),
      body
    )
  })

  private addSmall(chunk: Buffer): void {
    if (this.small.length - this.smallSize < chunk.length) {
      this.endSmall()
      this.small = Buffer.allocUnsafe(SMALL)
    }
    this.smallSize += chunk.copy(this.small, this.smallSize)
  }

  private endSmall(): void {
    if (this.smallSize > 0) this.all.push(this.small.subarray(0, this.smallSize))
    this.small = this.small.subarray(this.smallSize)
    this.smallSize = 0
  }
}

/** The body; fails if it is larger than this. The platform's own reader destroys the socket of a body that is too large, and the 413 with it; what this one leaves unread is dropped by node, or by `discarded`. */
export const bytes = (source: IncomingMessage, maxBytes: number): Effect.Effect<Buffer, void> =>
  Effect.async<Chunks, void>((resume) => {
    const chunks = new Chunks()
    const stop = () => {
      source.off("data", onData).off("end", onEnd).off("close", onEnd)
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(chunks))
    }
    const onData = (chunk: Buffer) => {
      if (chunks.size + chunk.length <= maxBytes) {
        chunks.add(chunk)
        return
      }
      stop()
      resume(Effect.fail(undefined))
    }
    source.on("data", onData).on("end", onEnd).on("close", onEnd)
    return Effect.sync(stop)
  }).pipe(Effect.flatMap((chunks) => chunks.joined))

/** Time to wait for more of a body that is dropped: longer than most round trips. */
const LINGER = "1 second"

/**
 * Reads and drops what is left of a body, if the connection is closed with the answer: a socket that is closed with unread bytes is reset, and
 * its peer may never see why it was refused. A client that sends nothing for a second gets its answer then. Node bounds the whole by
 * `requestTimeout`, and drops the body itself if the connection is kept.
 */
export const discarded = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<void> =>
  Effect.suspend(() => {
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const isOver = () => source.complete || source.destroyed
    if (isOver() || NodeHttpServerRequest.toServerResponse(request).shouldKeepAlive) return Effect.void
    const more = Effect.async<boolean>((resume) => {
      // Its end may have come between two pieces.
      if (isOver()) {
        resume(Effect.succeed(false))
        return
      }
      const onMore = () => {
        stop()
        resume(Effect.succeed(true))
      }
      const stop = () => source.off("data", onMore).off("end", onMore).off("close", onMore)
      source.on("data", onMore).on("end", onMore).on("close", onMore)
      return Effect.sync(stop)
    })
    return Effect.interruptible(more).pipe(
      Effect.timeoutTo({ duration: LINGER, onSuccess: (goesOn) => goesOn, onTimeout: () => false }),
      Effect.repeat({ while: (goesOn) => goesOn }),
      Effect.asVoid
    )
  })
