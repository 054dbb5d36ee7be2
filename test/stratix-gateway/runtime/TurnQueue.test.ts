import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TurnQueue from "../../../src/stratix-gateway/runtime/TurnQueue.js"
import { nextTurn } from "../../support/waiting.js"

describe("what clients ask for in one turn", () => {
  it.live("is done in order, 5 ms of it in a turn", () =>
    Effect.gen(function* () {
      let now = 0
      const done: Array<string> = []
      const queue = yield* TurnQueue.make<readonly [name: string, millis: number]>(
        ([name, millis]) => {
          done.push(name)
          now += millis
        },
        () => now
      )
      const seen = () => done.splice(0).join("")
      for (const name of "abcde") queue([name, 3])
      assert.strictEqual(seen(), "ab")
      yield* nextTurn
      queue(["f", 3])
      assert.strictEqual(seen(), "cd")
      yield* nextTurn
      assert.strictEqual(seen(), "ef")
      yield* nextTurn
      queue(["g", 3])
      assert.strictEqual(seen(), "g")
    })
  )
})
