import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, TestClock } from "effect"
import { FlushMeter } from "../../../src/stratix-gateway/fanout/FlushMeter.js"
import { Metrics } from "../../../src/stratix-gateway/internals.js"

const observed = Effect.all([Metric.value(Metrics.flushEvents), Metric.value(Metrics.publishToSocket)])

/** The sums are those of all tests in this process, and a difference of them has their rounding errors. */
const rounded = (sum: number) => Math.round(sum * 1e6) / 1e6

/** How many observations of events and of seconds an effect adds, and their sums. */
const added = (effect: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const before = yield* observed
    yield* effect
    const after = yield* observed
    return after.map(({ count, sum }, i) => [count - (before[i]?.count ?? 0), rounded(sum - (before[i]?.sum ?? 0))])
  })

const meter = (observes: boolean) => Effect.map(Effect.clock, (clock) => new FlushMeter(clock, observes))

describe("what a flush was worth", () => {
  it.effect("is its events, and the seconds since the oldest of them", () =>
    Effect.gen(function* () {
      const measured = yield* meter(true)
      const flush = Effect.gen(function* () {
        measured.waits()
        yield* TestClock.adjust("250 millis")
        measured.waits()
        yield* TestClock.adjust("500 millis")
        measured.flushed(2, 6, 100)
      })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* added(flush), [
        [1, 2],
        [1, 0.75]
      ])
      // The next begins anew.
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* added(flush))[1], [1, 0.75])
    })
  )

  it.effect("is no time without a connection to write to", () =>
    Effect.gen(function* () {
      const measured = yield* meter(true)
      measured.waits()
      assert.deepStrictEqual(yield* added(Effect.sync(() => measured.flushed(5, 0, 0))), [
        [1, 5],
        [0, 0]
      ])
    })
  )

  it.effect("is nothing where nothing waited, or where it left the history", () =>
    Effect.gen(function* () {
      const measured = yield* meter(true)
      const flush = Effect.sync(() => measured.flushed(5, 5, 5))
      const nothing = [
        [0, 0],
        [0, 0]
      ]
      assert.deepStrictEqual(yield* added(flush), nothing)
      measured.waits()
      measured.overrun()
      assert.deepStrictEqual(yield* added(flush), nothing)
    })
  )

  it.effect("is not observed if metrics are off", () =>
    Effect.gen(function* () {
      const measured = yield* meter(false)
      measured.waits()
      assert.deepStrictEqual(yield* added(Effect.sync(() => measured.flushed(5, 5, 5))), [
        [0, 0],
        [0, 0]
      ])
    })
  )
})

describe("spans that wait for a flush", () => {
  for (const observes of [true, false]) {
    it.effect(`end with it, once, and say what it was worth, with metrics ${observes ? "on" : "off"}`, () =>
      Effect.gen(function* () {
        const measured = yield* meter(observes)
        const [one, two, later] = yield* Effect.replicateEffect(Effect.makeSpan("a publication"), 3)
        measured.waits(one)
        measured.waits()
        measured.waits(two)
        yield* TestClock.adjust("7 millis")
        measured.flushed(3, 6, 100)
        for (const span of [one, two]) {
          assert.deepInclude(span?.status, { _tag: "Ended", endTime: 7_000_000n })
          assert.deepStrictEqual(
            [...(span?.attributes ?? [])],
            [
              ["stratix.events", 3],
              ["stratix.deliveries", 6],
              ["stratix.bytes", 100]
            ]
          )
        }
        measured.waits(later)
        assert.strictEqual(later?.status._tag, "Started")
        yield* TestClock.adjust("1 millis")
        measured.flushed(1, 1, 1)
        assert.deepInclude(later?.status, { _tag: "Ended", endTime: 8_000_000n })
        assert.deepInclude(one?.status, { endTime: 7_000_000n })
      })
    )
  }

  it.effect("end when the events left the history before their flush, and say so", () =>
    Effect.gen(function* () {
      const measured = yield* meter(true)
      const span = yield* Effect.makeSpan("a publication")
      measured.waits(span)
      measured.overrun()
      assert.strictEqual(span.status._tag, "Ended")
      assert.deepStrictEqual([...span.attributes], [["stratix.overrun", true]])
    })
  )
})
