/** The part of docs/benchmarks.md that is made from a run. */

const BEGIN = "<!-- figures: made by scripts/bench/report.mjs -->"
const END = "<!-- /figures -->"

/** The page with these figures where its figures are. */
export const withFigures = (page, figures) => {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from < 0 || to < from) throw new Error(`the page has no "${BEGIN}" and "${END}" around its figures`)
  return `${page.slice(0, from + BEGIN.length)}\n\n${figures}\n${page.slice(to)}`
}
