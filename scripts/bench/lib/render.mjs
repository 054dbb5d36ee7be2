/** A result as markdown. */
import { benchmarks } from "../benchmarks/index.mjs"
import { goals } from "./goals.mjs"
import { peers } from "./peers.mjs"
import { median } from "./stats.mjs"

const number = (value) => {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** Round by round, then the median: whatever else the machine did in a round, it did to both. */
export const ratio = (values, others) => {
  const rounds = Math.min(values.length, others.length)
  return median(Array.from({ length: rounds }, (_, round) => values[round] / others[round]))
}

const table = (head, rows) =>
  [head, head.map((_, column) => (column === 0 ? ":--" : "--:")), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")

/** Figures downwards, peers across; in brackets how many times ours it is. */
const benchmarkTable = (byPeer) => {
  const names = Object.keys(byPeer)
  const figures = [...new Set(names.flatMap((name) => Object.keys(byPeer[name])))]
  const cell = (name, figure) => {
    const values = byPeer[name][figure]
    if (values === undefined) return ""
    const ours = byPeer.ours?.[figure]
    const times = name === "ours" || ours === undefined ? Number.NaN : ratio(values, ours)
    return number(median(values)) + (Number.isFinite(times) ? ` (× ${number(times)})` : "")
  }
  return table(
    ["", ...names.map((name) => peers[name].title)],
    figures.map((figure) => [figure, ...names.map((name) => cell(name, figure))])
  )
}

const goalRows = (results) =>
  goals.flatMap(({ title, figure, against, atMost, atLeast }) => {
    const values = ({ benchmark, peer, figure: name }) => results[benchmark]?.[peer]?.[name]
    const mine = values(figure)
    const other = against === undefined ? mine?.map(() => 1) : values(against)
    if (mine === undefined || other === undefined) return []
    const reached = ratio(mine, other)
    const goal = atMost === undefined ? `≥ ${number(atLeast)}` : `≤ ${number(atMost)}`
    const isReached = atMost === undefined ? reached >= atLeast : reached <= atMost
    return [[title, goal, number(reached), isReached ? "yes" : "**no**"]]
  })

export const render = ({ date, machine, rounds, scale, results, failures }) => {
  const { cpu, cores, memoryGb, system, versions } = machine
  const parts = [
    `${date.slice(0, 10)} · ${cpu}, ${cores} cores, ${memoryGb} GB, ${system} · ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(
        ", "
      )} · medians of ${rounds} interleaved ${rounds === 1 ? "round" : "rounds"}${scale === "quick" ? " · quick run: small sizes, short windows, not for comparing" : ""}`
  ]
  const reached = goalRows(results)
  if (reached.length > 0) parts.push("## Goals", table(["figure", "goal", "measured", "reached"], reached))
  for (const [name, byPeer] of Object.entries(results)) {
    const { title, about } = benchmarks[name]
    parts.push(`## ${title}`, about, benchmarkTable(byPeer))
  }
  if (failures.length > 0) {
    const lines = failures.map(
      ({ benchmark, peer, round, error }) => `- ${benchmark}, ${peer}, round ${round + 1}: ${error.split("\n")[0]}`
    )
    parts.push("## Failed", lines.join("\n"))
  }
  return `${parts.join("\n\n")}\n`
}
