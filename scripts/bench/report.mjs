/** `node scripts/bench/report.mjs result.json > docs/benchmarks.md`: the page of a run made with `--json result.json`. */
import { readFileSync } from "node:fs"
import { render } from "./lib/render.mjs"

const [file] = process.argv.slice(2)
if (file === undefined) {
  console.error("usage: node scripts/bench/report.mjs <file written with --json>")
  process.exit(2)
}
process.stdout.write(
  `# Benchmarks\n\nHow they are made and read: scripts/bench/README.md.\n\n${render(JSON.parse(readFileSync(file, "utf8")))}`
)
