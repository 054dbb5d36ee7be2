import { Effect, Metric } from "effect"
import { MetricsCollector } from "../../../src/stratix-gateway/internals.js"
import * as Prometheus from "../../../src/stratix-gateway/telemetry/Prometheus.js"

/** The samples of an exposition: `name{label="value"}` to its number. */
export const samplesIn = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))])
  )

/** What Effect's registry has, as an exporter finds it. */
export const registered = Effect.map(Metric.snapshot, (pairs) => samplesIn(Prometheus.render(pairs, "stratix_")))

/** What the gateway says at this moment. */
export const samples = Effect.flatMap(MetricsCollector.MetricsCollector, ({ collect }) =>
  Effect.zipRight(collect, registered)
)

/** By how much samples have changed, without those that have not: others in the process count in the same metrics. */
export const grown = (
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...after].flatMap(([name, value]) => {
      const by = value - (before.get(name) ?? 0)
      return by === 0 || /^stratix_(event_loop|resident)/.test(name) ? [] : [[name, by]]
    })
  )
