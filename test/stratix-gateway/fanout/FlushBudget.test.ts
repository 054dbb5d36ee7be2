import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { StatusSync, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../src/stratix-gateway/internals.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as Form from "../../../src/stratix-gateway/transport/Form.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { nextTurn } from "../../support/waiting.js"

const KIB = 1024

/** A socket that takes everything at once, and keeps what it was given. */
const makeSocket = () => {
  const written: Array<Uint8Array> = []
  return {
    written,
    text: () => Buffer.concat(written).toString(),
    remoteAddress: "192.0.2.1",
    form: Form.stream,
    writes: () => written.length,
    write: (bytes: Uint8Array) => {
      written.push(bytes)
      return 0
    },
    ping: () => undefined,
    unsentBytes: () => 0,
    end: () => undefined,
    terminate: () => undefined
  }
}

const over =
  (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  <A, E>(effect: Effect.Effect<A, E, StatusSyncTest.Services>) =>
    effect.pipe(Effect.provide(StatusSyncTest.layerWith(settings)), Effect.provide(Logger.remove(Logger.defaultLogger)))

/** Readers at the head, and what of the next publication they were given by the flush itself and by then. */
const readers = (filters: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const broadcast = yield* Broadcast.Broadcast
    const sync = yield* StatusSync.StatusSync
    const sockets = filters.map((name) => {
      const socket = makeSocket()
      broadcast.subscribe({
        socket,
        sync: false,
        filter: Filter.fromFields({ agents: ["all", name] }),
        start: Broadcast.atHead
      })
      return socket
    })
    const given = () => sockets.filter(({ written }) => written.length > 0)
    return {
      given,
      sockets,
      publish: (...sizes: ReadonlyArray<number>) =>
        Effect.gen(function* () {
          yield* sync.broadcastAllUnknown(
            sizes.map((size, n) => ({
              eventType: "stratix:note",
              payload: { agentId: "all", n, pad: "x".repeat(size) }
            }))
          )
          broadcast.flushNow()
          return given().length
        }),
      caughtUp: broadcast.caughtUp,
      /** The events of a reader, in the order they came. */
      numbers: ({ text }: ReturnType<typeof makeSocket>) => [...text().matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n))
    }
  })

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe("a flush", () => {
  it.effect("makes 1 MiB at the most: a group's larger publication comes in steps, whole and in order", () =>
    Effect.gen(function* () {
      const { caughtUp, numbers, publish, sockets } = yield* readers(["same", "same"])
      assert.strictEqual(yield* publish(...upTo(6).map(() => 200 * KIB)), 0)
      yield* caughtUp
      for (const socket of sockets) {
        assert.deepStrictEqual(numbers(socket), upTo(6))
        assert.isAtLeast(socket.written.length, 6)
        // A step is made once for all who are at the same place.
        assert.strictEqual(socket.written[0], sockets[0]?.written[0])
      }
    }).pipe(over())
  )

  it.effect("serves other groups beside one that publishes too much", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const { caughtUp, given, numbers, sockets } = yield* readers(["own-0", "own-1"])
      const broadcast = yield* Broadcast.Broadcast
      const note = (agentId: string, n: number, size: number) => ({
        eventType: "stratix:note",
        payload: { agentId, n, pad: "x".repeat(size) }
      })
      yield* sync.broadcastAllUnknown([...upTo(6).map((n) => note("own-0", n, 200 * KIB)), note("own-1", 0, 10)])
      broadcast.flushNow()
      assert.deepStrictEqual(given(), [sockets[1]])
      yield* caughtUp
      assert.deepStrictEqual(sockets.map(numbers), [upTo(6), [0]])
    }).pipe(over())
  )

  it.effect("serves some 500 different filters; the others follow in the next turns", () =>
    Effect.gen(function* () {
      const { caughtUp, numbers, publish, sockets } = yield* readers(upTo(1200).map((n) => `own-${n}`))
      const served = yield* publish(10)
      assert.isAbove(served, 400)
      assert.isBelow(served, 512)
      yield* caughtUp
      for (const socket of sockets) assert.deepStrictEqual(numbers(socket), [0])
    }).pipe(over())
  )

  it.effect("writes 16 MiB of large events at the most; the others follow in the next turns", () =>
    Effect.gen(function* () {
      const { caughtUp, given, numbers, publish, sockets } = yield* readers(upTo(100).map(() => "same"))
      const served = yield* publish(250 * KIB)
      // The write that goes beyond is the last.
      assert.strictEqual(served, Math.floor((16 * KIB) / 250) + 1)
      yield* nextTurn
      assert.isBelow(given().length, sockets.length)
      yield* caughtUp
      for (const socket of sockets) assert.deepStrictEqual(numbers(socket), [0])
    }).pipe(over())
  )
})
