import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, HashMap, Logger, Option, TestClock } from "effect"
import { Broadcast } from "../../../../src/stratix-gateway/internals.js"
import { until } from "../../../support/waiting.js"
import { aFewTurns, over } from "../scriptedLog.js"
import { agents, note, world } from "./sockets.js"

describe("one that subscribes", () => {
  it.effect("at the head is live at once; what was published before goes to the others first", () =>
    Effect.gen(function* () {
      const { asked, broadcast, client, log, publish } = yield* world()
      const first = client()
      yield* publish(note(1))
      const second = client()
      assert.deepStrictEqual([first.numbers(), second.numbers()], [[1], []])
      assert.strictEqual(broadcast.head(), log.head().offset)
      yield* publish(note(2))
      broadcast.flushNow()
      yield* aFewTurns
      assert.deepStrictEqual([first.numbers(), second.numbers(), asked], [[1, 2], [2], []])
    }).pipe(over())
  )

  it.effect("with a snapshot is given the one of that moment, and what comes later exactly", () =>
    Effect.gen(function* () {
      const { asked, broadcast, client, log, publish } = yield* world()
      yield* publish(note(1, { key: "k1" }))
      const { announced, numbers, subscriber } = client({ start: Broadcast.atSnapshot, sync: true })
      const at = log.head().offset
      yield* publish(note(2, { key: "k1" }))
      broadcast.flushNow()
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor, options]) => [cursor, options.until]),
        [
          [undefined, at],
          [at, log.head().offset]
        ]
      )
      assert.deepStrictEqual(
        announced().map(({ mode, to }) => [mode, to]),
        [
          ["snapshot", at],
          ["resume", log.head().offset]
        ]
      )
      assert.strictEqual(numbers().at(-1), 2)
    }).pipe(over())
  )

  it.effect("after an offset is given what came since, and not a snapshot's end", () =>
    Effect.gen(function* () {
      const { asked, client, log, publish } = yield* world()
      yield* publish(note(1))
      const { offset } = log.head()
      yield* publish(note(2))
      const { numbers, subscriber } = client({ start: { _tag: "Since", offset }, sync: true })
      assert.strictEqual(subscriber.target, undefined)
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual([numbers(), asked.map(([cursor]) => cursor)], [[2], [offset]])
    }).pipe(over())
  )
})

describe("one that left", () => {
  it.effect("is gone once, whatever is done with it later", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { numbers, subscriber } = client()
      const other = client()
      broadcast.unsubscribe(subscriber)
      broadcast.unsubscribe(subscriber)
      broadcast.setFilter(subscriber, agents("a"))
      broadcast.drained(subscriber)
      yield* publish(note(1, { agentId: "a" }))
      broadcast.flushNow()
      assert.deepStrictEqual([numbers(), subscriber.state, other.numbers()], [[], "gone", [1]])
      assert.deepInclude(broadcast.stats(), { live: 1, stalled: 0, behind: 0, groups: 1 })
      assert.strictEqual(broadcast.status(subscriber).state, "live")
    }).pipe(over())
  )

  it.effect("while it was caught up ends its catch-up", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { socket, subscriber } = client({ start: Broadcast.atSnapshot, sync: true })
      socket.unsentAfter = 1001
      yield* publish(note(1))
      yield* until(() => subscriber.state === "stalled")
      assert.isTrue(subscriber.catchingUp)
      broadcast.unsubscribe(subscriber)
      assert.isFalse(subscriber.catchingUp)
    }).pipe(over({ highWaterMark: 1000 }))
  )
})

describe("one that stalled", () => {
  it.effect("is given nothing until it has drained, and then what it missed", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { numbers, socket, subscriber } = client()
      broadcast.drained(subscriber)
      assert.strictEqual(subscriber.state, "live")
      socket.unsentAfter = 1001
      yield* publish(note(1))
      broadcast.flushNow()
      yield* publish(note(2))
      broadcast.flushNow()
      yield* aFewTurns
      assert.deepStrictEqual([numbers(), subscriber.state], [[1], "stalled"])
      socket.unsentAfter = 0
      broadcast.drained(subscriber)
      assert.deepInclude(broadcast.stats(), { stalled: 0, behind: 1 })
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(numbers(), [1, 2])
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("is slow after five seconds and terminated after the stall timeout; the log says whose it is", () => {
    const lines: Array<readonly [string, unknown]> = []
    const logger = Logger.make(({ annotations, message }) => {
      const address = Option.getOrUndefined(HashMap.get(annotations, "remoteAddress"))
      lines.push([String(message).replace(/:.*/, ""), address])
    })
    const slow = ["a client does not keep up", "192.0.2.1"] as const
    return Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { ended, socket } = client()
      socket.unsentAfter = 1001
      yield* publish(note(1))
      broadcast.flushNow()
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(lines, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(lines, [slow])
      yield* TestClock.adjust("54999 millis")
      assert.deepStrictEqual(ended, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(ended, ["terminated"])
      assert.deepStrictEqual(lines, [slow, ["terminated a connection", "192.0.2.1"]])
    }).pipe(Effect.provide(Logger.add(logger)), over({ highWaterMark: 1000, stallTimeout: "60 seconds" }))
  })
})

describe("another filter", () => {
  it.effect("of a plain client at the head holds from then on, and brings nothing else", () =>
    Effect.gen(function* () {
      const { asked, broadcast, client, publish } = yield* world()
      const { numbers, subscriber } = client({ filter: agents("a") })
      yield* publish(note(1, { agentId: "a" }), note(2, { agentId: "b" }))
      // What was published before it is told by the old one.
      broadcast.setFilter(subscriber, agents("b"))
      assert.deepStrictEqual([numbers(), subscriber.state], [[1], "live"])
      yield* publish(note(3, { agentId: "a" }), note(4, { agentId: "b" }))
      broadcast.flushNow()
      yield* aFewTurns
      assert.deepStrictEqual([numbers(), asked.length], [[1, 4], 0])
      assert.deepInclude(broadcast.stats(), { live: 1, groups: 1 })
    }).pipe(over())
  )

  it.effect("of a sync client brings a snapshot of now, which is no conflation and ends no connection", () =>
    Effect.gen(function* () {
      const { asked, broadcast, client, log, publish } = yield* world()
      yield* publish(note(1, { key: "k1", agentId: "a" }), note(2, { key: "k2", agentId: "b" }))
      const { announced, ended, numbers, subscriber } = client({ filter: agents("a"), sync: true })
      broadcast.setFilter(subscriber, agents("b"))
      assert.strictEqual(subscriber.state, "behind")
      const at = log.head().offset
      yield* publish(note(3, { agentId: "b" }))
      broadcast.flushNow()
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor, options]) => [cursor, options.until]),
        [
          [undefined, at],
          [at, log.head().offset]
        ]
      )
      assert.deepStrictEqual([numbers(), ended], [[2, 3], []])
      assert.deepInclude(announced()[0], { mode: "snapshot", count: 1 })
      assert.strictEqual(broadcast.stats().conflations, 0)
    }).pipe(over({ slowPolicy: "close" }))
  )

  it.effect(
    "of one that stalled waits until it has drained; then a sync client gets a snapshot, whatever was under way",
    () =>
      Effect.gen(function* () {
        const { asked, broadcast, client, publish } = yield* world()
        const [plain, sync] = [client(), client({ sync: true })]
        for (const { socket } of [plain, sync]) socket.unsentAfter = 1001
        yield* publish(note(1, { agentId: "a" }))
        broadcast.flushNow()
        const cursor = plain.subscriber.cursor
        sync.subscriber.conflateFrom = cursor
        yield* publish(note(2, { agentId: "a" }), note(3, { agentId: "b" }))
        for (const { socket, subscriber } of [plain, sync]) {
          broadcast.setFilter(subscriber, agents("b"))
          assert.strictEqual(subscriber.state, "stalled")
          socket.unsentAfter = 0
        }
        yield* aFewTurns
        assert.deepStrictEqual([asked.length, plain.numbers()], [0, [1]])
        for (const { subscriber } of [plain, sync]) broadcast.drained(subscriber)
        yield* broadcast.caughtUp
        assert.deepStrictEqual(
          asked.map(([from, { conflateFrom, filter }]) => [from, conflateFrom, filter?.key]),
          [
            [cursor, undefined, agents("b").key],
            [undefined, undefined, agents("b").key]
          ]
        )
        assert.deepStrictEqual(plain.numbers(), [1, 3])
      }).pipe(over({ highWaterMark: 1000 }))
  )
})

describe("what is told of the connections", () => {
  it.effect("is where each is, and what it cost", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const { socket, subscriber } = client()
      const nothing = { stalledMillis: 0, lost: 0, catchUps: 0 }
      assert.deepStrictEqual(broadcast.status(subscriber), {
        ...nothing,
        state: "live",
        cursor: broadcast.head(),
        unsentBytes: 0
      })
      socket.unsentAfter = 1001
      yield* publish(note(1))
      broadcast.flushNow()
      const cursor = broadcast.head()
      socket.unsent = 777
      yield* TestClock.adjust("1234 millis")
      yield* publish(note(2))
      broadcast.flushNow()
      assert.deepStrictEqual(broadcast.status(subscriber), {
        ...nothing,
        state: "stalled",
        cursor,
        unsentBytes: 777,
        stalledMillis: 1234
      })
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("adds up what flushes and catch-ups gave", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const live = client()
      yield* publish(note(1, { key: "k1" }), note(2))
      broadcast.flushNow()
      const late = client({ start: Broadcast.atSnapshot, sync: true })
      yield* broadcast.caughtUp
      assert.deepStrictEqual(broadcast.stats(), {
        flushes: 1,
        deliveries: 3,
        bytes: live.text().length + late.text().length,
        stalls: 0,
        catchUps: { snapshot: 1, resume: 0, conflated: 0 },
        conflations: 0,
        lost: 0,
        live: 2,
        stalled: 0,
        behind: 0,
        groups: 2
      })
    }).pipe(over())
  )

  it.effect("is how far the farthest of those is behind who have been at the head, and what all have not read", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      assert.deepStrictEqual(broadcast.maxLag(), { events: 0, millis: 0, unsentBytes: 0 })
      const [near, far, live] = [client(), client(), client()]
      const stall = (reader: typeof far) => {
        reader.socket.unsentAfter = 1001
      }
      live.socket.unsent = 5
      stall(far)
      yield* publish(note(1))
      broadcast.flushNow()
      yield* publish(note(2))
      yield* TestClock.adjust("1 seconds")
      stall(near)
      broadcast.flushNow()
      yield* publish(note(3))
      broadcast.flushNow()
      yield* TestClock.adjust("2 seconds")
      near.socket.unsent = 70
      far.socket.unsent = 600
      // Has not been at the head yet.
      const late = client({ start: Broadcast.atSnapshot })
      late.socket.unsent = 8000
      assert.deepStrictEqual(broadcast.maxLag(), { events: 2, millis: 3000, unsentBytes: 8670 })
    }).pipe(over({ highWaterMark: 1000 }))
  )

  it.effect("is heard of at the next flush, not before", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      client()
      let heard = 0
      const listen = Effect.fork(
        Effect.tap(broadcast.activity, () =>
          Effect.sync(() => {
            heard++
          })
        )
      )
      const first = yield* listen
      yield* aFewTurns
      assert.strictEqual(heard, 0)
      yield* publish(note(1))
      yield* broadcast.flush
      yield* Fiber.join(first)
      assert.strictEqual(heard, 1)
    }).pipe(over())
  )
})
