import { existsSync, readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { growth, whenFull } from "../../scripts/bench/benchmarks/growth/index.mjs"
import { chart } from "../../scripts/bench/lib/chart.mjs"
import { curvesPart, fullBetween } from "../../scripts/bench/lib/curves.mjs"
import { withFigures } from "../../scripts/bench/lib/page.mjs"

const docs = new URL("../../docs/", import.meta.url)

/** Two rounds of each curve, the second a tenth above the first. */
const rounds = (curves: { readonly [figure: string]: { readonly [x: string]: number | string } }) =>
  Object.fromEntries(
    Object.entries(curves).map(([figure, curve]) => [
      figure,
      [curve, Object.fromEntries(Object.entries(curve).map(([x, y]) => [x, typeof y === "number" ? y * 1.1 : y]))]
    ])
  )

const rate = rounds({
  "CPU %": { 10: 10, 30: 30, 100: 100 },
  "busy %": { 10: 9, 30: 28, 100: 100 },
  "load %": { 10: 5, 30: 15, 100: 50 },
  "latency p99 ms": { 10: 20, 30: 20, 100: "later than a second" },
  "CPU %, linger": { 10: 10, 30: 12, 100: 14 },
  "busy %, linger": { 10: 9, 30: 11, 100: 13 },
  "load %, linger": { 10: 5, 30: 6, 100: 7 },
  "latency p99 ms, linger": { 10: 110, 30: 112, 100: 114 }
})

describe("curves of a benchmark", () => {
  it("a core is full between the last number with room and the first without", () => {
    assert.deepStrictEqual(fullBetween({ 300: 100, 30: 40, 100: 95, 10: 10 }), { room: 30, full: 100 })
    assert.deepStrictEqual(fullBetween({ 10: 99, 30: 100 }), { room: 0, full: 10 })
    assert.isUndefined(fullBetween({ 10: 10, 30: 94 }))
  })

  it("are told with medians, with the reason where there is no figure, and with the point where the core is full", () => {
    const { text, pictures } = curvesPart(growth["growth/rate"], rate, "benchmarks")
    assert.include(text, "| 30 | 31.5 | 29.4 | 15.8 | 21.0 |")
    assert.include(text, "- latency p99 ms at 100 events per second: later than a second.")
    assert.include(text, "By default the core is full between 30 and 100 events a second.")
    assert.include(
      text,
      "At 30 events a second they still reach the last client within 21.0 ms (p99), at 100 not within"
    )
    assert.include(text, "With a linger of 100 ms none of these rates fills the core.")
    assert.include(text, "(benchmarks/rate-cpu.svg)")
    assert.deepStrictEqual(Object.keys(pictures), ["rate-cpu.svg", "rate-latency.svg"])
  })

  it("are drawn only where there is something to draw, and then nothing is said of them", () => {
    const late = { ...rate, "latency p99 ms": [{ 10: "later than a second" }] }
    const { text, pictures } = curvesPart(growth["growth/rate"], late, "benchmarks")
    assert.deepStrictEqual(Object.keys(pictures), ["rate-cpu.svg"])
    assert.notInclude(text, "the core is full between")
  })

  it("say what to do when a core is full, with their own figures", () => {
    const figures = (name: keyof typeof growth, curves: object) => ({ [name]: curves })
    const first = (all: typeof rate) => Object.fromEntries(Object.entries(all).map(([name, [curve]]) => [name, curve]))
    const text = whenFull({
      ...figures("growth/rate", first(rate)),
      ...figures("growth/bytes", { "CPU %": { 155: 5, 65536: 20 }, "CPU %, compressed": { 155: 7, 65536: 10 } }),
      ...figures("growth/filters", { "CPU %": { 1: 10, 10000: 17 } })
    })
    assert.include(text, "between 30 and 100 events a second: 30,000 to 100,000 deliveries")
    assert.include(text, "100 events a second take 14.0 % of a core in place of 100 %")
    assert.include(
      text,
      "one event a second for everybody takes 10.0 % of a core, and 10,000 for one client each take 17.0 %"
    )
    assert.include(text, "more CPU with events of 155 bytes, and less CPU with events of 65,536 bytes")
    assert.isUndefined(whenFull(figures("growth/rate", first(rate))))
  })
})

describe("a chart", () => {
  const svg = (isLog: boolean) =>
    chart({
      title: "a < b",
      description: "",
      x: { label: "x" },
      y: { label: "y", isLog },
      series: [
        { name: "one", points: [10, 100, 1000].map((x) => ({ x, y: x * 2 })) },
        { name: "two", points: [{ x: 10, y: 500 }] }
      ]
    })
  const circles = (text: string) =>
    [...text.matchAll(/<circle class="s0 mark" cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)])

  it("a curve in proportion is a straight line where both axes are logarithmic", () => {
    const [a = [], b = [], c = []] = circles(svg(true))
    const slope = ([x1 = 0, y1 = 0]: Array<number>, [x2 = 0, y2 = 0]: Array<number>) => (y1 - y2) / (x2 - x1)
    assert.closeTo(slope(a, b), slope(b, c), 0.01)
    assert.isAbove(slope(a, b), 0)
  })

  it("the vertical axis begins at 0 where it is not logarithmic", () => {
    assert.match(svg(false), />0<\/text>/)
    assert.notMatch(svg(true), />0<\/text>/)
  })

  it("has no number that is none, and no text that is markup", () => {
    const alone = { title: "", description: "", x: { label: "x" }, series: [{ name: "", points: [{ x: 10, y: 0.1 }] }] }
    const one = [true, false].map((isLog) => chart({ ...alone, y: { label: "y", isLog } }))
    for (const text of [svg(true), svg(false), ...one]) assert.notMatch(text, /NaN|Infinity|undefined|a < b/)
  })
})

describe("docs/benchmarks.md", () => {
  const page = readFileSync(new URL("benchmarks.md", docs), "utf8")

  it("keeps what is written by hand when it gets new figures", () => {
    const current = withFigures(page, "new figures")
    assert.include(current, "new figures")
    assert.include(current, "\n## What is missed, and where the time goes\n")
    assert.notInclude(current, "## Fan-out and latency")
    assert.strictEqual(withFigures(current, "new figures"), current)
  })

  it("shows the pictures in its folder, each of them", () => {
    const shown = [...page.matchAll(/\]\(benchmarks\/([^)]+)\)/g)].map(([, name]) => name)
    const folder = new URL("benchmarks/", docs)
    assert.sameMembers(shown, existsSync(folder) ? readdirSync(folder) : [])
  })
})
