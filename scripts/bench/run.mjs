/** The benchmarks; what they measure and how is in README.md. */
import { existsSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { benchmarks } from "./benchmarks/index.mjs"
import { machine, openFiles } from "./lib/machine.mjs"
import { peers } from "./lib/peers.mjs"
import { render } from "./lib/render.mjs"

const USAGE = `usage: npm run bench -- [--quick] [--rounds N] [--only NAMES] [--peers NAMES] [--json [FILE]]

  --quick        small sizes: does it still work?
  --rounds N     how often everything is measured; if absent 3 times, growth once (with --quick everything once)
  --only NAMES   some of ${Object.keys(benchmarks).join(",")}; growth is all of growth/…
  --peers NAMES  some of ${Object.keys(peers).join(",")}
  --json [FILE]  JSON instead of tables; with FILE, JSON there and tables here`

const fail = (message) => {
  console.error(message)
  process.exit(2)
}

/** What is asked for, by name or by the part of its name before a slash. */
const list = (option, text, known) => {
  if (text === undefined) return known
  const names = text
    .split(",")
    .map((name) => [name, known.filter((each) => each === name || each.startsWith(`${name}/`))])
  const unknown = names.flatMap(([name, found]) => (found.length === 0 ? [name] : []))
  if (unknown.length > 0) fail(`--${option}: there is no ${unknown.join(", ")}; there are ${known.join(", ")}`)
  return names.flatMap(([, found]) => found)
}

const args = process.argv.slice(2)
// A value is optional for --json, which parseArgs does not know.
const jsonAt = args.indexOf("--json")
const asJson = jsonAt !== -1
const hasFile = asJson && args[jsonAt + 1]?.startsWith("--") === false
const jsonFile = asJson ? args.splice(jsonAt, hasFile ? 2 : 1)[1] : undefined
const { values: options } = parseArgs({
  args,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    peers: { type: "string" },
    help: { type: "boolean", short: "h", default: false }
  }
})
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}

const scale = options.quick ? "quick" : "full"
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
const roundsOf = ({ rounds: enough = rounds }) => (options.rounds === undefined ? Math.min(rounds, enough) : rounds)
if (!Number.isInteger(rounds) || rounds < 1) fail("--rounds must be a whole number of at least 1")
const chosen = list("only", options.only, Object.keys(benchmarks))
const wanted = list("peers", options.peers, Object.keys(peers))
if (wanted.includes("ours") && !existsSync(new URL("../../dist/stratix-gateway/index.js", import.meta.url))) {
  fail("the package is not built: npm run build")
}

// Each of the 10,000 connections is a file on both sides; one too few, and a connect only hangs.
const needed = options.quick ? 2_500 : 10_500
if (openFiles() < needed) fail(`only ${openFiles()} files may be open: ulimit -n ${needed}`)

const results = {}
const failures = []
const begun = Date.now()
const progress = (text) => console.error(`${((Date.now() - begun) / 1000).toFixed(0).padStart(5)} s  ${text}`)

const outcome = () => ({ date: new Date(begun).toISOString(), machine: machine(), scale, rounds, results, failures })
const asText = () => `${JSON.stringify(outcome(), null, 1)}\n`

for (const name of chosen) {
  const { peers: compared, measure } = benchmarks[name]
  const ownRounds = roundsOf(benchmarks[name])
  for (let round = 0; round < ownRounds; round++) {
    for (const peer of compared.filter((each) => wanted.includes(each))) {
      progress(`${name}, round ${round + 1} of ${ownRounds}, ${peer}`)
      try {
        const figures = await measure(peer, scale, round)
        for (const [figure, value] of Object.entries(figures)) {
          results[name] ??= {}
          results[name][peer] ??= {}
          results[name][peer][figure] ??= []
          results[name][peer][figure].push(value)
        }
      } catch (cause) {
        const error = cause instanceof Error ? cause.message : String(cause)
        progress(`failed: ${error}`)
        failures.push({ benchmark: name, peer, round, error })
      }
    }
  }
  // After each of them: what a run has measured is not lost if it does not come to its end.
  if (jsonFile !== undefined) writeFileSync(jsonFile, asText())
}

process.stdout.write(asJson && jsonFile === undefined ? asText() : render([outcome()]).text)
process.exit(failures.length > 0 ? 1 : 0)
