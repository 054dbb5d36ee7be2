import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { recorded, refusal, refusals } from "../support/gateway.js"

const from = (remoteAddress: string) => ({ remoteAddress })

describe("refusals in the log", () => {
  it.effect("are one line for each reason in ten seconds, with the number of those that are not said", () => {
    const lines: Array<string> = []
    const said = () => lines.splice(0).filter((line) => line.includes('"module":"Refusals"'))
    return Effect.gen(function* () {
      const before = yield* refusals("unauthenticated")
      for (let n = 0; n < 5; n++) yield* refusal(from("203.0.113.7"))
      yield* refusal({ path: "/nowhere" })
      const [first, second, ...more] = said()
      assert.match(
        first ?? "",
        /^WARN refused: a token is needed .*"reason":"unauthenticated","remoteAddress":"203\.0\.113\.7"/
      )
      assert.match(second ?? "", /^WARN refused: there is no WebSocket at \/nowhere.*"reason":"not_found"/)
      assert.deepStrictEqual(more, [])
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust("1 millis")
      assert.match(
        said().join(),
        /^WARN refused 4 more for the same reason \{"module":"Refusals","reason":"unauthenticated"\}$/
      )
      for (let n = 0; n < 3; n++) yield* refusal()
      yield* TestClock.adjust("10 seconds")
      assert.match(said().join(), /^WARN refused 3 more for the same reason/)
      yield* TestClock.adjust("10 seconds")
      yield* refusal()
      assert.match(said().join(), /^WARN refused: a token is needed/)
      assert.strictEqual((yield* refusals("unauthenticated")) - before, 9)
    }).pipe(
      Effect.provide(Layer.provideMerge(StatusSyncTest.layerWith({}, Authenticator.layerTokens([])), recorded(lines)))
    )
  })

  it.effect("do not grow with what a client writes, nor say anything to a terminal", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      yield* refusal({ path: `/${"x".repeat(10_000)}` })
      yield* refusal({ headers: { origin: "https://\u009b2J\u001b[2Jevil.example" } })
      assert.isTrue(lines.some((line) => line.includes("https://?2J?[2Jevil.example")))
      for (const line of lines) {
        assert.isBelow(line.length, 500)
        assert.notMatch(line, /\p{Cc}/u)
      }
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layer, recorded(lines))))
  })
})
