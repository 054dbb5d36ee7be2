/** The body of a request: read up to a limit, or read and dropped. */
import type { IncomingMessage } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"

/** Most bodies are one status, and smaller. */
const FIRST_BYTES = 4096

/** The body; fails if it is larger than this. The platform's own reader destroys the socket of a body that is too large, and the 413 with it; what this one leaves unread is dropped by node, or by `discarded`. */
export const bytes = (source: IncomingMessage, maxBytes: number): Effect.Effect<Buffer, void> =>
  Effect.async((resume) => {
    // One buffer that grows, and never above the limit: a body that comes byte by byte would else be an object for each.
    let buffer = Buffer.allocUnsafe(Math.min(FIRST_BYTES, maxBytes))
    let size = 0
    const stop = () => {
      source.off("data", onData).off("end", onEnd).off("close", onEnd)
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(buffer.subarray(0, size)))
    }
    const onData = (chunk: Buffer) => {
      if (size + chunk.length <= maxBytes) {
        if (size + chunk.length > buffer.length) {
          const grown = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(2 * buffer.length, size + chunk.length)))
          buffer.copy(grown, 0, 0, size)
          buffer = grown
        }
        chunk.copy(buffer, size)
        size += chunk.length
        return
      }
      stop()
      resume(Effect.fail(undefined))
    }
    source.on("data", onData).on("end", onEnd).on("close", onEnd)
    return Effect.sync(stop)
  })

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
