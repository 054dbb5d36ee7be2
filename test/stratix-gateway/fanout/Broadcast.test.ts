import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, TestClock } from "effect"
import { Connections, EventLog, StatusSync, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"

const over =
  (settings: Partial<StatusSyncConfig.Settings>) =>
  <A, E>(effect: Effect.Effect<A, E, StatusSyncTest.Services>) =>
    effect.pipe(Effect.provide(StatusSyncTest.layerWith(settings)), Effect.provide(Logger.remove(Logger.defaultLogger)))

const publish = (count: number, from = 0) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    for (let i = from; i < from + count; i++) yield* sync.notifyAgentStatus(`agent-${i % 10}`, "busy")
  })

const lag = (id: number) =>
  Effect.gen(function* () {
    const connections = yield* Connections.Connections
    const broadcast = yield* Broadcast.Broadcast
    const subscriber = (yield* connections.all)[id]?.subscriber
    return subscriber === undefined ? undefined : broadcast.status(subscriber)
  })

const sync = { protocols: ["stratix.sync.v1"] }

describe("batching", () => {
  it.effect("everything published in one turn leaves in one write; a lone event does not wait for another", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const client = yield* TestClients.connect()
      yield* publish(100)
      yield* client.takeN(101)
      assert.strictEqual(broadcast.stats().flushes, 1)
      yield* publish(1)
      yield* client.take
      assert.strictEqual(broadcast.stats().flushes, 2)
    }).pipe(over({}))
  )

  it.effect("with a linger, what comes within it shares the write", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const client = yield* TestClients.connect()
      yield* publish(1)
      yield* TestClock.adjust("6 millis")
      yield* publish(1)
      yield* TestClock.adjust("3 millis")
      assert.strictEqual((yield* client.raw).length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* client.raw).length, 3)
      assert.strictEqual(broadcast.stats().flushes, 1)
    }).pipe(over({ linger: "10 millis" }))
  )

  it.effect("a burst larger than the history still reaches those who keep up, whole", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* publish(1000)
      assert.strictEqual((yield* client.takeN(1001)).length, 1001)
    }).pipe(over({ historyCapacity: 16 }))
  )
})

describe("slow and frozen clients", () => {
  it.effect("above the high-water mark a connection gets nothing more, whatever is published", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const frozen = yield* TestClients.connect()
      const other = yield* TestClients.connect()
      yield* frozen.freeze
      for (let i = 0; i < 50; i++) {
        yield* publish(10)
        yield* broadcast.flush
      }
      const seen = yield* lag(0)
      assert.strictEqual(seen?.state, "stalled")
      assert.isAbove(seen?.unsentBytes ?? 0, 1000)
      assert.isBelow(seen?.unsentBytes ?? 0, 1000 + 10 * 200)
      assert.strictEqual(broadcast.stats().stalled, 1)
      assert.strictEqual((yield* other.takeN(501)).length, 501)
      yield* frozen.thaw
      assert.strictEqual((yield* frozen.takeN(501)).length, 501)
      yield* StatusSyncTest.settled
      assert.deepInclude(yield* lag(0), { state: "live", unsentBytes: 0, lost: 0 })
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("behind the history it gets the newest of every key; what had no key is counted", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const broadcast = yield* Broadcast.Broadcast
      const client = yield* TestClients.connect(sync)
      yield* StatusSyncTest.settled
      yield* client.takeN(2)
      yield* client.freeze
      yield* publish(10)
      yield* broadcast.flush
      for (let i = 0; i < 3; i++) yield* service.broadcastUnknown({ eventType: "stratix:note", payload: { i } })
      yield* publish(40)
      yield* broadcast.flush
      yield* client.thaw
      // What was written before it stalled: the burst is flushed when half the history waits.
      yield* client.takeN(8)
      const announced = yield* client.take
      assert.deepInclude(announced.payload, { mode: "conflated", count: 10, lost: 3 })
      const events = yield* client.takeN(10)
      assert.strictEqual(new Set(events.map((event) => JSON.stringify(event.payload))).size, 10)
      assert.deepInclude(broadcast.stats(), { conflations: 1, lost: 3 })
      assert.deepInclude(yield* lag(0), { state: "live", lost: 3 })
    }).pipe(over({ historyCapacity: 16, highWaterMark: 500 }))
  )

  it.effect("by policy it is closed with 1013 instead", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const client = yield* TestClients.connect()
      yield* client.freeze
      yield* publish(10)
      yield* broadcast.flush
      yield* publish(50)
      yield* broadcast.flush
      yield* client.thaw
      assert.strictEqual((yield* client.closed).code, 1013)
    }).pipe(over({ historyCapacity: 16, highWaterMark: 500, slowPolicy: "close" }))
  )

  it.effect("one that stays unwritable is terminated at exactly the stall timeout, signs of life or not", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const client = yield* TestClients.connect()
      yield* client.freeze
      yield* publish(10)
      yield* broadcast.flush
      for (let i = 0; i < 9; i++) {
        yield* TestClock.adjust("10 seconds")
        yield* client.pong
      }
      yield* TestClock.adjust("9999 millis")
      assert.isTrue(yield* client.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(yield* client.isOpen)
      assert.strictEqual(broadcast.stats().stalled, 0)
    }).pipe(over({ highWaterMark: 500, stallTimeout: "100 seconds" }))
  )

  it.effect("sockets that stay full are in the log: the first at once, more within ten seconds in one line", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (String(message).includes("keep up")) lines.push(`${logLevel.label} ${message}`)
    })
    const how = "its socket has been full for 5 seconds"
    return Effect.gen(function* () {
      const thawing = yield* TestClients.connect()
      for (const client of [thawing, ...(yield* Effect.replicateEffect(TestClients.connect(), 3))]) yield* client.freeze
      yield* publish(50)
      yield* Effect.flatMap(Broadcast.Broadcast, ({ flush }) => flush)
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(lines, [])
      yield* thawing.thaw
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(lines, [`INFO a client does not keep up: ${how}`])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines.slice(1), [`INFO 2 more clients do not keep up: ${how}`])
    }).pipe(
      Effect.provide(StatusSyncTest.layerWith({ highWaterMark: 1000 })),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
  })

  it.effect("one that asks and asks without reading costs no more than the high-water mark", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.freeze
      for (let i = 0; i < 100; i++) yield* client.send({ type: "ping" })
      assert.isBelow((yield* lag(0))?.unsentBytes ?? 0, 1200)
    }).pipe(over({ highWaterMark: 1000 }))
  )
})

describe("sync clients", () => {
  it.effect("get the events of a flush in one message, in pieces that stall no page", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect(sync)
      yield* StatusSyncTest.settled
      const countsOf = (frames: ReadonlyArray<string>) =>
        frames.map((frame) => JSON.parse(frame)).map(({ eventType, payload }) => [eventType, payload.events?.length])
      const framesOf = (events: ReadonlyArray<StatusSync.UnknownEventInput>) =>
        Effect.gen(function* () {
          const before = (yield* client.raw).length
          yield* service.broadcastAllUnknown(events)
          yield* StatusSyncTest.settled
          return (yield* client.raw).slice(before)
        })
      const note = (pad: number) => ({ eventType: "stratix:note", payload: { pad: "x".repeat(pad) } })
      const many = yield* framesOf(Array.from({ length: 1025 }, () => note(0)))
      assert.deepStrictEqual(countsOf(many), [
        ["stratix:events", 512],
        ["stratix:events", 512],
        ["stratix:events", 1]
      ])
      const large = yield* framesOf([note(80_000), note(80_000), note(40_000), note(140_000), note(0)])
      assert.deepStrictEqual(countsOf(large), [
        ["stratix:events", 1],
        ["stratix:events", 2],
        ["stratix:events", 1],
        ["stratix:events", 1]
      ])
      assert.strictEqual((yield* framesOf([note(0)])).length, 1)
    }).pipe(over({ maxEventBytes: 200_000 }))
  )

  it.effect("read in every message when it was sent, on the gateway's monotonic clock", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(sync)
      yield* StatusSyncTest.settled
      const plain = yield* TestClients.connect()
      yield* TestClock.adjust("1234 millis")
      yield* publish(1)
      yield* StatusSyncTest.settled
      const sentAt = (yield* client.raw).map((text) => JSON.parse(text).sentAt)
      assert.deepStrictEqual(sentAt, [0, 0, 1234])
      assert.notInclude((yield* plain.raw).join(), "sentAt")
    }).pipe(over({}))
  )

  it.effect("get head, snapshot, then live events with offsets", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      yield* publish(12)
      const { offset } = log.head()
      const client = yield* TestClients.connect(sync)
      const [welcome, announced, ...events] = yield* client.takeN(12)
      assert.deepInclude(welcome?.payload, {
        connectionId: "conn-1",
        head: offset,
        heartbeat: { intervalMs: 30_000, timeoutMs: 60_000, keepAliveMs: 4000 }
      })
      assert.deepStrictEqual(announced?.payload, { mode: "snapshot", to: offset, count: 10, lost: 0 })
      assert.strictEqual(events.length, 10)
      yield* publish(1)
      yield* client.take
      const last = (yield* client.raw).at(-1) ?? ""
      assert.include(last, `,"offset":"${log.head().offset}"}]}`)
    }).pipe(over({}))
  )

  it.effect("resume after an offset exactly, even with nothing to tell; an offset of another log is a snapshot", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      yield* publish(3)
      const from = log.head().offset
      yield* publish(2, 3)
      const to = log.head().offset
      const first = yield* TestClients.connect({ ...sync, query: `since=${from}` })
      const [, resumed] = yield* first.takeN(2)
      assert.deepStrictEqual(resumed?.payload, { mode: "resume", from, to, count: 2, lost: 0 })
      const second = yield* TestClients.connect({ ...sync, query: `since=${to}` })
      const [, nothing] = yield* second.takeN(2)
      assert.deepStrictEqual(nothing?.payload, { mode: "resume", from: to, to, count: 0, lost: 0 })
      const third = yield* TestClients.connect({ ...sync, query: "since=another-1-0" })
      const [, snapshot] = yield* third.takeN(2)
      assert.deepInclude(snapshot?.payload, { mode: "snapshot", count: 5 })
    }).pipe(over({}))
  )

  it.effect("with an offset that this log did not give begin with one snapshot, and are live", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const log = yield* EventLog.EventLog
      yield* service.broadcastUnknown({ eventType: "stratix:note", payload: {} })
      yield* publish(3)
      const head = log.head().offset
      const forged = head.replace(/-[0-9a-z]+$/, "-0")
      assert.notStrictEqual(forged, head)
      const client = yield* TestClients.connect({ ...sync, query: `since=${forged}` })
      yield* StatusSyncTest.settled
      const [, snapshot] = yield* client.takeN(2)
      assert.deepInclude(snapshot?.payload, { mode: "snapshot", to: head })
      assert.strictEqual((yield* Broadcast.Broadcast).stats().live, 1)
    }).pipe(over({}))
  )

  it.effect("hear a heartbeat with every ping, carrying the head", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const client = yield* TestClients.connect(sync)
      const plain = yield* TestClients.connect()
      yield* StatusSyncTest.settled
      yield* client.takeN(2)
      yield* TestClock.adjust("30 seconds")
      const heartbeat = yield* client.take
      assert.deepStrictEqual(
        [heartbeat.eventType, heartbeat.payload],
        ["stratix:heartbeat", { head: log.head().offset }]
      )
      assert.strictEqual((yield* plain.received).length, 1)
    }).pipe(over({}))
  )

  it.effect("get nothing behind the answer to a new filter that this filter keeps out", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      // Not flushed yet when the filter changes: the turn of the event loop goes on.
      yield* notifyAgentStatus("agent-1", "busy")
      yield* client.send({ type: "subscribe", agents: ["agent-2"] })
      yield* notifyAgentStatus("agent-1", "online")
      yield* notifyAgentStatus("agent-2", "online")
      const told = yield* client.takeN(4)
      assert.deepStrictEqual(
        told.map(({ eventType, payload }) => ("agentId" in payload ? payload["agentId"] : eventType)),
        ["stratix:connected", "agent-1", "stratix:subscribed", "agent-2"]
      )
    }).pipe(over({}))
  )

  it.effect("get a snapshot for a new filter", () =>
    Effect.gen(function* () {
      yield* publish(10)
      const client = yield* TestClients.connect(sync)
      yield* client.takeN(12)
      yield* client.send({ type: "subscribe", agents: ["agent-3", "agent-4"] })
      const [subscribed, announced, ...events] = yield* client.takeN(4)
      assert.deepStrictEqual(subscribed?.payload, { agents: ["agent-3", "agent-4"] })
      assert.deepInclude(announced?.payload, { mode: "snapshot", count: 2 })
      assert.deepStrictEqual(
        events.map((event) => event.payload),
        [
          { agentId: "agent-3", status: "busy" },
          { agentId: "agent-4", status: "busy" }
        ]
      )
    }).pipe(over({}))
  )

  it.effect(
    "a long catch-up goes in steps, `more` on all but the last, and lets live events of others through between them",
    () =>
      Effect.gen(function* () {
        const service = yield* StatusSync.StatusSync
        const broadcast = yield* Broadcast.Broadcast
        for (let i = 0; i < 100; i++) {
          yield* service.broadcastUnknown({
            eventType: "stratix:agent_create",
            payload: { agentId: `a${i}`, name: "x".repeat(256), type: "y".repeat(256) }
          })
          yield* service.notifyCommandStatus(`c${i}`, "a", "success", 100, "z".repeat(2000))
        }
        yield* broadcast.flush
        const live = yield* TestClients.connect()
        const client = yield* TestClients.connect(sync)
        yield* publish(1)
        yield* live.takeN(2)
        yield* StatusSyncTest.settled
        const announced = (yield* client.received).filter((message) => message.eventType === "stratix:sync")
        assert.isAbove(announced.length, 3)
        assert.deepStrictEqual(
          announced.map((message) => (message.payload as { more?: true }).more),
          [...announced.slice(1).map(() => true as const), undefined]
        )
      }).pipe(over({}))
  )
})

describe("filters", () => {
  it.effect("connections with equal filters, in whatever order they are written, are one group", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      yield* TestClients.connect({ query: "agents=a,b&events=agent_create" })
      yield* TestClients.connect({ query: "events=stratix:agent_create&agents=b,a,b" })
      assert.strictEqual(broadcast.stats().groups, 1)
      yield* TestClients.connect()
      assert.strictEqual(broadcast.stats().groups, 2)
    }).pipe(over({}))
  )
})
