import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Metric, Schema } from "effect"
import { StatusSyncConfig } from "../../src/stratix-gateway/index.js"
import { Metrics } from "../../src/stratix-gateway/internals.js"
import * as Prometheus from "../../src/stratix-gateway/telemetry/Prometheus.js"
import { samplesIn } from "../stratix-gateway/support/metrics.js"
import { promtool } from "../support/promtool.js"

const folder = new URL("../../docs/operations/", import.meta.url)
const read = (name: string) => readFileSync(new URL(name, folder), "utf8")
const pathOf = (name: string) => fileURLToPath(new URL(name, folder))

Metrics.register()
const samples = [...samplesIn(Prometheus.render(Metric.unsafeSnapshot(), "stratix_")).keys()]
/** What can be asked of Prometheus: a histogram is three of these. */
const metrics = new Set(samples.map((sample) => sample.split("{", 1)[0] ?? ""))
/** Every pair of a metric and a label it has; `instance` and `job` are Prometheus's own, `le` a histogram's. */
const labels = new Set(
  samples.flatMap((sample) =>
    [...sample.matchAll(/(\w+)="([^"]*)"/g)].flatMap(([, label, value]) => {
      const metric = sample.split("{", 1)[0]
      return [`${metric} ${label}`, `${metric} ${label}=${value}`]
    })
  )
)

/** What of an expression does not exist. */
const strangers = (expression: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const [name] of expression.matchAll(/\bstratix_\w+/g)) if (!metrics.has(name)) found.push(name)
  for (const [, metric, selector] of expression.matchAll(/\b(stratix_\w+)\{([^}]*)\}/g)) {
    for (const [, label, operator, value] of (selector ?? "").matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (label === "instance") continue
      for (const one of operator === "=~" || operator === "!~" ? (value ?? "").split("|") : [value]) {
        if (!labels.has(`${metric} ${label}=${one}`)) found.push(`${metric}{${label}="${one}"}`)
      }
    }
  }
  return found
}

const Target = Schema.Struct({
  refId: Schema.NonEmptyString,
  expr: Schema.NonEmptyString,
  legendFormat: Schema.NonEmptyString
})
const GridPos = Schema.Struct({
  h: Schema.Positive,
  w: Schema.Int.pipe(Schema.between(1, 24)),
  x: Schema.Int,
  y: Schema.Int
})
const common = { id: Schema.Int, title: Schema.NonEmptyString, gridPos: GridPos }
const Row = Schema.Struct({ ...common, type: Schema.Literal("row") })
const Chart = Schema.Struct({
  ...common,
  type: Schema.Literal("timeseries"),
  description: Schema.NonEmptyString,
  datasource: Schema.Struct({
    type: Schema.Literal("prometheus"),
    uid: Schema.String.pipe(Schema.pattern(/^\$\{datasource\}$/))
  }),
  fieldConfig: Schema.Struct({ defaults: Schema.Struct({ unit: Schema.NonEmptyString }) }),
  targets: Schema.NonEmptyArray(Target)
})
/** As much of Grafana's dashboard model as an import needs. */
const Dashboard = Schema.Struct({
  uid: Schema.NonEmptyString,
  title: Schema.NonEmptyString,
  schemaVersion: Schema.Int,
  annotations: Schema.Struct({
    list: Schema.Array(Schema.Struct({ name: Schema.NonEmptyString, expr: Schema.NonEmptyString }))
  }),
  templating: Schema.Struct({
    list: Schema.Array(Schema.Struct({ name: Schema.NonEmptyString, type: Schema.NonEmptyString }))
  }),
  panels: Schema.Array(Schema.Union(Row, Chart))
})

const dashboard = Schema.decodeUnknownSync(Schema.parseJson(Dashboard))(read("dashboard.json"))
const charts = dashboard.panels.filter((panel) => panel.type === "timeseries")
const rules = read("alerts.yml")

describe("docs/operations/dashboard.json", () => {
  it("has panels that can be told apart and do not lie on each other", () => {
    const ids = dashboard.panels.map(({ id }) => id)
    assert.strictEqual(new Set(ids).size, ids.length)
    const taken = new Set<string>()
    for (const { gridPos, title } of dashboard.panels) {
      assert.isAtMost(gridPos.x + gridPos.w, 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.isFalse(taken.has(`${x},${y}`), title)
          taken.add(`${x},${y}`)
        }
      }
    }
    for (const { targets, title } of charts) {
      assert.strictEqual(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
    }
  })

  it("names only metrics and labels that exist, and variables it has", () => {
    const variables = new Set([...dashboard.templating.list.map(({ name }) => name), "__rate_interval"])
    for (const { targets, title } of charts) {
      for (const { expr, legendFormat } of targets) {
        assert.match(expr, /stratix_/)
        assert.deepStrictEqual(strangers(expr), [], title)
        for (const [, name] of expr.matchAll(/\$\{?(\w+)/g))
          assert.isTrue(variables.has(name ?? ""), `${title}: $${name}`)
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          const metric = /stratix_\w+/.exec(expr)?.[0]
          assert.isTrue(label === "instance" || labels.has(`${metric} ${label}`), `${title}: ${label} of ${metric}`)
        }
      }
    }
  })

  it("asks what Prometheus understands", () => {
    const ofCharts = charts.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const ofAnnotations = dashboard.annotations.list.map(({ expr }) => expr)
    for (const expr of ofAnnotations) assert.deepStrictEqual(strangers(expr), [])
    const asked = [...ofCharts, ...ofAnnotations].map((expr) => expr.replaceAll("$__rate_interval", "5m"))
    const file = { groups: [{ name: "dashboard", rules: asked.map((expr, i) => ({ record: `panel:${i}`, expr })) }] }
    const scratch = mkdtempSync(join(tmpdir(), "stratix-dashboard-"))
    try {
      // JSON is YAML.
      writeFileSync(join(scratch, "rules.yml"), JSON.stringify(file))
      const { said, status } = promtool(["check", "rules", join(scratch, "rules.yml")])
      assert.strictEqual(status, 0, said)
    } finally {
      rmSync(scratch, { recursive: true })
    }
  })

  it("shows every metric there is", () => {
    const shown = charts.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/stratix_\w+/g) ?? []))
    const families = new Set([...metrics].map((name) => name.replace(/_(bucket|sum|count)$/, "")))
    assert.deepStrictEqual(
      [...families].filter((name) => !shown.some((one) => one.startsWith(name))),
      []
    )
  })
})

describe("docs/operations/alerts.yml", () => {
  it("is accepted by promtool", () => {
    const { said, status } = promtool(["check", "rules", pathOf("alerts.yml")])
    assert.strictEqual(status, 0, said)
  })

  it("names only metrics, labels and settings that exist", () => {
    assert.deepStrictEqual(strangers(rules), [])
    const settings = new Set(Object.values(StatusSyncConfig.knobs).map(({ env }) => env))
    for (const [name] of rules.matchAll(/STRATIX_\w+/g)) assert.isTrue(settings.has(name), name)
  })

  it("fires when it should, and not before", () => {
    const { said, status } = promtool(["test", "rules", pathOf("alerts.test.yml")])
    assert.strictEqual(status, 0, said)
  })
})

describe("docs/operations/README.md", () => {
  it("says what to do about every alert, and names only metrics that exist", () => {
    const page = read("README.md")
    for (const [, alert] of rules.matchAll(/- alert: (\w+)/g)) assert.include(page, `\`${alert}\``)
    for (const [name] of page.matchAll(/\bstratix_\w+/g)) {
      assert.isTrue(
        [...metrics].some((metric) => metric === name || metric.startsWith(`${name}_`)),
        name
      )
    }
    const described = new Set([...page.matchAll(/^\| `(stratix_\w+)`/gm)].map(([, name]) => name))
    for (const metric of metrics) {
      assert.isTrue(described.has(metric.replace(/_(bucket|sum|count)$/, "")), `${metric} is not in the table`)
    }
  })
})
