import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { GroupCommit } from "../../../../src/stratix-gateway/log/redis/GroupCommit.js"
import { note } from "../../../../src/stratix-testing/suites/drafts.js"

const MEGABYTE = 1024 * 1024
const large = { ...note(), json: "x".repeat(MEGABYTE) }

describe("appends that wait for Redis", () => {
  it.effect("are bounded by their size: what is above it is refused at once, and is told of as not published", () =>
    Effect.gen(function* () {
      const commit = new GroupCommit(() => 0, 2000)
      commit.setOpen(true)
      // None is sent: the engine is slow.
      const waiting = yield* Effect.forEach(Array.from({ length: 16 }), () => Effect.fork(commit.append([large])))
      yield* Effect.yieldNow()
      const refused = yield* Effect.exit(commit.append([large]))
      assert.include(String(refused), "too much waits for the log")
      assert.deepStrictEqual(commit.failures, { unavailable: 1, uncertain: 0 })
      const batch = yield* commit.next
      assert.lengthOf(batch.requests, 16)
      // What is under way waits no more: there is room again.
      const next = yield* Effect.fork(commit.append([large]))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isFailure(refused))
      assert.strictEqual(commit.failures.unavailable, 1)
      commit.close()
      const ends = yield* Effect.forEach([...waiting, next], Fiber.await)
      assert.isTrue(ends.every(Exit.isFailure))
    })
  )
})
