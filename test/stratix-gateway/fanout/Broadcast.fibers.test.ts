import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { nextTurn } from "../../support/waiting.js"

describe("no fiber, timer or queue for a connection", () => {
  it.effect("1,000 connections add no fiber", () =>
    Effect.gen(function* () {
      const before = [...Fiber.unsafeRoots()].length
      yield* Effect.replicateEffect(TestClients.connect({ protocols: ["stratix.sync.v1"] }), 1000)
      yield* StatusSyncTest.settled
      yield* nextTurn
      assert.strictEqual([...Fiber.unsafeRoots()].length, before)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})
