import * as Net from "node:net"
import { Effect } from "effect"

/** A GET, or the upgrade to a WebSocket, as it stands on the wire. */
export const requestText = (path: string, headers: Readonly<Record<string, string>> = {}): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`

export const UPGRADE = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
} as const

/** A masked text frame, short enough for one byte of length. */
export const textFrame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

/** A socket that has written these bytes, and does not end because its peer does; destroyed with the scope. */
export const connected = (port: number, bytes: string | Uint8Array = "") =>
  Effect.acquireRelease(
    Effect.async<Net.Socket>((resume) => {
      const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => {
        if (bytes.length > 0) socket.write(bytes)
        resume(Effect.succeed(socket))
      })
      socket.on("error", () => undefined)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** What comes until it matches, or until its peer has ended the socket. */
export const read = (socket: Net.Socket, until?: RegExp): Effect.Effect<string> =>
  Effect.async((resume) => {
    let all = ""
    const done = () => {
      socket.off("data", onData).off("end", done).off("close", done)
      resume(Effect.succeed(all))
    }
    const onData = (chunk: Buffer) => {
      all += chunk.toString("latin1")
      if (until?.test(all)) done()
    }
    socket.on("data", onData).on("end", done).on("close", done)
    if (socket.closed) done()
  })

/** The end of a socket, or of what its peer sends. */
export const ended = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (socket.readableEnded || socket.closed) resume(Effect.void)
    else
      socket
        .resume()
        .once("end", () => resume(Effect.void))
        .once("close", () => resume(Effect.void))
  })
