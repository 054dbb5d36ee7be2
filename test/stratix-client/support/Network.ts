/** A network between a client and a gateway, which can be cut, or stand still without a word. */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Network {
  readonly port: number
  /** Every connection ends at once, on both sides, without a close frame. */
  readonly cut: Effect.Effect<void>
  /** Nothing comes through any more, and nobody is told. */
  readonly freeze: Effect.Effect<void>
  /** What was sent meanwhile comes through. */
  readonly thaw: Effect.Effect<void>
  /** Bytes that came from the gateway. */
  readonly received: Effect.Effect<number>
}

/** A network to a port of this machine. */
export const make = (to: number): Effect.Effect<Network, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Net.Socket>()
    let frozen = false
    let received = 0

    const link = (from: Net.Socket, into: Net.Socket, passed: (bytes: number) => void) => {
      sockets.add(from)
      from.on("data", (chunk) => {
        passed(chunk.length)
        into.write(chunk)
      })
      from.on("end", () => into.end())
      from.on("error", () => into.destroy())
      from.on("close", () => sockets.delete(from))
      if (frozen) from.pause()
    }
    const server = yield* Effect.acquireRelease(
      Effect.async<Net.Server>((resume) => {
        const made = Net.createServer({ noDelay: true }, (near) => {
          const far = Net.connect({ port: to, host: "127.0.0.1", noDelay: true })
          link(near, far, () => undefined)
          link(far, near, (bytes) => {
            received += bytes
          })
        })
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.sync(() => {
          made.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    return {
      port: typeof address === "object" && address !== null ? address.port : 0,
      cut: Effect.sync(() => {
        for (const socket of sockets) socket.resetAndDestroy()
      }),
      freeze: Effect.sync(() => {
        frozen = true
        for (const socket of sockets) socket.pause()
      }),
      thaw: Effect.sync(() => {
        frozen = false
        for (const socket of sockets) socket.resume()
      }),
      received: Effect.sync(() => received)
    }
  })
