import { assert, describe, it } from "@effect/vitest"
import { type Clock, Deferred, Effect, Metric, Queue, TestClock } from "effect"
import * as FlushBudget from "../../../../src/stratix-gateway/fanout/FlushBudget.js"
import { type EventLog, StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { Form, Metrics } from "../../../../src/stratix-gateway/internals.js"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import { until } from "../../../support/waiting.js"
import { aFewTurns, over } from "../scriptedLog.js"
import { agents, note, world } from "./sockets.js"

const MIB = 1024 * 1024

/** How many there have been. */
const faults = Effect.map(Metric.value(Metrics.fanoutFaults), ({ count }) => count)

describe("a flush", () => {
  it.effect("is one write to each who is concerned, of all that was published before it", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [all, also, one] = [client(), client(), client({ filter: agents("a") })]
      yield* publish(note(1), note(2, { agentId: "a" }), note(3))
      broadcast.flushNow()
      broadcast.flushNow()
      assert.deepStrictEqual([all.numbers(), also.numbers(), one.numbers()], [[1, 2, 3], [1, 2, 3], [2]])
      assert.deepStrictEqual([all.written.length, one.written.length], [1, 1])
      assert.strictEqual(all.written[0], also.written[0])
      const bytes = [all, also, one].reduce((sum, { text }) => sum + text().length, 0)
      assert.deepInclude(broadcast.stats(), { flushes: 1, deliveries: 7, bytes, live: 3, groups: 2 })
    }).pipe(over())
  )

  it.effect("comes by itself once the turn is over, without a timer, again and again", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const sleepless: Clock.Clock = Object.assign(Object.create(clock), { sleep: () => Effect.never })
      const { client, publish } = yield* Effect.withClock(world(), sleepless)
      const { numbers } = client()
      for (const n of [1, 2, 3]) {
        yield* publish(note(n))
        assert.strictEqual(numbers().length, n - 1)
        yield* until(() => numbers().length === n)
      }
    }).pipe(over())
  )

  it.effect("waits for the linger where there is one", () =>
    Effect.gen(function* () {
      const { client, publish } = yield* world()
      const { numbers } = client()
      yield* publish(note(1))
      yield* aFewTurns
      yield* TestClock.adjust("9 millis")
      yield* aFewTurns
      assert.deepStrictEqual(numbers(), [])
      yield* TestClock.adjust("1 millis")
      yield* until(() => numbers().length === 1)
    }).pipe(over({ linger: "10 millis" }))
  )

  it.effect("comes at once when half of the history waits for it", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { numbers } = client()
      for (let n = 1; n < 8; n++) {
        yield* publish(note(n))
        broadcast.published()
      }
      assert.deepStrictEqual(numbers(), [])
      yield* publish(note(8))
      broadcast.published()
      assert.strictEqual(numbers().length, 8)
    }).pipe(over({ historyCapacity: 16 }))
  )

  it.effect("ends the spans of what was published, with what it was worth", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [{ text }] = [client(), client()]
      yield* publish(note(0))
      broadcast.flushNow()
      const before = text().length
      const span = yield* Effect.makeSpan("a publication")
      yield* publish(note(1), note(2))
      broadcast.published(span)
      assert.strictEqual(span.status._tag, "Started")
      broadcast.flushNow()
      assert.strictEqual(span.status._tag, "Ended")
      assert.deepStrictEqual(Object.fromEntries(span.attributes), {
        "stratix.events": 2,
        "stratix.deliveries": 4,
        "stratix.bytes": 2 * (text().length - before)
      })
      // Its flush is over before it is told of.
      broadcast.published()
      const late = yield* Effect.makeSpan("a publication")
      broadcast.published(late)
      assert.strictEqual(late.status._tag, "Ended")
    }).pipe(over())
  )

  it.effect("is measured from when its first event is heard of, also where another process published it", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { numbers } = client()
      const measured = Effect.all([Metric.value(Metrics.flushEvents), Metric.value(Metrics.publishToSocket)])
      const [events, seconds] = yield* measured
      yield* publish(note(1))
      yield* until(() => numbers().length === 1)
      const [eventsNow, secondsNow] = yield* measured
      assert.deepStrictEqual([eventsNow.count - events.count, secondsNow.count - seconds.count], [1, 1])
      // One that was flushed before its turn is over does not count from then on.
      yield* publish(note(2))
      broadcast.flushNow()
      yield* aFewTurns
      yield* TestClock.adjust("1 seconds")
      yield* publish(note(3))
      broadcast.published()
      broadcast.flushNow()
      assert.strictEqual((yield* measured)[1].sum, secondsNow.sum)
    }).pipe(over())
  )

  it.effect("tells those who may not see a thing any more that it left, and no others", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [all, old, both] = [client(), client({ filter: agents("a") }), client({ filter: agents("a", "b") })]
      const command = { eventType: "stratix:command_status_update", commandId: "c", key: "command:c" }
      yield* publish(note(1, { ...command, agentId: "a" }))
      broadcast.flushNow()
      yield* publish(note(2, { ...command, agentId: "b" }))
      broadcast.flushNow()
      const removals = [all, old, both].map(({ text }) => text().split("stratix:command_remove").length - 1)
      assert.deepStrictEqual(removals, [0, 1, 0])
      assert.deepStrictEqual(
        [all, old, both].map(({ numbers }) => numbers()),
        [[1, 2], [1], [1, 2]]
      )
    }).pipe(over())
  )

  it.effect("that is not possible catches everybody up: more was published than the history holds", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { announced, subscriber } = client({ sync: true })
      const before = yield* faults
      const span = yield* Effect.makeSpan("a publication")
      for (let n = 1; n <= 20; n++) yield* publish(note(n, { key: `k${n % 4}` }))
      broadcast.published(span)
      assert.strictEqual(span.attributes.get("stratix.overrun"), true)
      assert.strictEqual(subscriber.state, "behind")
      yield* until(() => subscriber.state === "live")
      assert.deepInclude(announced().at(-1), { mode: "conflated", count: 4 })
      assert.deepInclude(broadcast.stats(), { flushes: 0, conflations: 1 })
      assert.strictEqual(yield* faults, before)
    }).pipe(over({ historyCapacity: 8 }))
  )

  it.effect("compresses a text once, for all groups that get it", () =>
    Effect.gen(function* () {
      const config = yield* StatusSyncConfig.StatusSyncConfig
      let compressed = 0
      const counting = {
        ...config,
        get compressionThreshold() {
          compressed++
          return 1
        }
      }
      const { broadcast, client, publish } = yield* Effect.provideService(
        world(),
        StatusSyncConfig.StatusSyncConfig,
        counting
      )
      const readers = [Filter.all, agents("a"), agents("a", "b")].map((filter) =>
        client({ filter, form: Form.deflated })
      )
      compressed = 0
      yield* publish(...[1, 2].map((n) => note(n, { agentId: "a", pad: 1000 })))
      broadcast.flushNow()
      assert.strictEqual(compressed, 2)
      assert.deepStrictEqual(
        readers.map(({ text }) => text()),
        readers.map(() => readers[0]?.text())
      )
      assert.isAbove(readers[0]?.text().length ?? 0, 0)
      assert.isBelow(readers[0]?.text().length ?? 0, 1000)
    }).pipe(over())
  )

  it.effect("follows when the log was read anew", () =>
    Effect.gen(function* () {
      const rebuilt = yield* Deferred.make<void>()
      const { broadcast, client, publish } = yield* world(() => ({
        rebuilds: Deferred.await(rebuilt),
        subscribe: Queue.unbounded<EventLog.LogEntry>()
      }))
      const { numbers } = client()
      yield* publish(note(1))
      yield* aFewTurns
      assert.deepStrictEqual([numbers(), broadcast.stats().flushes], [[], 0])
      yield* Deferred.succeed(rebuilt, undefined)
      yield* until(() => numbers().length === 1)
    }).pipe(over())
  )
})

describe("those who do not read", () => {
  it.effect("above the high-water mark are given no bytes by a flush, and none are made for them", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [above, exactly] = [client({ filter: agents("a") }), client()]
      let made = 0
      Object.assign(above.subscriber.group, {
        encode: () => {
          made++
          return Buffer.alloc(0)
        }
      })
      above.socket.unsent = 1001
      exactly.socket.unsent = 1000
      yield* publish(note(1, { agentId: "a" }))
      broadcast.flushNow()
      assert.deepStrictEqual([above.written.length, above.subscriber.state, made], [0, "behind", 0])
      assert.deepStrictEqual([exactly.numbers(), exactly.subscriber.state], [[1], "live"])
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("are caught up, and the others of their group have the flush itself", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [first, above, last] = [client(), client(), client()]
      above.socket.unsent = 1001
      yield* publish(note(1))
      broadcast.flushNow()
      assert.deepStrictEqual(
        [first, above, last].map(({ numbers, subscriber }) => [numbers(), subscriber.state]),
        [
          [[1], "live"],
          [[], "behind"],
          [[1], "live"]
        ]
      )
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("stall when a write leaves more than the mark unsent; the others of their group miss nothing", () =>
    Effect.gen(function* () {
      const { broadcast, client, log, publish } = yield* world()
      const all = Array.from({ length: 6 }, () => client())
      all.forEach(({ socket }, i) => {
        socket.unsentAfter = i % 2 === 0 ? 1001 : 1000
      })
      yield* publish(note(1))
      broadcast.flushNow()
      assert.deepStrictEqual(
        all.map(({ numbers, subscriber }) => [numbers(), subscriber.state]),
        all.map((_, i) => [[1], i % 2 === 0 ? "stalled" : "live"])
      )
      assert.deepInclude(broadcast.stats(), { stalls: 3, stalled: 3, live: 3, behind: 0, deliveries: 6 })
      assert.strictEqual(all[0]?.subscriber.cursor, log.head().offset)
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("and leave while they are written to are gone, and not stalled", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { socket, subscriber } = client()
      socket.unsentAfter = 1001
      socket.onWrite = () => broadcast.unsubscribe(subscriber)
      yield* publish(note(1))
      broadcast.flushNow()
      assert.deepStrictEqual([subscriber.state, broadcast.stats().stalled], ["gone", 0])
    }).pipe(over({ highWaterMark: 1000 }))
  )
})

describe("the budget of a flush", () => {
  it.effect("is a megabyte of what is made, to the byte; a group beyond it follows", () =>
    Effect.gen(function* () {
      for (const over of [0, 1]) {
        const { broadcast, client, publish } = yield* world()
        const [one, two, small] = ["a", "b", "c"].map((name) => client({ filter: agents(name) }))
        const sized = (agentId: string, characters: number) => {
          const empty = note(1, { agentId }).json.length
          return note(1, { agentId, pad: characters - FlushBudget.GROUP_COST - empty })
        }
        yield* publish(sized("a", MIB / 2), sized("b", MIB / 2 + over), note(2, { agentId: "c" }))
        broadcast.flushNow()
        assert.deepStrictEqual(
          [one, two, small].map((reader) => reader?.numbers()),
          // The small one costs more than nothing.
          over === 0 ? [[1], [1], []] : [[1], [], [2]]
        )
        yield* broadcast.caughtUp
        assert.deepStrictEqual(
          [one, two, small].map((reader) => reader?.numbers()),
          [[1], [1], [2]]
        )
      }
    }).pipe(over())
  )

  it.effect("is not spent on those who are behind", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [stalled, other] = [client(), client({ filter: agents("a") })]
      stalled.socket.unsentAfter = 2 * MIB
      yield* publish(note(0))
      broadcast.flushNow()
      assert.strictEqual(stalled.subscriber.state, "stalled")
      yield* publish(note(1, { agentId: "a", pad: 600 * 1024 }))
      broadcast.flushNow()
      assert.deepStrictEqual([other.numbers(), stalled.numbers()], [[1], [0]])
      assert.deepStrictEqual(stalled.subscriber.group.pending, [])
    }).pipe(over())
  )

  /** How many of a group the flush itself writes so many bytes to. */
  const served = (readers: number, bytes: number) =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const all = Array.from({ length: readers }, () => client())
      for (const { subscriber } of all.slice(0, 1)) {
        Object.assign(subscriber.group, { encode: () => Buffer.alloc(bytes) })
      }
      yield* publish(note(1))
      broadcast.flushNow()
      const count = all.filter(({ written }) => written.length > 0).length
      assert.strictEqual(broadcast.stats().behind, readers - count)
      return count
    })

  it.effect("is 16 MiB of what is written where it is more than 64 KiB for each", () =>
    Effect.gen(function* () {
      // The write that goes beyond is the last.
      assert.strictEqual(yield* served(20, MIB), 17)
      assert.strictEqual(yield* served(300, 64 * 1024 + 1), 256)
      assert.strictEqual(yield* served(300, 64 * 1024), 300)
    }).pipe(over())
  )
})
