import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventLog, StatusSync, type StatusSyncConfig } from "../../../../../src/stratix-gateway/index.js"
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
})
