import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, TestClock } from "effect"
import { vi } from "vitest"
import * as FanoutFaults from "../../../src/stratix-gateway/fanout/FanoutFaults.js"
import { Broadcast, Metrics } from "../../../src/stratix-gateway/internals.js"
import { version } from "../../../src/stratix-gateway/runtime/Version.js"
import { quiet, request } from "../support/gateway.js"
import { overWs } from "../support/gateways.js"

describe("faults of the fan-out", () => {
  it.effect("are failing when three came within a minute, and no longer when that minute is over", () =>
    Effect.gen(function* () {
      const { isFailing, record } = yield* FanoutFaults.make
      const before = (yield* Metric.value(Metrics.fanoutFaults)).count
      record(new Error("one"))
      yield* TestClock.adjust("30 seconds")
      record(new Error("two"))
      assert.isFalse(isFailing())
      yield* TestClock.adjust("29 seconds")
      record(new Error("three"))
      assert.isTrue(isFailing())
      yield* TestClock.adjust("999 millis")
      assert.isTrue(isFailing())
      yield* TestClock.adjust("1 millis")
      assert.isFalse(isFailing())
      assert.strictEqual((yield* Metric.value(Metrics.fanoutFaults)).count - before, 3)
    }).pipe(Effect.provide(quiet))
  )

  it.live("that repeat make healthz 503", () =>
    Effect.gen(function* () {
      const failing = vi.spyOn(yield* Broadcast.Broadcast, "isFailing").mockReturnValue(true)
      const answer = yield* request("GET", "/healthz")
      assert.deepStrictEqual([answer.status, answer.body], [503, { status: "failing", version }])
      failing.mockReturnValue(false)
      assert.strictEqual((yield* request("GET", "/healthz")).status, 200)
    }).pipe(Effect.provide(overWs()))
  )
})
