import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger } from "effect"
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
  it.live("goes on after work that throws, which is logged", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, message }) => void logged.push(`${message} ${Cause.pretty(cause)}`))
    return Effect.gen(function* () {
      const done: Array<string> = []
      const queue = yield* TurnQueue.make<string>((name) => {
        if (name === "b") throw new Error("b is broken")
        done.push(name)
      })
      for (const name of "abc") queue(name)
      yield* nextTurn
      assert.deepStrictEqual(done, ["a", "c"])
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0] ?? "", /could not be handled[\s\S]*b is broken/)
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})
