import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import WebSocket from "ws"
import { Connections, EventLog, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../../support/waiting.js"
import { bystander } from "../../support/bystander.js"
import { port, quiet } from "../../support/gateway.js"

const ws = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second", ...settings }), quiet)

const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

describe("a message that would break whoever looks into it", () => {
  const messages = [
    `{"type":"subscribe","agents":${deep(20_000)}}`,
    `{"type":"subscribe","agents":[${deep(20_000)}]}`,
    `{"type":"subscribe","events":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`,
    `{"type":"subscribe","agents":{"toString":1,"valueOf":1,"toJSON":1}}`,
    `{"type":${deep(20_000)}}`,
    `{"type":"ping","x":${deep(20_000)}}`,
    deep(30_000)
  ]

  it.live("is answered like any other that is malformed, and ends nothing", () =>
    Effect.gen(function* () {
      const other = yield* bystander
      const client = yield* TestClients.connect({ query: "events=none" })
      yield* client.take
      for (const message of messages) {
        yield* client.sendText(message)
        const answer = yield* client.take
        assert.strictEqual(answer.eventType, "stratix:error")
        assert.isBelow(JSON.stringify(answer).length, 500)
      }
      assert.isTrue(yield* client.isOpen)
      yield* other.isServed
    }).pipe(Effect.provide(ws()))
  )

  it.live("in the body of a request is answered with 400, naming the field", () =>
    Effect.gen(function* () {
      const to = yield* port
      // As text: `JSON.stringify` goes no deeper than the stack.
      const post = (body: string) =>
        Effect.promise(async () => {
          const answer = await fetch(`http://127.0.0.1:${to}/api/stratix/events`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body
          })
          return { status: answer.status, body: await answer.text() }
        })
      const status = (agentId: string) =>
        `{"eventType":"stratix:agent_status_update","payload":{"agentId":${agentId},"status":"busy"}}`
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["payload.agentId", status(deep(20_000))],
        ["payload.agentId", status('{"toString":1,"valueOf":1}')],
        ["payload", `{"eventType":"stratix:x","payload":${deep(20_000)}}`],
        ["payload.a", `{"eventType":"stratix:x","payload":{"a":${deep(20_000)}}}`],
        ["eventType", `{"eventType":${deep(20_000)},"payload":{}}`],
        ["timestamp", `{"eventType":"stratix:x","payload":{},"timestamp":${deep(20_000)}}`],
        ["requestId", `{"eventType":"stratix:x","payload":{},"requestId":{"toString":1,"valueOf":1}}`]
      ]
      for (const [field, wrong] of cases) {
        const answer = yield* post(wrong)
        assert.strictEqual(answer.status, 400)
        // Or a field below it.
        assert.match(answer.body, new RegExp(`"field":"${field}[".]`))
        assert.isBelow(answer.body.length, 1000)
      }
    }).pipe(Effect.provide(ws()))
  )
})

describe("the name of an event type in a filter", () => {
  const longest = 256 - "stratix:".length

  it.effect("is no longer than one can be, with its prefix: what the gateway answers is in the protocol, too", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ query: `events=${"x".repeat(longest)}` })
      const refused = yield* Effect.flip(TestClients.connect({ query: `events=${"x".repeat(longest + 1)}` }))
      assert.strictEqual(refused.status, 400)
      yield* client.send({ type: "subscribe", events: ["x".repeat(longest)] })
      yield* client.send({ type: "subscribe", events: ["x".repeat(longest + 1)] })
      // Each is decoded by the Schema of the protocol.
      const told = yield* client.received
      assert.deepStrictEqual(
        told.map(({ eventType }) => eventType),
        // Nothing has been published of such a type, which is told of each filter.
        ["stratix:connected", "stratix:error", "stratix:subscribed", "stratix:error", "stratix:error"]
      )
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layer, quiet)))
  )
})

describe("a message that is small only as long as it is compressed", () => {
  it.live("is refused by its inflated size: 1009, and the gateway does not inflate the rest", () =>
    Effect.gen(function* () {
      const to = yield* port
      const other = yield* bystander
      const before = process.memoryUsage().rss
      const codes = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, n) => n),
        () =>
          Effect.async<number>((resume) => {
            const socket = new WebSocket(`ws://127.0.0.1:${to}/`, { perMessageDeflate: true })
            socket.on("error", () => undefined)
            // 20 MiB in some 20 KiB: below the limit as it comes, 320 times above it as it is.
            socket.on("open", () => socket.send(Buffer.alloc(20 * 1024 * 1024, 0x20), { binary: false }))
            socket.on("close", (code) => resume(Effect.succeed(code)))
          })
      )
      assert.deepStrictEqual(
        codes,
        Array.from({ length: 10 }, () => 1009)
      )
      // This process is also that of the clients, which compress; ten times 20 MiB would be more.
      assert.isBelow(process.memoryUsage().rss - before, 200 * 1024 * 1024)
      yield* other.isServed
      yield* untilCount(1)
    }).pipe(Effect.provide(ws({ compression: true })))
  )
})

describe("a publisher that is much faster than every reader", () => {
  const EVENTS = 30_000
  const READERS = 6
  const KEYS = 50
  /** Of so many hundreds of events, a reader reads while one tenth is published. */
  const PERIOD = 100
  const highWaterMark = 64 * 1024

  const decodeCommand = (payload: unknown) =>
    Schema.decodeUnknown(Schema.Struct({ result: Schema.Struct({ n: Schema.Number }) }))(payload)

  it.live(
    "costs each of them no more than the high-water mark and one flush; all end true, and others notice nothing",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const broadcast = yield* Broadcast.Broadcast
        const log = yield* EventLog.EventLog
        const { all } = yield* Connections.Connections
        const other = yield* bystander
        const readers = yield* Effect.replicateEffect(
          TestClients.connect({ query: "events=command_status_update", protocols: ["stratix.sync.v1"] }),
          READERS
        )
        for (const reader of readers) yield* reader.takeN(2)
        // What is published while one reader rests is 20 MB: more than the kernel keeps for it, so the gateway has to bear the rest.
        const pad = "x".repeat(2000)
        let mostUnsent = 0
        for (let n = 0; n < EVENTS; n++) {
          yield* sync.notifyCommandStatus(`command-${n % KEYS}`, "agent", "running", 1, { n, pad })
          if (n % 100 !== 99) continue
          const reads = (i: number) => (n / 100 + (i * PERIOD) / READERS) % PERIOD < PERIOD / 10
          yield* Effect.forEach(readers, (reader, i) => (reads(i) ? reader.thaw : reader.freeze))
          yield* nextTurn
          for (const { socket } of yield* all) mostUnsent = Math.max(mostUnsent, socket.unsentBytes())
          if (n % 5000 === 4999) yield* other.isServed
        }
        // What one or two of these turns published can come on top (200 events of some 2,200 bytes), or a step of a catch-up (64 KiB).
        assert.isBelow(mostUnsent, highWaterMark + 512 * 1024)
        assert.isAtMost(log.stats().historyEvents, 2000)
        assert.isAbove(broadcast.stats().conflations, 0)

        for (const reader of readers) yield* reader.thaw
        yield* StatusSyncTest.settled
        const { entries } = yield* log.latest()
        const last = entries.filter(({ key }) => key?.startsWith("command:")).at(-1)
        for (const reader of readers) {
          // To the letter: what is decoded has no offset any more.
          const ending = `,"offset":"${last?.offset}"}]`
          while (!(yield* reader.raw).some((text) => text.includes(ending))) yield* nextTurn
          const newest = new Map<unknown, unknown>()
          for (const { payload } of yield* reader.received) {
            if ("commandId" in payload) newest.set(payload.commandId, payload)
          }
          assert.strictEqual(newest.size, KEYS)
          for (let key = 0; key < KEYS; key++) {
            const { result } = yield* decodeCommand(newest.get(`command-${key}`))
            assert.strictEqual(result.n, EVENTS - KEYS + key)
          }
        }
        yield* other.isServed
      }).pipe(Effect.provide(ws({ highWaterMark, historyCapacity: 2000 }))),
    120_000
  )
})
