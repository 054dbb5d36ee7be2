import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { StatusSync } from "../../../src/stratix-gateway/index.js"
import * as Prometheus from "../../../src/stratix-gateway/telemetry/Prometheus.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { promtool } from "../../support/promtool.js"
import { port, quiet } from "../support/gateway.js"

const accepted = { status: 0, said: "" }

describe("promtool, which reads as Prometheus does", () => {
  it.live("accepts what GET /metrics says", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* client.take
      yield* sync.notifyAgentStatus("a", "busy")
      yield* client.take
      const at = yield* port
      const text = yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${at}/metrics`)).text())
      assert.include(text, "stratix_deliveries_total")
      assert.deepStrictEqual(promtool(["check", "metrics"], text), accepted)
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layerWs(), quiet)))
  )

  it("accepts what is escaped", () => {
    Metric.tagged(
      Metric.counter("escaped_test_total", { description: "a \\ and\na line" }),
      "what",
      'a "b"\n\\'
    ).unsafeUpdate(2, [])
    const text = Prometheus.render(Metric.unsafeSnapshot(), "escaped_")
    assert.include(text, "escaped_test_total")
    assert.deepStrictEqual(promtool(["check", "metrics"], text), accepted)
  })

  it("complains of what cannot be read", () => {
    assert.notStrictEqual(promtool(["check", "metrics"], "stratix_x{ 1\n").status, 0)
  })
})
