// @ts-check
/** The tables in docs/testing.md: what was killed, and what lives for a reason. */
import { readFileSync, writeFileSync } from "node:fs"

/** @typedef {import("./run.mjs").Result} Result */

const START = "<!-- mutants: written by npm run mutate -->"
const END = "<!-- end of mutants -->"

/** A table's cell holds no bar and no line's end.
 * @type {(code: string) => string} */
const cell = (code) => {
  const short = code.length > 60 ? `${code.slice(0, 59)}…` : code
  return `\`${short.replaceAll("|", "\\|").replaceAll("`", "'")}\``
}

/** Per cent that should be noticed. */
const GOAL = 90

/** Those that behave the same aside.
 * @type {(result: Result) => number} */
const percentKilled = ({ mutants }) => {
  const counted = mutants.filter(({ reason }) => reason === undefined)
  const killed = counted.filter(({ status }) => status === "killed").length
  return Math.floor((100 * killed) / Math.max(1, counted.length))
}

/** @type {(result: Result) => string} */
const row = (result) => {
  const { date, file, mutants } = result
  const equal = mutants.filter(({ reason }) => reason !== undefined).length
  return `| ${file} | ${mutants.length} | ${equal} | ${percentKilled(result)} % | ${date} |`
}

/** @type {(names: ReadonlyArray<string>) => string} */
const list = (names) => (names.length === 0 ? "none" : names.map((name) => `\`${name}\``).join(", "))

/** @type {(result: Result) => ReadonlyArray<string>} */
const survivors = ({ file, mutants }) =>
  mutants
    .filter(({ status, reason }) => status !== "killed" && reason !== undefined)
    .map(({ original, replacement, reason }) => `| ${file} | ${cell(original)} | ${cell(replacement)} | ${reason} |`)

/** @param {string} root @param {ReadonlyArray<Result>} results @param {ReadonlyArray<string>} files All that should be measured. */
export const writeReport = (root, results, files) => {
  const measured = new Set(results.map(({ file }) => file))
  if (results.length === 0) return
  const path = `${root}docs/testing.md`
  const page = readFileSync(path, "utf8")
  const text = [
    START,
    "",
    "| file | mutants | of these equal | killed of the others | date |",
    "|---|---|---|---|---|",
    ...results.map(row),
    "",
    `Below ${GOAL} %: ${list(results.filter((result) => percentKilled(result) < GOAL).map(({ file }) => file))}.`,
    "",
    `Not measured yet: ${list(files.filter((file) => !measured.has(file)))}.`,
    "",
    "Behave the same, so that no test can notice:",
    "",
    "| file | instead of | stands | why nothing changes |",
    "|---|---|---|---|",
    ...results.flatMap(survivors),
    "",
    END
  ].join("\n")
  writeFileSync(path, `${page.slice(0, page.indexOf(START))}${text}${page.slice(page.indexOf(END) + END.length)}`)
}
