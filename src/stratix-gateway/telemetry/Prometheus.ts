/**
 * Metrics in the text exposition format 0.0.4 of Prometheus.
 */
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** The content type of that format. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

interface Family {
  readonly type: "counter" | "gauge" | "histogram"
  readonly help: string
  readonly samples: Array<string>
}

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const labels = (pairs: ReadonlyArray<readonly [name: string, value: string]>): string =>
  pairs.length === 0
    ? ""
    : `{${pairs.map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`).join(",")}}`

/** Renders the counters, gauges and histograms whose name begins with `prefix`, by name. Other kinds are left out: the gateway has none. */
export const render = (metrics: ReadonlyArray<MetricPair.MetricPair.Untyped>, prefix: string): string => {
  const families = new Map<string, Family>()
  const family = (name: string, type: Family["type"], description: Option.Option<string>): Array<string> => {
    const known = families.get(name)
    if (known !== undefined) return known.samples
    const samples: Array<string> = []
    families.set(name, { type, help: escaped(Option.getOrElse(description, () => name)), samples })
    return samples
  }
  for (const { metricKey, metricState } of metrics) {
    const { description, name } = metricKey
    if (!name.startsWith(prefix)) continue
    const tags = metricKey.tags.map(({ key, value }) => [key, value] as const)
    if (MetricState.isCounterState(metricState)) {
      family(name, "counter", description).push(`${name}${labels(tags)} ${metricState.count}`)
    } else if (MetricState.isGaugeState(metricState)) {
      family(name, "gauge", description).push(`${name}${labels(tags)} ${metricState.value}`)
    } else if (MetricState.isHistogramState(metricState)) {
      family(name, "histogram", description).push(
        ...metricState.buckets
          .filter(([bound]) => Number.isFinite(bound))
          .map(([bound, count]) => `${name}_bucket${labels([...tags, ["le", String(bound)]])} ${count}`),
        `${name}_bucket${labels([...tags, ["le", "+Inf"]])} ${metricState.count}`,
        `${name}_sum${labels(tags)} ${metricState.sum}`,
        `${name}_count${labels(tags)} ${metricState.count}`
      )
    }
  }
  return [...families]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { help, samples, type }]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join("\n")}\n`)
    .join("")
}
