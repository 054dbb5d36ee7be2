/** The benchmarks; what they measure and how is in README.md. */
import { existsSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { benchmarks } from "./benchmarks/index.mjs"
import { machine } from "./lib/machine.mjs"
import { peers } from "./lib/peers.mjs"
import { render } from "./lib/render.mjs"

const USAGE = `usage: npm run bench -- [--quick] [--rounds N] [--only NAMES] [--peers NAMES] [--json [FILE]]

  --quick        small sizes: does it still work?
  --rounds N     how often everything is measured, 3 if absent (1 with --quick)
  --only NAMES   some of ${Object.keys(benchmarks).join(",")}
  --peers NAMES  some of ${Object.keys(peers).join(",")}
  --json [FILE]  JSON instead of tables; with FILE, JSON there and tables here`

const fail = (message) => {
  console.error(message)
  process.exit(2)
}

const list = (option, text, known) => {
  const names = text === undefined ? known : text.split(",")
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) fail(`--${option}: there is no ${unknown.join(", ")}; there are ${known.join(", ")}`)
  return names
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
if (!Number.isInteger(rounds) || rounds < 1) fail("--rounds must be a whole number of at least 1")
const chosen = list("only", options.only, Object.keys(benchmarks))
const wanted = list("peers", options.peers, Object.keys(peers))
if (wanted.includes("ours") && !existsSync(new URL("../../dist/stratix-gateway/index.js", import.meta.url))) {
  fail("the package is not built: npm run build")
}

// Each of the 10,000 connections is a file on both sides; one too few, and a connect only hangs.
/** @type {{ userLimits?: { open_files?: { soft?: string | number } } }} */
const { userLimits } = process.report.getReport()
const files = userLimits?.open_files?.soft ?? "unlimited"
const needed = options.quick ? 2_500 : 10_500
if (files !== "unlimited" && Number(files) < needed) fail(`only ${files} files may be open: ulimit -n ${needed}`)

const results = {}
const failures = []
const begun = Date.now()
const progress = (text) => console.error(`${((Date.now() - begun) / 1000).toFixed(0).padStart(5)} s  ${text}`)

for (const name of chosen) {
  const { peers: compared, measure } = benchmarks[name]
  for (let round = 0; round < rounds; round++) {
    for (const peer of compared.filter((each) => wanted.includes(each))) {
      progress(`${name}, round ${round + 1} of ${rounds}, ${peer}`)
      try {
        const figures = await measure(peer, scale, round)
        results[name] ??= {}
        results[name][peer] ??= {}
        for (const [figure, value] of Object.entries(figures)) {
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
}

const result = { date: new Date().toISOString(), machine: machine(), scale, rounds, results, failures }
const json = `${JSON.stringify(result, null, 1)}\n`
if (asJson && jsonFile === undefined) process.stdout.write(json)
else process.stdout.write(render(result))
if (jsonFile !== undefined) writeFileSync(jsonFile, json)
process.exit(failures.length > 0 ? 1 : 0)
