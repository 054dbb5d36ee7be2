import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as EventBatch from "../../../src/stratix-gateway/fanout/EventBatch.js"
import { type Subscriber, Subscribers } from "../../../src/stratix-gateway/fanout/Subscribers.js"
import type { LogEntry } from "../../../src/stratix-gateway/log/EventLog.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as TimeoutQueues from "../../../src/stratix-gateway/runtime/TimeoutQueues.js"
import * as Form from "../../../src/stratix-gateway/transport/Form.js"
import type { TransportSocket } from "../../../src/stratix-gateway/transport/Transport.js"

const socket: TransportSocket = {
  remoteAddress: "127.0.0.1",
  form: Form.frames,
  writes: () => 0,
  write: () => 0,
  ping: () => {},
  unsentBytes: () => 0,
  end: () => {},
  terminate: () => {}
}
const agent = (...agents: ReadonlyArray<string>) => Filter.fromFields({ agents })

/** Subscribers whose clock is set by hand. */
const byHand = (highWaterMark = 1_000_000) => {
  let now = 0
  const queue = () =>
    new TimeoutQueues.TimeoutQueue<Subscriber>(
      1000,
      () => {},
      () => now,
      () => {}
    )
  const [stalls, slow] = [queue(), queue()]
  const subscribers = new Subscribers(stalls, slow, highWaterMark)
  return {
    subscribers,
    stalls,
    slow,
    at: (time: number) => {
      now = time
    }
  }
}
const isDone = (effect: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* Effect.yieldNow()
    yield* Effect.yieldNow()
    const exit = fiber.unsafePoll()
    yield* Fiber.interrupt(fiber)
    return exit !== null
  })

describe("subscribers", () => {
  it("that come one after the other with the very same filter are in one group, for as long as it has members", () => {
    const { subscribers } = byHand()
    const filter = agent("a")
    const first = subscribers.add(socket, filter, true)
    assert.strictEqual(subscribers.add(socket, filter, true).group, first.group)
    assert.notStrictEqual(subscribers.add({ ...socket, form: Form.stream }, filter, true).group, first.group)
    assert.strictEqual(subscribers.add(socket, filter, true).group, first.group)
    assert.notStrictEqual(subscribers.add(socket, filter, false).group, first.group)

    const only = subscribers.add(socket, agent("b"), true)
    subscribers.remove(only)
    const next = subscribers.add(socket, only.group.filter, true)
    assert.notStrictEqual(next.group, only.group)
    assert.strictEqual(subscribers.groups.get(next.group.key), next.group)
  })

  it("share a group if their filter, dialect and form are equal, and only then", () => {
    const { subscribers } = byHand()
    const first = subscribers.add(socket, agent("a", "b"), true)
    assert.strictEqual(subscribers.add(socket, agent("b", "a"), true).group, first.group)
    assert.strictEqual(first.group.members, 2)
    const others = [
      subscribers.add(socket, agent("a"), true),
      subscribers.add(socket, agent("a", "b"), false),
      subscribers.add({ ...socket, form: Form.deflated }, agent("a", "b"), true)
    ]
    assert.strictEqual(new Set([first, ...others].map(({ group }) => group)).size, 4)
    assert.strictEqual(subscribers.groups.size, 4)
    assert.deepStrictEqual([first.group.sync, others[1]?.group.sync], [true, false])
    const { deflated, frames } = EventBatch.encoders
    assert.strictEqual(first.group.encode, frames.sync)
    assert.deepStrictEqual(
      others.map(({ group }) => group.encode),
      [frames.sync, frames.plain, deflated.sync]
    )
  })

  it("begin away from the head, with nothing of a catch-up behind them", () => {
    const subscriber = byHand().subscribers.add(socket, Filter.all, true)
    assert.deepInclude(subscriber, { state: "behind", slot: -1, queued: false, joined: false, catchingUp: false })
    assert.deepStrictEqual([subscriber.group.live, subscriber.group.pending], [[], []])
  })

  it("leave no group behind, and no group before its last", () => {
    const { subscribers } = byHand()
    const entry = { tenant: "default", eventType: "stratix:x", agentId: "a", commandId: undefined } as LogEntry
    const matching = () => {
      let found = 0
      subscribers.forEachMatching(entry, () => found++)
      return found
    }
    const [first, second] = [subscribers.add(socket, agent("a"), true), subscribers.add(socket, agent("a"), true)]
    subscribers.remove(first)
    assert.deepStrictEqual([subscribers.groups.size, subscribers.members, matching()], [1, 1, 1])
    assert.strictEqual(subscribers.stalled, 0)
    subscribers.move(second, agent("b"))
    assert.deepStrictEqual([...subscribers.groups.values()], [second.group])
    assert.deepStrictEqual([second.group.filter.key, second.group.members, matching()], [agent("b").key, 1, 0])
    subscribers.move(second, agent("b"))
    assert.deepStrictEqual([...subscribers.groups.values()], [second.group])
    subscribers.remove(second)
    assert.deepStrictEqual([subscribers.groups.size, subscribers.members, subscribers.away.size], [0, 0, 0])
    assert.strictEqual(second.state, "gone")
  })

  it("stand in their group exactly while they are at the head, in whatever order they leave it", () => {
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2]
    ]) {
      const { subscribers } = byHand()
      const all = [0, 1, 2, 3].map(() => subscribers.add(socket, Filter.all, true))
      assert.deepStrictEqual([subscribers.live, subscribers.away.size], [0, 4])
      for (const subscriber of all) {
        subscriber.cursor = "somewhere"
        subscribers.goLive(subscriber)
        assert.deepStrictEqual([subscriber.state, subscriber.joined, subscriber.cursor], ["live", true, undefined])
      }
      const { live } = all[0]?.group ?? { live: [] }
      assert.deepStrictEqual([subscribers.live, subscribers.away.size], [4, 0])
      const left = new Set(all)
      for (const [i, which] of order.entries()) {
        const subscriber = all[which]
        if (subscriber === undefined) continue
        left.delete(subscriber)
        if (i % 2 === 0) {
          subscribers.leaveHead(subscriber)
          assert.deepStrictEqual([subscriber.state, subscriber.slot], ["behind", -1])
          assert.isTrue(subscribers.away.has(subscriber))
        } else subscribers.remove(subscriber)
        assert.sameMembers([...live], [...left])
        for (const [slot, other] of live.entries()) assert.strictEqual(other.slot, slot)
      }
      assert.deepStrictEqual([subscribers.live, subscribers.away.size], [0, 2])
    }
  })

  it("stall with both of their timeouts, which end when they drain or leave", () => {
    const { at, slow, stalls, subscribers } = byHand()
    const subscriber = subscribers.add(socket, Filter.all, true)
    assert.strictEqual(subscribers.stalledMillis(subscriber), 0)
    at(100)
    subscribers.stall(subscriber, "there")
    const made = [subscriber.stall, subscriber.slow]
    assert.deepStrictEqual([subscriber.state, subscriber.cursor], ["stalled", "there"])
    assert.deepStrictEqual([subscribers.stalled, subscribers.stalls], [1, 1])
    assert.deepStrictEqual([stalls.nearest(), slow.nearest()], [1100, 1100])
    at(130)
    assert.strictEqual(subscribers.stalledMillis(subscriber), 30)
    subscribers.unstall(subscriber)
    assert.strictEqual(subscriber.state, "behind")
    assert.deepStrictEqual([subscribers.stalled, subscribers.stalledMillis(subscriber)], [0, 0])
    assert.deepStrictEqual([stalls.nearest(), slow.nearest()], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
    subscribers.stall(subscriber, "there")
    assert.deepStrictEqual([subscriber.stall, subscriber.slow], made)
    assert.deepStrictEqual([subscribers.stalled, subscribers.stalls], [1, 2])
    subscribers.remove(subscriber)
    assert.deepStrictEqual([subscribers.stalled, stalls.nearest()], [0, Number.POSITIVE_INFINITY])
  })

  it("may leave unread what their filter does not hold, and 64 KiB in any case, but no more than the mark", () => {
    const marks = (highWaterMark: number, filter: Filter.Filter) =>
      byHand(highWaterMark).subscribers.add(socket, filter, true).group.highWaterMark
    assert.strictEqual(marks(1_000_000, Filter.all), 1_000_000)
    assert.strictEqual(marks(1_000_000, { ...Filter.all, weight: 300_000 }), 700_000)
    assert.strictEqual(marks(1_000_000, { ...Filter.all, weight: 990_000 }), 64 * 1024)
    assert.strictEqual(marks(1000, { ...Filter.all, weight: 990_000 }), 1000)
  })

  it("with the largest filter there is may leave unread only what is left of the default mark", () => {
    // 1,000 values, in a message of 64 KiB: 149 KB of heap on Node 20.
    const largest = agent(...Array.from({ length: 1000 }, (_, i) => `agent-${i}`.padEnd(58, "x")))
    const { highWaterMark } = byHand(256 * 1024).subscribers.add(socket, largest, true).group
    assert.isAtMost(highWaterMark + 149_000, 256 * 1024)
    assert.isAtLeast(highWaterMark, 64 * 1024)
  })

  it.effect("are all caught up while none is away", () =>
    Effect.gen(function* () {
      const { subscribers } = byHand()
      assert.isTrue(yield* isDone(subscribers.caughtUp))
      const [first, second] = [subscribers.add(socket, Filter.all, true), subscribers.add(socket, Filter.all, true)]
      assert.isFalse(yield* isDone(subscribers.caughtUp))
      subscribers.goLive(first)
      assert.isFalse(yield* isDone(subscribers.caughtUp))
      subscribers.goLive(second)
      assert.isTrue(yield* isDone(subscribers.caughtUp))
      subscribers.leaveHead(first)
      assert.isFalse(yield* isDone(subscribers.caughtUp))
      subscribers.remove(first)
      assert.isTrue(yield* isDone(subscribers.caughtUp))
    })
  )

  it.effect("are quiet until something happens while all are at the head; never while one is away", () =>
    Effect.gen(function* () {
      const { subscribers } = byHand()
      const wakes = (change: () => void) =>
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(subscribers.activity)
          yield* Effect.yieldNow()
          yield* Effect.yieldNow()
          const before = waiting.unsafePoll() !== null
          change()
          yield* Effect.yieldNow()
          yield* Effect.yieldNow()
          const after = waiting.unsafePoll() !== null
          yield* Fiber.interrupt(waiting)
          return [before, after]
        })
      assert.deepStrictEqual(yield* wakes(() => {}), [false, false])
      assert.deepStrictEqual(yield* wakes(() => subscribers.notifyActivity()), [false, true])
      let subscriber = subscribers.add(socket, Filter.all, true)
      assert.deepStrictEqual(yield* wakes(() => {}), [true, true])
      subscribers.goLive(subscriber)
      assert.deepStrictEqual(yield* wakes(() => subscribers.remove(subscriber)), [false, true])
      assert.deepStrictEqual(yield* wakes(() => {}), [false, false])
      assert.deepStrictEqual(
        yield* wakes(() => {
          subscriber = subscribers.add(socket, Filter.all, true)
        }),
        [false, true]
      )
      subscribers.goLive(subscriber)
      const comesBack = () => {
        subscribers.leaveHead(subscriber)
        subscribers.goLive(subscriber)
      }
      assert.deepStrictEqual(yield* wakes(comesBack), [false, true])
    })
  )
})
