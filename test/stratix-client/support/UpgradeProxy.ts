/** A proxy in front of a gateway, which refuses WebSockets until it is told to pass them. */
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface UpgradeProxy {
  readonly port: number
  /** What was asked for: methods and paths; those of upgrades begin with `UPGRADE`. */
  readonly asked: ReadonlyArray<string>
  /** Every connection ends at once. */
  readonly cut: Effect.Effect<void>
  /** WebSockets get through from now on. */
  readonly pass: Effect.Effect<void>
}

export const make = (to: number): Effect.Effect<UpgradeProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const sockets = new Set<Net.Socket>()
    let passes = false
    const server = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const made = Http.createServer((request, response) => {
          asked.push(`${request.method} ${request.url}`)
          const { headers, method, url: path } = request
          const onward = Http.request(
            { port: to, host: "127.0.0.1", method, path, headers, agent: false },
            (answer) => {
              response.writeHead(answer.statusCode ?? 502, answer.headers)
              response.flushHeaders()
              answer.on("error", () => response.destroy()).pipe(response)
            }
          )
          onward.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()))
          response.on("close", () => onward.destroy())
          request.pipe(onward)
        })
        made.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("error", () => undefined)
          socket.on("close", () => sockets.delete(socket))
        })
        made.on("upgrade", (request, near, head) => {
          asked.push(`UPGRADE ${request.url}`)
          if (!passes) {
            near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
          }
          const far = Net.connect(to, "127.0.0.1")
          const lines = request.rawHeaders.flatMap((value, i, all) => (i % 2 ? [`${all[i - 1]}: ${value}`] : []))
          far.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`)
          far.write(head)
          near.on("close", () => far.destroy())
          far.on("error", () => near.destroy())
          far.pipe(near).pipe(far)
        })
        await once(made.listen(0, "127.0.0.1"), "listening")
        return made
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
      asked,
      cut: Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
      }),
      pass: Effect.sync(() => {
        passes = true
      })
    }
  })
