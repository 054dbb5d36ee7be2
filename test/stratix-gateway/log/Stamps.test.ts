import { assert, describe, it } from "@effect/vitest"
import { Effect, FiberRef, Layer, Option, TestClock } from "effect"
import * as Channel from "../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../src/stratix-gateway/channel/Link.js"
import * as Primary from "../../../src/stratix-gateway/channel/Primary.js"
import { Reports } from "../../../src/stratix-gateway/channel/Reports.js"
import * as Stamps from "../../../src/stratix-gateway/log/Stamps.js"

describe("stamps", () => {
  it.effect("tell the time, and are never equal: not in one millisecond, nor after the clock was set back", () =>
    Effect.gen(function* () {
      const { next } = yield* Stamps.Stamps
      const ids = (count: number) => Array.from({ length: count }, () => next().requestId)
      assert.deepStrictEqual(ids(3), ["stratix-req-0", "stratix-req-0-1", "stratix-req-0-2"])
      yield* TestClock.setTime(500)
      assert.deepStrictEqual(next(), { timestamp: 500, requestId: "stratix-req-500" })
      assert.deepStrictEqual(next(), { timestamp: 500, requestId: "stratix-req-500-1" })
      yield* TestClock.setTime(400)
      assert.deepStrictEqual(next(), { timestamp: 400, requestId: "stratix-req-500-2" })
      yield* TestClock.setTime(501)
      assert.deepStrictEqual(ids(2), ["stratix-req-501", "stratix-req-501-1"])
    }).pipe(Effect.provide(Stamps.layer))
  )

  it.effect("of a worker have its number in them", () => {
    const link = new Link(Channel.memory()[0])
    const worker = { link, reports: new Reports(link), number: 3, count: 4, port: undefined }
    return Effect.gen(function* () {
      const { next } = yield* Stamps.Stamps
      assert.deepStrictEqual([next().requestId, next().requestId], ["stratix-req-0-w3", "stratix-req-0-w3-1"])
    }).pipe(Effect.provide(Layer.provide(Stamps.layer, Layer.succeed(Primary.Primary, worker))))
  })
})

describe("a request id of the caller's", () => {
  it.effect("holds for what is inside, and for nothing else", () =>
    Effect.gen(function* () {
      const current = FiberRef.get(Stamps.currentRequestId)
      assert.deepStrictEqual(yield* Stamps.withRequestId("mine")(current), Option.some("mine"))
      assert.deepStrictEqual(yield* current, Option.none())
    })
  )
})
