// @ts-check
/** What was found last, by file, in the folder `results`: it belongs to the repository, so that a fresh clone runs only what changed. */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { equal } from "./equal.mjs"
import { files } from "./files.mjs"

/** A mutant, meant by its line's text, what it replaces and what by; `nth` tells those apart that have all of these in common.
 * @typedef {{ line: number, text: string, original: string, replacement: string, nth: number, status: string, reason?: string }} Survivor */
/** `source` and `tests` are hashes, `seconds` the processor time that all its mutants took.
 * @typedef {{ file: string, source: string, tests: string, date: string, seconds: number, mutants: number,
 *    survivors: ReadonlyArray<Survivor> }} Result */

const root = new URL("../../", import.meta.url).pathname

/** @type {(file: string) => string} */
export const sourceOf = (file) => `${root}src/stratix-gateway/${file}`

/** Those of its tests that exist.
 * @type {(file: string) => ReadonlyArray<string>} */
export const testsOf = (file) =>
  (files[file] ?? []).map((test) => `${root}test/stratix-gateway/${test}`).filter((test) => existsSync(test))

/** @type {(paths: ReadonlyArray<string>) => string} */
const hash = (paths) => {
  const all = createHash("sha256")
  for (const path of paths) all.update(readFileSync(path))
  return all.digest("hex").slice(0, 16)
}

/** @type {(file: string) => { source: string, tests: string }} */
export const hashesOf = (file) => ({ source: hash([sourceOf(file)]), tests: hash(testsOf(file)) })

/** @type {(result: Result) => boolean} */
export const isCurrent = (result) => {
  const now = hashesOf(result.file)
  return result.source === now.source && result.tests === now.tests
}

/** @type {(file: string) => string} */
const pathOf = (file) => `${root}scripts/mutate/results/${file.replace(/\.ts$/, ".json")}`

/** @type {(file: string) => Result | undefined} */
export const readResult = (file) =>
  existsSync(pathOf(file)) ? JSON.parse(readFileSync(pathOf(file), "utf8")) : undefined

/** @type {(result: Result) => void} */
export const writeResult = (result) => {
  mkdirSync(dirname(pathOf(result.file)), { recursive: true })
  writeFileSync(pathOf(result.file), `${JSON.stringify(result, undefined, 2)}\n`)
}

/** With the reasons of those that behave the same.
 * @type {(result: Result) => Result} */
export const judged = (result) => ({
  ...result,
  survivors: result.survivors.map((mutant) => {
    const known = equal.find(
      (entry) =>
        entry.file === result.file &&
        mutant.text.includes(entry.line) &&
        entry.from.includes(mutant.original) &&
        entry.to.includes(mutant.replacement)
    )
    return known === undefined ? mutant : { ...mutant, reason: known.reason }
  })
})

/** Those that behave the same aside.
 * @type {(result: Result) => { killed: number, counted: number, percent: number }} */
export const score = ({ mutants, survivors }) => {
  const equals = survivors.filter(({ reason }) => reason !== undefined).length
  const killed = mutants - survivors.length
  const counted = mutants - equals
  return { killed, counted, percent: Math.floor((100 * killed) / Math.max(1, counted)) }
}
