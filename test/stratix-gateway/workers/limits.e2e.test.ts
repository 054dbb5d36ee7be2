import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import * as Workers from "./gateway.js"

/** The limits are measured on the clock of the machine, which other programs may stop: then less is published than might be. */
const PAUSE = 500

/** The status of the answer to an upgrade: 101 for one that is let in. */
const upgrade = (port: number, headers: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => new WebSocket(`ws://127.0.0.1:${port}/`, { headers })),
    (socket) => Effect.sync(() => socket.terminate())
  ).pipe(
    Effect.flatMap((socket) => {
      socket.on("error", () => undefined)
      return Effect.promise(() =>
        Promise.race([
          once(socket, "open").then(() => 101),
          once(socket, "unexpected-response").then(([, answer]) => answer.statusCode)
        ])
      )
    })
  )

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

/** How often each comes. */
const countsOf = (statuses: ReadonlyArray<number | undefined>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const status of statuses) counts[String(status)] = (counts[String(status)] ?? 0) + 1
  return counts
}

describe("limits of a gateway with workers are those of one gateway", () => {
  it.scopedLive(
    "connections of an address, and those of all addresses",
    () =>
      Effect.gen(function* () {
        const { port } = yield* Workers.start({
          STRATIX_WORKERS: "3",
          STRATIX_MAX_CONNECTIONS: "12",
          STRATIX_MAX_CONNECTIONS_PER_ADDRESS: "5",
          STRATIX_TRUSTED_PROXIES: "127.0.0.1",
          STRATIX_ALLOW_ANONYMOUS: "true"
        })
        const from = (address: string, count: number) =>
          Effect.map(
            Effect.forEach(upTo(count), () => upgrade(port, { "x-forwarded-for": address }), {
              concurrency: "unbounded"
            }),
            countsOf
          )
        assert.deepStrictEqual(yield* from("192.0.2.1", 9), { 101: 5, 429: 4 })
        assert.deepStrictEqual(yield* from("192.0.2.2", 9), { 101: 5, 429: 4 })
        // 2 of 12 are left.
        assert.deepStrictEqual(yield* from("192.0.2.3", 5), { 101: 2, 503: 3 })
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "handshakes a second",
    () =>
      Effect.gen(function* () {
        const RATE = 2
        const { port } = yield* Workers.start({ STRATIX_HANDSHAKE_RATE: String(RATE) })
        const began = performance.now()
        const statuses = yield* Effect.forEach(upTo(30), () => upgrade(port), { concurrency: "unbounded" })
        const seconds = (performance.now() - began) / 1000
        const { 101: admitted = 0, 503: refused = 0 } = countsOf(statuses)
        assert.strictEqual(admitted + refused, 30)
        // Five seconds of them at once.
        assert.isAtLeast(admitted, 5 * RATE)
        assert.isAtMost(admitted, Math.ceil((5 + seconds) * RATE))
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "events that a publisher publishes a second, with an error of 5 % at the most",
    () =>
      Effect.gen(function* () {
        const RATE = 100
        const SECONDS = 6
        // Few requests, so that the limit is reached on a machine that does much else.
        const batch = JSON.stringify(upTo(10).map(Workers.note))
        const { port } = yield* Workers.start({ STRATIX_WORKERS: "4", STRATIX_PUBLISH_RATE: String(RATE) })
        const began = performance.now()
        let accepted = 0
        let firstAt = Number.POSITIVE_INFINITY
        let sentAt = began
        let lastAt = began
        let stood = 0
        const publish = Effect.promise(async () => {
          const sent = performance.now()
          const { status } = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
            method: "POST",
            // Of its own, so that all workers are asked.
            headers: { "content-type": "application/json", connection: "close" },
            body: batch
          })
          assert.include([202, 429], status)
          const at = performance.now()
          if (at - lastAt > PAUSE) stood += at - lastAt
          lastAt = at
          firstAt = Math.min(firstAt, at)
          sentAt = Math.max(sentAt, sent)
          if (status === 202) accepted += 10
          return status
        })
        const publisher = Effect.repeat(publish, {
          until: (status) => status === 429 && performance.now() - began > SECONDS * 1000
        })
        yield* Effect.forEach(upTo(4), () => publisher, { concurrency: "unbounded" })
        // Two seconds of them at once. The gateway's time began before its first answer, and its last one is of after it was asked.
        const most = (2 + (lastAt - began) / 1000) * RATE
        const least = (2 + (sentAt - firstAt - stood) / 1000) * RATE
        assert.isAtMost(accepted, most * 1.05)
        assert.isAtLeast(accepted, least * 0.95)
      }),
    Workers.PATIENCE
  )
})
