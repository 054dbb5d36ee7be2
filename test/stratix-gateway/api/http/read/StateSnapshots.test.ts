import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as StateSnapshots from "../../../../../src/stratix-gateway/api/http/read/StateSnapshots.js"
import { EventLog, StatusSync, type StatusSyncConfig } from "../../../../../src/stratix-gateway/index.js"
import * as Filter from "../../../../../src/stratix-gateway/log/Filter.js"
import { until } from "../../../../support/waiting.js"
import { port, refusals, request } from "../../../support/gateway.js"
import { overWs } from "../../../support/gateways.js"

const state = request("GET", "/api/stratix/state")

const isState = (
  body: unknown
): body is { readonly head: string; readonly events: ReadonlyArray<{ offset: string }> } =>
  typeof body === "object" && body !== null && "head" in body && "events" in body && Array.isArray(body.events)

/** Commands with this many bytes of result each. */
const publish = (count: number, size: number) =>
  Effect.gen(function* () {
    const { notifyCommandStatus } = yield* StatusSync.StatusSync
    const result = "x".repeat(size)
    for (let n = 0; n < count; n++) yield* notifyCommandStatus(`c${n}`, "a", "running", n % 100, result)
  })

const settings: Partial<StatusSyncConfig.Settings> = { latestBytes: 50 * 1024 * 1024 }

describe("GET /api/stratix/state", () => {
  it.live("is made once for those who wait for it, though the log goes on meanwhile", () =>
    Effect.gen(function* () {
      yield* publish(3, 10)
      const log = yield* EventLog.EventLog
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      let made = 0
      const counting = EventLog.EventLog.of({
        ...log,
        latest: (filter) =>
          Effect.suspend(() => {
            made++
            return Effect.zipRight(Effect.yieldNow(), log.latest(filter))
          })
      })
      const read = yield* Effect.provideService(StateSnapshots.make, EventLog.EventLog, counting)
      const one = Effect.gen(function* () {
        const { body, head } = yield* read(Filter.all, new Net.Socket(), false)
        // Once it is asked for by all.
        yield* notifyAgentStatus("a", "busy")
        return { head, text: yield* Stream.mkString(Stream.decodeText(body)) }
      }).pipe(Effect.scoped)
      const states = yield* Effect.all([one, one, one], { concurrency: "unbounded" })
      assert.strictEqual(made, 1)
      for (const state of states) assert.deepStrictEqual(state, states[0])
      const later = yield* one
      assert.notStrictEqual(later.head, states[0]?.head)
      assert.strictEqual(made, 2)
    }).pipe(Effect.provide(overWs()))
  )

  it.live("is whole and in order, however many pieces it is made in, for all who read it at once", () =>
    Effect.gen(function* () {
      yield* publish(300, 10_000)
      const log = yield* EventLog.EventLog
      const { entries, head } = yield* log.latest()
      const answers = yield* Effect.all([state, state, state, state], { concurrency: "unbounded" })
      for (const { body, headers, status } of answers) {
        assert.strictEqual(status, 200)
        assert.strictEqual(headers["content-type"], "application/json")
        assert.isTrue(isState(body))
        if (!isState(body)) continue
        assert.strictEqual(body.head, head)
        assert.deepStrictEqual(
          body.events.map(({ offset }) => offset),
          entries.map(({ offset }) => offset)
        )
      }
    }).pipe(Effect.provide(overWs()))
  )

  it.live("that is not read is cut off where others wait for room, and they get theirs", () =>
    Effect.gen(function* () {
      const to = yield* port
      // Twice as much as there is room for, and more than the kernels keep for a socket.
      yield* publish(150, 200_000)
      const before = yield* refusals("timeout")
      let cut = false
      const unread = Net.connect(to, "127.0.0.1", () =>
        unread.write("GET /api/stratix/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
      )
      unread.pause()
      unread.on("error", () => undefined)
      unread.on("close", () => {
        cut = true
      })
      yield* Effect.async<void>((resume) => void unread.once("readable", () => resume(Effect.void)))
      yield* publish(1, 100)
      const { body } = yield* state
      assert.isTrue(isState(body) && body.events.length === 150)
      assert.strictEqual(yield* refusals("timeout"), before + 1)
      unread.resume()
      yield* until(() => cut)
    }).pipe(Effect.provide(overWs(settings)))
  )

  it.live("cuts off no more of those who do not read than it must, and first who has waited longest", () =>
    Effect.gen(function* () {
      // Room for two of them.
      yield* publish(100, 200_000)
      const read = yield* StateSnapshots.make
      const reader = Effect.gen(function* () {
        const socket = new Net.Socket()
        yield* read(Filter.all, socket, false)
        yield* publish(1, 100)
        return socket
      })
      const before = yield* refusals("timeout")
      const sockets = [yield* reader, yield* reader, yield* reader, yield* reader]
      assert.deepStrictEqual(
        sockets.map(({ destroyed }) => destroyed),
        [true, true, false, false]
      )
      assert.strictEqual(yield* refusals("timeout"), before + 2)
    }).pipe(Effect.scoped, Effect.provide(overWs(settings)))
  )
})
