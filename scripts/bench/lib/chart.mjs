/**
 * Curves as SVG, without a DOM. Of the libraries that could do it, Plot needs a DOM, and echarts and vega, each many times the size of this
 * folder, write the colours of one theme into the file: these pictures follow the reader's.
 */

const WIDTH = 720
const HEIGHT = 360
const PLOT = { left: 64, right: WIDTH - 24, top: 66, bottom: HEIGHT - 52 }

const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #59636e }
  .title { font-size: 15px; font-weight: 600; fill: #1f2328 }
  .page { fill: #ffffff }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .line { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 6 4 }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
  .s0 { stroke: #0969da }
  .s1 { stroke: #bc4c00 }
  .mark { stroke: none }
  .s0.mark { fill: #0969da }
  .s1.mark { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title { fill: #f0f6fc }
    .page { fill: #0d1117 }
    .grid { stroke: #2f3742 }
    .line { stroke: #9198a1 }
    .s0 { stroke: #4493f8 }
    .s1 { stroke: #f0883e }
    .s0.mark { fill: #4493f8 }
    .s1.mark { fill: #f0883e }
  }
`

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const label = (value) => value.toLocaleString("en", { maximumSignificantDigits: 3 })

const decade = (value) => 10 ** Math.floor(Math.log10(value))

/** 1, 2 and 5 times each power of ten from `low` to `high`. */
const steps = (low, high) => {
  const found = []
  for (let unit = decade(low); unit <= high; unit *= 10) found.push(unit, 2 * unit, 5 * unit)
  return found.filter((step) => step >= low * 0.999 && step <= high * 1.001)
}

/** Above so many decades a tick for each is enough. */
const FEW_DECADES = 3.01

const logTicks = (low, high) =>
  steps(low, high).filter(
    (tick) => Math.log10(high / low) <= FEW_DECADES || Math.abs(tick / decade(tick * 1.001) - 1) < 0.01
  )

/** A logarithmic axis: `at(value)` from 0 to 1. */
const logAxis = (low, high) => ({
  ticks: logTicks(low, high),
  at: (value) => Math.log(value / low) / (Math.log(high / low) || 1)
})

const snapped = (low, high) => {
  const all = steps(decade(low), decade(high) * 10)
  return [all.findLast((step) => step <= low * 1.001) ?? low, all.find((step) => step >= high * 0.999) ?? high]
}

const linearAxis = (high) => {
  const step = steps(high / 10, high).find((each) => high / each <= 6) ?? high
  const count = Math.ceil(high / step)
  return { ticks: Array.from({ length: count + 1 }, (_, n) => n * step), at: (value) => value / (count * step) }
}

const mark = (series, x, y) =>
  series === 0
    ? `<circle class="s0 mark" cx="${x}" cy="${y}" r="3.5"/>`
    : `<rect class="s${series} mark" x="${x - 3.5}" y="${y - 3.5}" width="7" height="7"/>`

/** The names of several curves, in the row above the plot. */
const legend = (series) => {
  if (series.length < 2) return []
  const names = series.map(({ name }, n) => `<tspan class="s${n} mark">${n === 0 ? "●" : "■"}</tspan> ${escaped(name)}`)
  return [`<text x="${PLOT.right}" y="50" text-anchor="end">${names.join("&#160;&#160;&#160; ")}</text>`]
}

/** Room above a line, so that it is not the edge of the plot. */
const ABOVE_LINE = 1.3

/**
 * The horizontal axis is logarithmic; the vertical one begins at 0 where it is not.
 *
 * @param {{
 *   readonly title: string, readonly description: string, readonly x: { readonly label: string },
 *   readonly y: { readonly label: string, readonly isLog?: boolean }, readonly line?: { readonly at: number, readonly label: string },
 *   readonly series: ReadonlyArray<{ readonly name: string, readonly points: ReadonlyArray<{ readonly x: number, readonly y: number }> }>
 * }} options
 */
export const chart = ({ title, description, x, y, line, series }) => {
  const points = series.flatMap((each) => each.points)
  const xs = points.map((point) => point.x)
  const ys = [...points.map((point) => point.y), ...(line === undefined ? [] : [line.at * ABOVE_LINE])]
  const xAxis = logAxis(Math.min(...xs), Math.max(...xs))
  const [low, high] = y.isLog ? snapped(Math.min(...ys), Math.max(...ys)) : [0, Math.max(...ys)]
  const yAxis = y.isLog ? logAxis(low, high) : linearAxis(high || 1)
  const inset = 12
  const left = (value) =>
    Number((PLOT.left + inset + xAxis.at(value) * (PLOT.right - PLOT.left - 2 * inset)).toFixed(1))
  const top = (value) => Number((PLOT.bottom - yAxis.at(value) * (PLOT.bottom - PLOT.top)).toFixed(1))
  const parts = [
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}" rx="6"/>`,
    `<text class="title" x="16" y="26">${escaped(title)}</text>`,
    `<text x="16" y="50">${escaped(y.label)}</text>`,
    `<text x="${PLOT.right}" y="${HEIGHT - 12}" text-anchor="end">${escaped(x.label)}</text>`,
    ...legend(series),
    ...yAxis.ticks.flatMap((tick) => [
      `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${top(tick)}" y2="${top(tick)}"/>`,
      `<text x="${PLOT.left - 8}" y="${top(tick) + 4}" text-anchor="end">${label(tick)}</text>`
    ]),
    ...xAxis.ticks.flatMap((tick) => [
      `<line class="grid" x1="${left(tick)}" x2="${left(tick)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/>`,
      `<text x="${left(tick)}" y="${PLOT.bottom + 18}" text-anchor="middle">${label(tick)}</text>`
    ]),
    ...(line === undefined
      ? []
      : [
          `<line class="line" x1="${PLOT.left}" x2="${PLOT.right}" y1="${top(line.at)}" y2="${top(line.at)}"/>`,
          `<text x="${PLOT.left + 8}" y="${top(line.at) - 6}">${escaped(line.label)}</text>`
        ]),
    ...series.flatMap(({ points: own }, n) => [
      `<polyline class="curve s${n}" points="${own.map((point) => `${left(point.x)},${top(point.y)}`).join(" ")}"/>`,
      ...own.map((point) => mark(n, left(point.x), top(point.y)))
    ])
  ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(description)}</desc>`,
    `<style>${STYLE}</style>`,
    ...parts,
    "</svg>",
    ""
  ].join("\n")
}
