/**
 * Metrics in the text exposition format 0.0.4 of Prometheus.
 */
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** The content type of that format. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

/** Prefix of the gateway's own metrics: a host application has others in the same registry, and an exporter of its own for them. */
export const OWN = "stratix_"

/** What a worker is asked for; the primary answers with the text for all. */
export const QUESTION = "metrics"

interface Family {
  readonly type: "counter" | "gauge" | "histogram"
  readonly help: string
  /** Values by what stands before them on their lines. */
  readonly samples: Array<readonly [name: string, value: number]>
}

/** Metrics by name. Plain data: it can be told to another process. */
export type Families = Readonly<Record<string, Family>>

/** What each process of a gateway tells of its one log, and what is the most of something. */
const OF_ALL: ReadonlySet<string> = new Set([
  "stratix_agents",
  "stratix_build_info",
  "stratix_commands",
  "stratix_events_total",
  "stratix_history_bytes",
  "stratix_history_events",
  "stratix_keys",
  "stratix_keys_dropped_total",
  "stratix_leases",
  "stratix_leases_expired_total",
  "stratix_log_epochs_total",
  "stratix_log_stale_seconds",
  "stratix_log_unread_events",
  "stratix_max_lag_events",
  "stratix_max_lag_seconds",
  "stratix_max_screen_lag_seconds",
  "stratix_removal_marks"
])

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const labels = (pairs: ReadonlyArray<readonly [name: string, value: string]>): string =>
  pairs.length === 0
    ? ""
    : `{${pairs.map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`).join(",")}}`

/** The counters, gauges and histograms whose name begins with `prefix`. Other kinds are left out: the gateway has none. */
export const read = (metrics: ReadonlyArray<MetricPair.MetricPair.Untyped>, prefix: string): Families => {
  const families: Record<string, Family> = {}
  const family = (name: string, type: Family["type"], description: Option.Option<string>): Family["samples"] => {
    const known = families[name]
    if (known !== undefined) return known.samples
    const samples: Family["samples"] = []
    families[name] = { type, help: escaped(Option.getOrElse(description, () => name)), samples }
    return samples
  }
  for (const { metricKey, metricState } of metrics) {
    const { description, name } = metricKey
    if (!name.startsWith(prefix)) continue
    const tags = metricKey.tags.map(({ key, value }) => [key, value] as const)
    if (MetricState.isCounterState(metricState)) {
      family(name, "counter", description).push([`${name}${labels(tags)}`, Number(metricState.count)])
    } else if (MetricState.isGaugeState(metricState)) {
      family(name, "gauge", description).push([`${name}${labels(tags)}`, Number(metricState.value)])
    } else if (MetricState.isHistogramState(metricState)) {
      family(name, "histogram", description).push(
        ...metricState.buckets
          .filter(([bound]) => Number.isFinite(bound))
          .map(([bound, count]) => [`${name}_bucket${labels([...tags, ["le", String(bound)]])}`, count] as const),
        [`${name}_bucket${labels([...tags, ["le", "+Inf"]])}`, metricState.count],
        [`${name}_sum${labels(tags)}`, metricState.sum],
        [`${name}_count${labels(tags)}`, metricState.count]
      )
    }
  }
  return families
}

/** How the values of the processes of one gateway become one: their sum, unless each of them tells the same of all. */
const together = (name: string, values: ReadonlyArray<number>): number => {
  if (name === "stratix_start_time_seconds") return Math.min(...values)
  return OF_ALL.has(name) ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0)
}

/** The metrics of several processes as those of one. */
export const merge = (parts: ReadonlyArray<Families>): Families => {
  const merged: Record<string, Family> = {}
  for (const name of new Set(parts.flatMap((part) => Object.keys(part)))) {
    const values = new Map<string, Array<number>>()
    let known: Family | undefined
    for (const part of parts) {
      const family = part[name]
      known ??= family
      for (const [sample, value] of family?.samples ?? []) values.set(sample, [...(values.get(sample) ?? []), value])
    }
    if (known === undefined) continue
    merged[name] = { ...known, samples: [...values].map(([sample, all]) => [sample, together(name, all)]) }
  }
  return merged
}

/** What a process that has ended counted: it stays counted. */
export const counted = (families: Families): Families =>
  Object.fromEntries(Object.entries(families).filter(([name, { type }]) => type !== "gauge" && !OF_ALL.has(name)))

/** In the text format, by name. */
export const text = (families: Families): string =>
  Object.entries(families)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { help, samples, type }]) => {
      const lines = samples.map(([sample, value]) => `${sample} ${value}\n`).join("")
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`
    })
    .join("")

/** The metrics of this process, in the text format. */
export const render = (metrics: ReadonlyArray<MetricPair.MetricPair.Untyped>, prefix: string): string =>
  text(read(metrics, prefix))
