/** Plain mode, read by WebSockets that know nothing of this package. */
import { createHash, randomBytes } from "node:crypto"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Undici from "undici"
import Ws from "ws"
import * as Types from "../../src/stratix-core/event-types.js"
import { StatusSync } from "../../src/stratix-gateway/api/websocket/StatusSync.js"
import * as StatusSyncTest from "../../src/stratix-testing/StatusSyncTest.js"
import { port } from "../stratix-gateway/support/gateway.js"

/** Opens a WebSocket; the queue gets the text of every message. */
type Open = (url: string) => Effect.Effect<Queue.Dequeue<string>, never, Scope.Scope>

const withWs: Open = (url) =>
  Effect.gen(function* () {
    const texts = yield* Queue.unbounded<string>()
    yield* Effect.acquireRelease(
      Effect.sync(() => new Ws(url).on("message", (data) => texts.unsafeOffer(String(data)))),
      (socket) => Effect.sync(() => socket.close())
    )
    return texts
  })

interface Standard {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void
  close(): void
}

/** The WebSocket of the WHATWG standard, as browsers have it. */
const withStandard =
  (WebSocket: new (url: string) => Standard): Open =>
  (url) =>
    Effect.gen(function* () {
      const texts = yield* Queue.unbounded<string>()
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const socket = new WebSocket(url)
          socket.addEventListener("message", ({ data }) => texts.unsafeOffer(String(data)))
          return socket
        }),
        (socket) => Effect.sync(() => socket.close())
      )
      return texts
    })

/** The texts of the whole frames at the beginning of some bytes, and what is left. What is no text frame in one piece, unmasked and without
 * extensions, is told in words that no message has. */
const textFrames = (bytes: Buffer): { readonly texts: ReadonlyArray<string>; readonly rest: Buffer } => {
  const texts: Array<string> = []
  let at = 0
  while (bytes.length - at >= 2) {
    const [first, short = 0] = bytes.subarray(at, at + 2)
    if (first !== 0x81 || short > 127)
      return { texts: [...texts, `not a text frame: ${first} ${short}`], rest: Buffer.alloc(0) }
    const header = short === 126 ? 4 : short === 127 ? 10 : 2
    if (bytes.length - at < header) break
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    if (bytes.length - at < header + length) break
    texts.push(bytes.toString("utf8", at + header, at + header + length))
    at += header + length
  }
  return { texts, rest: bytes.subarray(at) }
}

/** RFC 6455 by hand, on a bare socket. */
const withTcp: Open = (url) =>
  Effect.gen(function* () {
    const texts = yield* Queue.unbounded<string>()
    const { hostname, pathname, port: to, search } = new URL(url)
    const key = randomBytes(16).toString("base64")
    const accepted = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect(Number(to), hostname)),
      (made) => Effect.sync(() => made.destroy())
    )
    socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`
    )
    const headers = yield* Effect.async<ReadonlyArray<string>, Error>((resume) => {
      let received = Buffer.alloc(0)
      let open = false
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const end = received.indexOf("\r\n\r\n")
        if (!open && end >= 0) {
          open = true
          resume(Effect.succeed(received.toString("latin1", 0, end).split("\r\n")))
          received = received.subarray(end + 4)
        }
        if (!open) return
        const frames = textFrames(received)
        received = Buffer.from(frames.rest)
        for (const text of frames.texts) texts.unsafeOffer(text)
      })
    }).pipe(Effect.orDie)
    assert.strictEqual(headers[0], "HTTP/1.1 101 Switching Protocols")
    const lines = headers.slice(1).map((line) => line.toLowerCase())
    assert.include(lines, `sec-websocket-accept: ${accepted.toLowerCase()}`)
    // Nothing was offered, so nothing may be selected.
    assert.isFalse(lines.some((line) => /^sec-websocket-(protocol|extensions):/.test(line)))
    return texts
  })

const clients: ReadonlyArray<readonly [string, Open]> = [
  ["ws", withWs],
  ["the WebSocket of undici", withStandard(Undici.WebSocket)],
  // From Node 22 on.
  ...(typeof globalThis.WebSocket === "function"
    ? [["the WebSocket of this Node", withStandard(globalThis.WebSocket)] as const]
    : []),
  ["a bare TCP socket", withTcp]
]

const WELCOME =
  /^\{"eventType":"stratix:connected","payload":\{"message":"Connected to Stratix Gateway"\},"timestamp":\d{13},"requestId":"stratix-req-\d{13}(-\d+)?"\}$/

const result = (characters: number) => ({
  eventType: Types.COMMAND_STATUS_UPDATE,
  payload: { commandId: "cmd-001", agentId: "agent-001", commandStatus: "success", result: "x".repeat(characters) }
})

/** Texts of all kinds, and of the three kinds of length that a frame can have. */
const events = [
  { eventType: Types.AGENT_CREATE, payload: { agentId: "agent-001", name: "Ada", type: "writer" } },
  { eventType: "stratix:a", payload: {} },
  {
    eventType: "stratix:note",
    payload: { text: 'Grüße, 世界 \u{1f600} \u2028 "quoted" \\ \n', nothing: null, deep: [[{}]] }
  },
  result(1000),
  result(70_000),
  { eventType: Types.AGENT_STATUS_UPDATE, payload: { agentId: "agent-001", status: "busy" } }
].map((event, i) => ({ ...event, timestamp: 1645521234567 + i, requestId: `r${i}` }))

describe.each(clients)("%s", (_name, open) => {
  it.live("reads every event of plain mode, to the letter", () =>
    Effect.gen(function* () {
      const { broadcastUnknown, broadcastAllUnknown } = yield* StatusSync
      const texts = yield* open(`ws://127.0.0.1:${yield* port}/`)
      assert.match(yield* Queue.take(texts), WELCOME)
      for (const event of events) yield* broadcastUnknown(event)
      yield* broadcastAllUnknown(events)
      const expected = events.map((event) => JSON.stringify(event))
      for (const text of [...expected, ...expected]) assert.strictEqual(yield* Queue.take(texts), text)
    }).pipe(Effect.scoped, Effect.provide(StatusSyncTest.layerWs()))
  )

  it.live("reads a snapshot of what its query asks for, then what happens, to the letter", () =>
    Effect.gen(function* () {
      const { broadcastAllUnknown } = yield* StatusSync
      yield* broadcastAllUnknown(events)
      const query = "snapshot=true&agents=agent-001&events=agent_create,agent_status_update"
      const texts = yield* open(`ws://127.0.0.1:${yield* port}/?${query}`)
      assert.match(yield* Queue.take(texts), WELCOME)
      yield* broadcastAllUnknown(events)
      const expected = [events[0], events[5], events[0], events[5]].map((event) => JSON.stringify(event))
      for (const text of expected) assert.strictEqual(yield* Queue.take(texts), text)
    }).pipe(Effect.scoped, Effect.provide(StatusSyncTest.layerWs()))
  )
})
