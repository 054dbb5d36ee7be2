import { performance } from "node:perf_hooks"
import { describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { expect } from "vitest"
import * as EventLoop from "../../../src/stratix-gateway/runtime/EventLoop.js"

/** Uses the processor for some milliseconds. */
const work = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until);
}

/** How many turns of the event loop have ended. */
const countTurns = () => {
  let turns = 0
  let handle = setImmediate(function next() {
    turns++
    handle = setImmediate(next)
  })
  return { count: () => turns, stop: () => clearImmediate(handle) }
}

/** Takes parts of a work, and says in which turn each was done. */
const parts = (count: number, millis: number, turn: () => number) =>
  Effect.gen(function* () {
    const turns: Array<number> = []
    for (let n = 0; n < count; n++) {
      work(millis)
      turns.push(turn())
      yield* EventLoop.step
    }
    return turns
  })

describe("EventLoop.step", () => {
  it.live("cuts the works of many into turns that have one step of time together", () =>
    Effect.gen(function* () {
      yield* EventLoop.nextTurn
      const turns = countTurns()
      const done = yield* Effect.forEach(
        Array.from({ length: 8 }),
        () => parts(3, EventLoop.STEP_MILLIS, turns.count),
        { concurrency: "unbounded" }
      )
      turns.stop()
      // The first parts are begun in one turn, as nobody knows yet how long they take.
      const later = done.flatMap((of) => of.slice(1))
      expect(new Set(later).size).toBe(later.length)
    })
  )

  it.live("serves those who wait in order, each once before any is served again", () =>
    Effect.gen(function* () {
      yield* EventLoop.nextTurn
      const served: Array<number> = []
      yield* Effect.forEach(
        [0, 1, 2],
        (id) =>
          Effect.repeatN(
            Effect.zipRight(
              Effect.sync(() => {
                work(EventLoop.STEP_MILLIS)
                served.push(id)
              }),
              EventLoop.step
            ),
            2
          ),
        { concurrency: "unbounded" }
      )
      expect(served.slice(3)).toEqual([0, 1, 2, 0, 1, 2])
    })
  )

  it.live("does not wait where there is time left in the turn", () =>
    Effect.gen(function* () {
      yield* EventLoop.nextTurn
      const turns = countTurns()
      yield* Effect.repeatN(EventLoop.step, 10)
      expect(turns.count()).toBe(0)
      turns.stop()
    })
  )

  it.live("gives the turn of a work that was interrupted to the next one", () =>
    Effect.gen(function* () {
      yield* EventLoop.nextTurn
      const first = yield* Effect.fork(parts(2, EventLoop.STEP_MILLIS, () => 0))
      const second = yield* Effect.fork(parts(2, EventLoop.STEP_MILLIS, () => 0))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      expect(yield* Fiber.join(second)).toHaveLength(2)
    })
  )
})
