/**
 * The page of one run or several made with `--json FILE`, and its pictures in the folder beside it that has its name.
 * What is written by hand stays.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { withFigures } from "./lib/page.mjs"
import { render } from "./lib/render.mjs"

const files = process.argv.slice(2)
const page = files.pop()
if (page === undefined || files.length === 0) {
  console.error("usage: node scripts/bench/report.mjs <file written with --json>… <page, as docs/benchmarks.md>")
  process.exit(2)
}
const folder = basename(page, ".md")
const runs = files.map((file) => JSON.parse(readFileSync(file, "utf8")))
const { text, pictures } = render(runs, folder)
writeFileSync(page, withFigures(readFileSync(page, "utf8"), text))
const beside = join(dirname(page), folder)
rmSync(beside, { recursive: true, force: true })
if (Object.keys(pictures).length > 0) mkdirSync(beside)
for (const [name, svg] of Object.entries(pictures)) writeFileSync(join(beside, name), svg)
