import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import WebSocket from "ws"
import { NodeServer, StatusSync } from "../../../src/stratix-gateway/index.js"
import * as Frame from "../../../src/stratix-gateway/transport/Frame.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"

/** Our frames as the client of `ws` reads them: served raw after a handshake of its own. */
const readBack = (frames: ReadonlyArray<Buffer>, count: number, offer: boolean | object) =>
  Effect.gen(function* () {
    const server = yield* NodeServer.NodeServer
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return yield* Effect.async<ReadonlyArray<string>>((resume) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: offer })
      const got: Array<string> = []
      server.once("upgrade", (_request, raw) => {
        // After the welcome, so that the handshake is complete.
        socket.once("message", () => {
          for (const frame of frames) raw.write(frame)
        })
      })
      socket.on("message", (data: Buffer) => {
        got.push(data.toString())
        if (got.length === count + 1) {
          socket.terminate()
          resume(Effect.succeed(got.slice(1)))
        }
      })
    })
  })

describe("frames", () => {
  it.live("of any length are read by `ws` as they were written", () =>
    Effect.gen(function* () {
      const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]
      const texts = lengths.map((length) => "é".repeat(length / 2) + "x".repeat(length % 2))
      assert.deepStrictEqual(yield* readBack([Frame.texts(texts)], texts.length, false), texts)
    }).pipe(Effect.provide(StatusSyncTest.layerWs()))
  )

  it.effect.prop(
    "hold the very text",
    [fc.array(fc.string({ unit: "grapheme", maxLength: 300 }), { maxLength: 5 })],
    ([texts]) =>
      Effect.sync(() => {
        const total = texts.reduce((sum, text) => sum + Frame.text(text).length, 0)
        assert.strictEqual(Frame.texts(texts).length, total)
        assert.isTrue(Buffer.concat(texts.map(Frame.text)).equals(Frame.texts(texts)))
      })
  )
})

/** The texts of the events in a message: many, where it is one of sync mode. */
const eventsIn = (text: string): ReadonlyArray<string> => {
  const { payload } = JSON.parse(text)
  return Array.isArray(payload.events) ? payload.events.map((event: unknown) => JSON.stringify(event)) : [text]
}

describe("compression", () => {
  const events = Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    for (let i = 0; i < 5; i++)
      yield* sync.broadcastUnknown({ eventType: "stratix:x", payload: { i, pad: "pad ".repeat(i * 400) } })
  })

  const receive = (offer: boolean | object, protocols: Array<string> = []) =>
    Effect.gen(function* () {
      const server = yield* NodeServer.NodeServer
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      let received = () => 0
      const [socket, texts] = yield* Effect.async<readonly [WebSocket, Promise<ReadonlyArray<string>>]>((resume) => {
        const client = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, { perMessageDeflate: offer })
        client.on("upgrade", ({ socket }) => {
          received = () => socket.bytesRead
        })
        const got: Array<string> = []
        const all = new Promise<ReadonlyArray<string>>((done) => {
          client.on("message", (data: Buffer) => {
            const text = data.toString()
            if (text.includes("stratix:x")) got.push(...eventsIn(text))
            if (got.length === 5) done(got)
            if (text.includes("stratix:connected")) resume(Effect.succeed([client, all]))
          })
        })
      })
      return { socket, texts: Effect.promise(() => texts), bytes: () => received() }
    })

  it.live("is read by those who agreed, whatever their mode; the others get plain frames with the same text", () =>
    Effect.gen(function* () {
      const plain = yield* receive(false)
      const deflate = yield* receive(true)
      const small = yield* receive({ serverMaxWindowBits: 10 })
      const sync = yield* receive(true, ["stratix.sync.v1"])
      assert.deepStrictEqual(
        [plain, deflate, small, sync].map(({ socket }) => socket.extensions),
        ["", "permessage-deflate", "", "permessage-deflate"]
      )
      yield* events
      const expected = yield* plain.texts
      assert.deepStrictEqual(yield* deflate.texts, expected)
      assert.deepStrictEqual(yield* small.texts, expected)
      assert.deepStrictEqual(
        (yield* sync.texts).map((text) => text.replace(/,"offset":"[^"]+"\}$/, "}")),
        expected
      )
      assert.isBelow(deflate.bytes(), plain.bytes() / 10)
      for (const { socket } of [plain, deflate, small, sync]) socket.terminate()
    }).pipe(Effect.provide(StatusSyncTest.layerWs({ compression: true, compressionThreshold: 100 })))
  )

  it.live("is not offered unless it is switched on", () =>
    Effect.gen(function* () {
      const client = yield* receive(true)
      assert.strictEqual(client.socket.extensions, "")
      client.socket.terminate()
    }).pipe(Effect.provide(StatusSyncTest.layerWs()))
  )

  it.effect("leaves alone what is small or would not shrink", () =>
    Effect.sync(() => {
      assert.isTrue(Frame.compressedText("abc", 10).equals(Frame.text("abc")))
      assert.isTrue(Frame.compressedText("a1b2c3d4", 1).equals(Frame.text("a1b2c3d4")))
      assert.strictEqual((Frame.compressedText("ab".repeat(100), 1)[0] ?? 0) & 0x40, 0x40)
    })
  )
})
