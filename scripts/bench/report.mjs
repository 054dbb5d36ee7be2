/** The page of a run made with `--json result.json`, and its pictures in the folder beside it that has its name; what is written by hand stays. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { withFigures } from "./lib/page.mjs"
import { render } from "./lib/render.mjs"

const [file, page] = process.argv.slice(2)
if (file === undefined || page === undefined) {
  console.error("usage: node scripts/bench/report.mjs <file written with --json> <page, as docs/benchmarks.md>")
  process.exit(2)
}
const folder = basename(page, ".md")
const { text, pictures } = render(JSON.parse(readFileSync(file, "utf8")), folder)
writeFileSync(page, withFigures(readFileSync(page, "utf8"), text))
const beside = join(dirname(page), folder)
rmSync(beside, { recursive: true, force: true })
if (Object.keys(pictures).length > 0) mkdirSync(beside)
for (const [name, svg] of Object.entries(pictures)) writeFileSync(join(beside, name), svg)
