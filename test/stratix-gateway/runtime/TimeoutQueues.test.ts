import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as TimeoutQueues from "../../../src/stratix-gateway/runtime/TimeoutQueues.js"

/** A queue of timeouts of 100 ms on a clock that is set by hand. */
const byHand = (rest?: number) => {
  let now = 1000
  const expired: Array<string> = []
  const wakes: Array<number> = []
  const queue = new TimeoutQueues.TimeoutQueue<string>(
    100,
    (value, at) => expired.push(`${value} ${at}`),
    () => now,
    (at) => wakes.push(at),
    rest
  )
  const [a, b, c] = ["a", "b", "c"].map((name) => new TimeoutQueues.Timeout(name)) as [
    TimeoutQueues.Timeout<string>,
    TimeoutQueues.Timeout<string>,
    TimeoutQueues.Timeout<string>
  ]
  return {
    queue,
    expired,
    wakes,
    a,
    b,
    c,
    /** Starts all three, a millisecond apart. */
    startAll: () => {
      for (const timeout of [a, b, c]) {
        queue.start(timeout)
        now++
      }
      now = 1000
    },
    sweep: (at: number) => {
      now = at
      queue.sweep(at)
    },
    at: (time: number) => {
      now = time
    }
  }
}

describe("a queue of equal timeouts", () => {
  it("expires each at its own time, in the order of their starts, once", () => {
    const { expired, queue, startAll, sweep } = byHand()
    startAll()
    sweep(1099)
    assert.deepStrictEqual(expired, [])
    sweep(1100)
    sweep(1102)
    sweep(5000)
    assert.deepStrictEqual(expired, ["a 1100", "b 1102", "c 1102"])
    assert.strictEqual(queue.nearest(), Number.POSITIVE_INFINITY)
  })

  for (const [which, left] of [
    ["a", "b c"],
    ["b", "a c"],
    ["c", "a b"]
  ] as const)
    it(`keeps the others when ${which} of three is stopped, and takes it back at the end`, () => {
      const timers = byHand()
      timers.startAll()
      timers.queue.stop(timers[which])
      timers.queue.stop(timers[which])
      assert.isFalse(timers[which].running)
      timers.sweep(1200)
      assert.deepStrictEqual(
        timers.expired,
        left.split(" ").map((name) => `${name} 1200`)
      )
      const again = byHand()
      again.startAll()
      again.at(1050)
      again.queue.start(again[which])
      again.sweep(2000)
      assert.deepStrictEqual(
        again.expired,
        [...left.split(" "), which].map((name) => `${name} 2000`)
      )
    })

  it("goes on with what is started after all were stopped", () => {
    const { a, at, b, c, expired, queue, startAll, sweep } = byHand()
    startAll()
    for (const timeout of [c, a, b]) queue.stop(timeout)
    assert.strictEqual(queue.nearest(), Number.POSITIVE_INFINITY)
    at(1500)
    queue.start(b)
    queue.start(a)
    queue.stop(b)
    assert.strictEqual(queue.nearest(), 1600)
    sweep(1600)
    assert.deepStrictEqual(expired, ["a 1600"])
  })

  it("wakes its fiber for the nearest only", () => {
    const { a, b, c, queue, wakes } = byHand()
    queue.start(a)
    queue.start(b)
    assert.deepStrictEqual(wakes, [1100])
    queue.stop(a)
    queue.start(c)
    assert.deepStrictEqual(wakes, [1100])
    assert.strictEqual(queue.nearest(), 1100)
  })

  it("rests after a sweep that came late, and takes together what is due by then", () => {
    const { a, at, b, c, expired, queue, startAll, sweep, wakes } = byHand(10)
    startAll()
    sweep(1100.5)
    assert.strictEqual(queue.nearest(), 1110.5)
    sweep(1110.5)
    assert.deepStrictEqual(expired, ["a 1100.5", "b 1110.5", "c 1110.5"])
    assert.strictEqual(queue.nearest(), Number.POSITIVE_INFINITY)
    // What is due after the rest is not put off.
    queue.start(a)
    assert.deepStrictEqual([wakes.at(-1), queue.nearest()], [1210.5, 1210.5])
    // What would be due within it is.
    sweep(1300)
    queue.start(b, 1205)
    assert.deepStrictEqual([wakes.at(-1), queue.nearest()], [1310, 1310])
    // A sweep in the meantime takes what is due.
    at(1306)
    queue.start(c)
    sweep(1306)
    assert.deepStrictEqual(expired.slice(3), ["a 1300", "b 1306"])
  })

  it("does not rest after a sweep that came in time", () => {
    const { expired, queue, startAll, sweep } = byHand(10)
    startAll()
    for (const time of [1100, 1101, 1102]) {
      assert.strictEqual(queue.nearest(), time)
      sweep(time)
    }
    assert.deepStrictEqual(expired, ["a 1100", "b 1101", "c 1102"])
  })

  it("tells for how long a timeout has been running", () => {
    const { a, at, queue } = byHand()
    assert.strictEqual(queue.elapsed(a), 0)
    queue.start(a)
    at(1030)
    assert.strictEqual(queue.elapsed(a), 30)
    queue.stop(a)
    assert.strictEqual(queue.elapsed(a), 0)
  })

  it("keeps its rhythm after a late sweep, and skips the rounds of a long pause", () => {
    const { a, at, b, expired, queue, sweep } = byHand()
    queue.start(a)
    queue.start(b)
    at(1130)
    // While it runs still: it is not in the queue twice.
    queue.repeat(a, 1130)
    assert.strictEqual(a.at, 1200)
    sweep(1200)
    assert.deepStrictEqual(expired, ["b 1200", "a 1200"])
    queue.repeat(a, 1300)
    assert.strictEqual(a.at, 1400)
    queue.repeat(a, 1499)
    assert.strictEqual(a.at, 1500)
    queue.repeat(a, 1700)
    assert.strictEqual(a.at, 1800)
  })
})

describe("timeout queues on one fiber", () => {
  it.scoped("expire to the millisecond, the queue made first before the others", () =>
    Effect.gen(function* () {
      const expired: Array<string> = []
      const queues = yield* TimeoutQueues.make
      const expire = (value: string, now: number) => expired.push(`${value} ${now}`)
      const second = queues.queue("2 seconds", expire)
      const first = queues.queue("1 second", expire)
      second.start(new TimeoutQueues.Timeout("long"))
      yield* TestClock.adjust("1 second")
      first.start(new TimeoutQueues.Timeout("short"))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(expired, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(expired, ["long 2000", "short 2000"])
      first.start(new TimeoutQueues.Timeout("again"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(expired.slice(2), ["again 3000"])
    })
  )

  it.scoped("go on to the next of each queue after one expired", () =>
    Effect.gen(function* () {
      const expired: Array<string> = []
      const queues = yield* TimeoutQueues.make
      const expire = (value: string, now: number) => expired.push(`${value} ${now}`)
      const [first, second] = [queues.queue("1 second", expire), queues.queue("5 seconds", expire)]
      second.start(new TimeoutQueues.Timeout("long"))
      first.start(new TimeoutQueues.Timeout("one"))
      yield* TestClock.adjust("500 millis")
      first.start(new TimeoutQueues.Timeout("two"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(expired, ["one 1000", "two 1500", "long 5000"])
    })
  )

  it.effect("tell the time of a message in whole milliseconds", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      yield* TestClock.adjust("1500 micros")
      assert.strictEqual(TimeoutQueues.sentAt({ ...clock, unsafeCurrentTimeNanos: () => 1_600_000n }), 2)
      assert.strictEqual(TimeoutQueues.monotonicMillis({ ...clock, unsafeCurrentTimeNanos: () => 1_500_000n }), 1.5)
    })
  )
})
