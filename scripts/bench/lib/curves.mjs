/** Figures that are curves: `{ [x]: value }`, or in place of a value why there is none. */
import { chart } from "./chart.mjs"
import { number, table, whole } from "./format.mjs"
import { median } from "./stats.mjs"

/** A core is full when its event loop is at work for this much of the time. */
export const FULL_PERCENT = 95

/** The medians at each x over the rounds that have a value there. */
const overRounds = (rounds) => {
  const xs = [...new Set(rounds.flatMap((curve) => Object.keys(curve)))]
  return Object.fromEntries(
    xs.map((x) => {
      const values = rounds.map((curve) => curve[x]).filter((value) => value !== undefined)
      const numbers = values.filter((value) => typeof value === "number")
      return [x, numbers.length > 0 ? median(numbers) : values[0]]
    })
  )
}

/**
 * What has a value, by rising x.
 *
 * @type {(curve: { readonly [x: string]: number | string }) => ReadonlyArray<{ readonly x: number, readonly y: number }>}
 */
export const pointsOf = (curve) =>
  Object.entries(curve)
    .flatMap(([x, value]) => (typeof value === "number" ? [{ x: Number(x), y: value }] : []))
    .sort((a, b) => a.x - b.x)

export const endsOf = (curve) => {
  const points = pointsOf(curve)
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) throw new Error("there is no value at any x")
  return { first, last }
}

/** The last x with room and the first without, or none where the core is never full. */
export const fullBetween = (busy) => {
  const points = pointsOf(busy)
  const full = points.find(({ y }) => y >= FULL_PERCENT)
  return full === undefined ? undefined : { room: points[points.indexOf(full) - 1]?.x ?? 0, full: full.x }
}

const curvesTable = ({ x }, figures) => {
  const names = Object.keys(figures)
  const xs = [...new Set(names.flatMap((name) => Object.keys(figures[name])))].map(Number).sort((a, b) => a - b)
  const cell = (value) => (typeof value === "number" ? number(value) : value === undefined ? "" : "–")
  return table(
    [x.label, ...names],
    xs.map((each) => [whole(each), ...names.map((name) => cell(figures[name][each]))])
  )
}

const missing = ({ x }, figures) =>
  Object.entries(figures).flatMap(([name, curve]) =>
    Object.entries(curve).flatMap(([at, value]) =>
      typeof value === "string" ? [`- ${name} at ${whole(Number(at))} ${x.label}: ${value}.`] : []
    )
  )

/** What a picture shows, for those who do not see it. */
const inWords = ({ x, series }, figures) =>
  Object.entries(series)
    .map(([figure, name]) => {
      const { first, last } = endsOf(figures[figure])
      return `${name}: ${number(first.y)} at ${whole(first.x)} ${x.label}, ${number(last.y)} at ${whole(last.x)}`
    })
    .join("; ")

/**
 * The part of the page about a benchmark of curves, and its pictures by the name of their file.
 * `folder` is where the pictures are, seen from the page; without it there are none.
 */
export const curvesPart = (benchmark, rounds, folder) => {
  const figures = Object.fromEntries(Object.entries(rounds).map(([name, all]) => [name, overRounds(all)]))
  const pictures = {}
  const parts = [`### ${benchmark.title}`, benchmark.about]
  const drawn = benchmark.charts.filter(({ series }) =>
    Object.keys(series).every((name) => pointsOf(figures[name] ?? {}).length > 0)
  )
  for (const { file, title, y, line, series } of folder === undefined ? [] : drawn) {
    const description = `${y.label}. ${inWords({ x: benchmark.x, series }, figures)}.`
    pictures[`${file}.svg`] = chart({
      title,
      description,
      x: benchmark.x,
      y,
      line,
      series: Object.entries(series).map(([figure, name]) => ({ name, points: pointsOf(figures[figure]) }))
    })
    parts.push(`![${title}: ${description}](${folder}/${file}.svg)`)
  }
  if (drawn.length === benchmark.charts.length) parts.push(benchmark.say(figures).join(" "))
  const figuresTable = curvesTable(benchmark, figures)
  parts.push(
    folder === undefined ? figuresTable : `<details><summary>The figures</summary>\n\n${figuresTable}\n\n</details>`
  )
  const none = missing(benchmark, figures)
  if (none.length > 0) parts.push("Without a figure:", none.join("\n"))
  return { text: parts.join("\n\n"), pictures, figures }
}
