import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Runtime, TestClock } from "effect"
import * as Channel from "../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../src/stratix-gateway/channel/Link.js"
import { Reports } from "../../../src/stratix-gateway/channel/Reports.js"
import * as Tally from "../../../src/stratix-gateway/channel/Tally.js"
import { Answers } from "../../../src/stratix-gateway/workers/Answers.js"

/** Workers that have so many of each name. */
const workers = (all: ReadonlyArray<Readonly<Record<string, number>>>) =>
  Effect.gen(function* () {
    const answers = new Answers(() => undefined, Runtime.runFork(yield* Effect.runtime<never>()))
    return all.map((has) => {
      const [theirs, ours] = Channel.memory()
      const link = new Link(theirs)
      answers.add(link)
      answers.serve(link)
      link.open()
      const own = new Link(ours)
      const count = Tally.make({ reports: new Reports(own) }, "count", (of) => has[of] ?? 0)
      return { count, open: () => own.open(), end: () => own.end() }
    })
  })

describe("a number of a gateway with workers", () => {
  it.effect("is the sum over all of them, whichever is asked, and without those that have ended", () =>
    Effect.gen(function* () {
      const [one, two, three] = yield* workers([{ a: 1, b: 5 }, { a: 2 }, { a: 4 }])
      if (one === undefined || two === undefined || three === undefined) return assert.fail("three workers")
      for (const { open } of [one, two, three]) open()
      for (const { count } of [one, two, three]) {
        assert.strictEqual(yield* count("a"), 7)
        assert.strictEqual(yield* count("b"), 5)
      }
      two.end()
      assert.strictEqual(yield* one.count("a"), 5)
    })
  )

  it.effect("leaves out a worker that hangs, after 2 s", () =>
    Effect.gen(function* () {
      const [one, hangs] = yield* workers([{ a: 1 }, { a: 2 }])
      if (one === undefined || hangs === undefined) return assert.fail("two workers")
      one.open()
      const asked = yield* Effect.fork(one.count("a"))
      yield* TestClock.adjust("1999 millis")
      assert.isTrue(Effect.runSync(Fiber.poll(asked))._tag === "None")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(asked), 1)
    })
  )

  it.effect("is that of the worker itself once the primary has ended", () =>
    Effect.gen(function* () {
      const [one, two] = yield* workers([{ a: 1 }, { a: 2 }])
      if (one === undefined || two === undefined) return assert.fail("two workers")
      for (const { end, open } of [one, two]) {
        open()
        end()
      }
      assert.strictEqual(yield* one.count("a"), 1)
    })
  )
})
