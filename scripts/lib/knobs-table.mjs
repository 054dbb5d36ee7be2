// @ts-check
/** The table of all knobs in docs/configuration.md, made from the knobs themselves. */

import { Redacted } from "effect"

const BEGIN = "<!-- knobs: made by `npm run docs` -->"
const END = "<!-- /knobs -->"

/** @typedef {{ readonly env: string, readonly kind: string, readonly default: unknown, readonly unit: string, readonly bounds: string, readonly doc: string }} Knob */

/** Below 16 KiB plain bytes are easier to read.
 * @type {(value: number) => string} */
const size = (value) => {
  for (const [unit, bytes] of /** @type {const} */ ([
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10]
  ])) {
    if (value >= 16 * 2 ** 10 && value % bytes === 0) return `\`${value / bytes}${unit}\``
  }
  return `\`${value}\``
}

/** @type {(knob: Knob) => string} */
const defaultOf = ({ default: given, kind }) => {
  // No default is a secret, whatever else its knob may hold.
  const value = Redacted.isRedacted(given) ? Redacted.value(given) : given
  if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) return "–"
  return typeof value === "number" && kind === "bytes" ? size(value) : `\`${value}\``
}

/** @type {(text: string) => string} */
const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

/** One row for each knob, in the order of the record.
 * @type {(knobs: { readonly [name: string]: Knob }) => string} */
export const knobsTable = (knobs) =>
  [
    "| variable | in code | default | unit | bounds | meaning |",
    "| --- | --- | --- | --- | --- | --- |",
    ...Object.entries(knobs).map(([name, knob]) => {
      const cells = [`\`${knob.env}\``, `\`${name}\``, defaultOf(knob), knob.unit, knob.bounds, knob.doc]
      return `| ${cells.map(cell).join(" | ")} |`
    })
  ].join("\n")

/** The page with this table where its table is.
 * @type {(page: string, table: string) => string} */
export const withKnobsTable = (page, table) => {
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from < 0 || to < from) throw new Error(`the page has no "${BEGIN}" and "${END}" around its table of knobs`)
  return `${page.slice(0, from + BEGIN.length)}\n\n${table}\n\n${page.slice(to)}`
}
