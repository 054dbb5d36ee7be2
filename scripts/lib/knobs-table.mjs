// @ts-check
/** The table of all knobs in the README, made of the knobs themselves. */

const BEGIN = "<!-- knobs: made by `npm run docs` -->"
const END = "<!-- /knobs -->"

/** @typedef {{ readonly env: string, readonly default: unknown, readonly doc: string }} Knob */

/** Kilobytes are easier to read than bytes, and the program takes bytes: say both.
 * @type {(value: number) => string} */
const number = (value) => {
  for (const [unit, size] of /** @type {const} */ ([
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10]
  ])) {
    if (value >= 16 * 2 ** 10 && value % size === 0) return `\`${value}\` (${value / size} ${unit})`
  }
  return `\`${value}\``
}

/** @type {(value: unknown) => string} */
const shown = (value) => {
  if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) return "–"
  return typeof value === "number" ? number(value) : `\`${value}\``
}

/** @type {(text: string) => string} */
const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

/** One row for each knob, in the order of the config module.
 * @type {(knobs: { readonly [name: string]: Knob }) => string} */
export const knobsTable = (knobs) =>
  [
    "| environment | in code | default | meaning |",
    "| --- | --- | --- | --- |",
    ...Object.entries(knobs).map(
      ([name, knob]) => `| \`${knob.env}\` | \`${name}\` | ${cell(shown(knob.default))} | ${cell(knob.doc)} |`
    )
  ].join("\n")

/** The README with this table where its table is.
 * @type {(readme: string, table: string) => string} */
export const withKnobsTable = (readme, table) => {
  const from = readme.indexOf(BEGIN)
  const to = readme.indexOf(END)
  if (from < 0 || to < from) throw new Error(`the README has no "${BEGIN}" and "${END}" around its table of knobs`)
  return `${readme.slice(0, from + BEGIN.length)}\n\n${table}\n\n${readme.slice(to)}`
}
