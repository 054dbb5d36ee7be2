// @ts-check
/** The tables in docs/testing.md: what was killed, and what lives for a reason. */
import { readFileSync, writeFileSync } from "node:fs"
import { files } from "./files.mjs"
import { isCurrent, judged, readResult, score } from "./results.mjs"

/** @typedef {import("./results.mjs").Result} Result */

const root = new URL("../../", import.meta.url).pathname

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

/** @type {(result: Result) => string} */
const row = (result) => {
  const { date, file, mutants } = result
  const { counted, percent } = score(result)
  return `| ${file} | ${mutants} | ${mutants - counted} | ${percent} % | ${date}${isCurrent(result) ? "" : ", of an older state"} |`
}

/** @type {(results: ReadonlyArray<Result>) => string} */
const total = (results) => {
  const mutants = results.reduce((sum, result) => sum + result.mutants, 0)
  const minutes = Math.ceil(results.reduce((sum, { seconds }) => sum + seconds, 0) / 60)
  return `${mutants.toLocaleString("en")} mutants; their tests took ${minutes} minutes of processor time.`
}

/** @type {(names: ReadonlyArray<string>) => string} */
const list = (names) => (names.length === 0 ? "none" : names.map((name) => `\`${name}\``).join(", "))

/** @type {(result: Result) => ReadonlyArray<string>} */
const equals = ({ file, survivors }) =>
  survivors.flatMap(({ original, replacement, reason }) =>
    reason === undefined ? [] : [`| ${file} | ${cell(original)} | ${cell(replacement)} | ${reason} |`]
  )

/** Written from the results alone: who runs one file changes the rows of this file. */
export const writeReport = () => {
  const all = Object.keys(files)
  const results = all.flatMap((file) => readResult(file) ?? []).map(judged)
  const measured = new Set(results.map(({ file }) => file))
  const path = `${root}docs/testing.md`
  const page = readFileSync(path, "utf8")
  const text = [
    START,
    "",
    "| file | mutants | of these equal | killed of the others | date |",
    "|---|---|---|---|---|",
    ...results.map(row),
    "",
    total(results),
    "",
    `Below ${GOAL} %: ${list(results.filter((result) => score(result).percent < GOAL).map(({ file }) => file))}.`,
    "",
    `Not measured yet: ${list(all.filter((file) => !measured.has(file)))}.`,
    "",
    "Behave the same, so that no test can notice:",
    "",
    "| file | instead of | stands | why nothing changes |",
    "|---|---|---|---|",
    ...results.flatMap(equals),
    "",
    END
  ].join("\n")
  writeFileSync(path, `${page.slice(0, page.indexOf(START))}${text}${page.slice(page.indexOf(END) + END.length)}`)
}
