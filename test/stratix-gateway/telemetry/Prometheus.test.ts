import { assert, describe, it } from "@effect/vitest"
import * as Prometheus from "../../../src/stratix-gateway/telemetry/Prometheus.js"

const family = (type: "counter" | "gauge", ...samples: Array<readonly [string, number]>) => ({
  type,
  help: "",
  samples
})

describe("the metrics of several workers", () => {
  it("are summed, but for those of the one log that each of them tells", () => {
    const part = (connections: number, keys: number, more: Prometheus.Families = {}): Prometheus.Families => ({
      stratix_connections: family("gauge", ["stratix_connections", connections]),
      stratix_keys: family("gauge", ["stratix_keys", keys]),
      ...more
    })
    const leaves = { stratix_leaves_total: family("counter", ['stratix_leaves_total{code="1001"}', 2]) }
    const merged = Prometheus.merge([part(3, 7), part(4, 6, leaves), part(0, 0, leaves)])
    assert.strictEqual(
      Prometheus.text(merged),
      [
        "# HELP stratix_connections ",
        "# TYPE stratix_connections gauge",
        "stratix_connections 7",
        "# HELP stratix_keys ",
        "# TYPE stratix_keys gauge",
        "stratix_keys 7",
        "# HELP stratix_leaves_total ",
        "# TYPE stratix_leaves_total counter",
        'stratix_leaves_total{code="1001"} 4',
        ""
      ].join("\n")
    )
    assert.deepStrictEqual(Object.keys(Prometheus.counted(merged)), ["stratix_leaves_total"])
  })
})
