/** A result as markdown. */
import { whenFull } from "../benchmarks/growth/index.mjs"
import { benchmarks } from "../benchmarks/index.mjs"
import { curvesPart } from "./curves.mjs"
import { number, table } from "./format.mjs"
import { goals } from "./goals.mjs"
import { peers } from "./peers.mjs"
import { median } from "./stats.mjs"

/** Round by round, then the median: whatever else the machine did in a round, it did to both. */
export const ratio = (values, others) => {
  const rounds = Math.min(values.length, others.length)
  return median(Array.from({ length: rounds }, (_, round) => values[round] / others[round]))
}

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
  goals.flatMap(({ title, figure, less, against, atMost, atLeast }) => {
    const values = ({ benchmark, peer, figure: name }) => results[benchmark]?.[peer]?.[name]
    const without = less === undefined ? [] : values(less)
    const mine = without && values(figure)?.map((value, round) => value - (without[round] ?? 0))
    const other = against === undefined ? mine?.map(() => 1) : values(against)
    if (mine === undefined || other === undefined) return []
    const reached = ratio(mine, other)
    const goal = atMost === undefined ? `≥ ${number(atLeast)}` : `≤ ${number(atMost)}`
    const isReached = atMost === undefined ? reached >= atLeast : reached <= atMost
    return [[title, goal, number(reached), isReached ? "yes" : "**no**"]]
  })

const roundsIn = (several) =>
  Math.max(
    ...several.flatMap((byPeer) =>
      Object.values(byPeer)
        .flatMap(Object.values)
        .map(({ length }) => length)
    )
  )

const isCurves = (name) => "charts" in benchmarks[name]

/** All benchmarks of curves, and what follows from them. */
const growthParts = (results, folder) => {
  const names = Object.keys(results).filter(isCurves)
  if (names.length === 0) return { parts: [], pictures: {} }
  const taken = names.map((name) => curvesPart(benchmarks[name], results[name].ours, folder))
  const rounds = roundsIn(names.map((name) => results[name]))
  const then = whenFull(Object.fromEntries(names.map((name, n) => [name, taken[n]?.figures])))
  return {
    parts: [
      "## How it grows",
      `One thing at a time, with the rest as it is by default; ${rounds === 1 ? "one round" : `medians of ${rounds} rounds`}. Plain clients, as in the fan-out. A delivery is one event for one client.`,
      ...taken.map(({ text }) => text),
      ...(then === undefined ? [] : [then])
    ],
    pictures: Object.assign({}, ...taken.map((each) => each.pictures))
  }
}

const inBenchmarks = (results) => Object.keys(benchmarks).filter((name) => name in results)

/** Where and how a run was made; `names`: what is shown of it, if there are others. */
const origin = ({ date, machine, rounds, scale }, names) => {
  const { cpu, cores, memoryGb, system, versions } = machine
  return [
    ...(names === undefined ? [] : [names.join(", ")]),
    date.slice(0, 10),
    `${cpu}, ${cores} cores, ${memoryGb} GB, ${system}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    `medians of ${rounds} interleaved ${rounds === 1 ? "round" : "rounds"}`,
    ...(scale === "quick" ? ["quick run: small sizes, short windows, not for comparing"] : [])
  ].join(" · ")
}

/**
 * The text about one or more runs, and the pictures in it by the name of their file, if there is a folder for them.
 * Of a benchmark that several runs have the last is shown.
 */
export const render = (runs, folder) => {
  const runOf = Object.fromEntries(runs.flatMap((run) => Object.keys(run.results).map((name) => [name, run])))
  const names = inBenchmarks(runOf)
  const results = Object.fromEntries(names.map((name) => [name, runOf[name].results[name]]))
  const shown = runs
    .map((run) => ({ run, own: names.filter((name) => runOf[name] === run) }))
    .filter(({ own }) => own.length > 0)
  const parts = shown.map(({ own, run }) => origin(run, shown.length > 1 ? own : undefined))
  const reached = goalRows(results)
  if (reached.length > 0) parts.push("## Goals", table(["figure", "goal", "measured", "reached"], reached))
  for (const name of names) {
    if (isCurves(name)) continue
    const { title, about } = benchmarks[name]
    const own = roundsIn([results[name]])
    const differing = own === runOf[name].rounds ? "" : ` ${own === 1 ? "One round" : `${own} rounds`}.`
    parts.push(`## ${title}`, about + differing, benchmarkTable(results[name]))
  }
  const growth = growthParts(results, folder)
  parts.push(...growth.parts)
  const failed = runs.flatMap((run) =>
    run.failures.filter(({ benchmark }) => [run, undefined].includes(runOf[benchmark]))
  )
  if (failed.length > 0) {
    const lines = failed.map(
      ({ benchmark, peer, round, error }) => `- ${benchmark}, ${peer}, round ${round + 1}: ${error.split("\n")[0]}`
    )
    parts.push("## Failed", lines.join("\n"))
  }
  return { text: `${parts.join("\n\n")}\n`, pictures: growth.pictures }
}
