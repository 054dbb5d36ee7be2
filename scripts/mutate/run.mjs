// @ts-check
/**
 * Changes the sources in one small way after the other (a mutant each), and tells which changes the tests of the file do not notice.
 * What was found is kept in scripts/mutate/results, and a file that did not change since, nor its tests, is not run again.
 *
 *   npm run mutate                        every file of files.mjs
 *   npm run mutate -- CatchUps Filter     those whose path has one of these words in it
 *   npm run mutate -- --since main        only mutants in lines that differ from this commit: fails if one lives; nothing is kept
 *   npm run mutate -- CatchUps --lived    only those that lived the last time
 *   npm run mutate -- CatchUps --force    though nothing changed
 *   npm run mutate -- --report            runs nothing, and writes the table in docs/testing.md
 */
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { createInstrumenter } from "@stryker-mutator/instrumenter"
import { createInjector } from "typed-inject"
import { files } from "./files.mjs"
import { writeReport } from "./report.mjs"
import { hashesOf, isCurrent, judged, readResult, score, sourceOf, testsOf, writeResult } from "./results.mjs"

/** @typedef {import("./results.mjs").Survivor & { id: string }} Mutant */
/** @typedef {import("./results.mjs").Result} Result */

const root = new URL("../../", import.meta.url).pathname
const cache = `${root}.cache/mutate/`
mkdirSync(cache, { recursive: true })

// A signal ends the process as a last line does, so that what ends the tests with it is run.
for (const [signal, code] of /** @type {const} */ ([
  ["SIGHUP", 129],
  ["SIGINT", 130],
  ["SIGTERM", 143]
])) {
  process.once(signal, () => process.exit(code))
}

/** Milliseconds for a test without a mutant. */
const TEST_TIMEOUT = 60_000
/** Of one mutant that hangs its process without work: endless loops are ended by their processor time, in watchdog.mjs. */
const HANG_TIMEOUT = 60_000

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    since: { type: "string" },
    lived: { type: "boolean" },
    force: { type: "boolean" },
    report: { type: "boolean" }
  }
})

const silent = () => {}
const logger = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace: silent,
  debug: silent,
  info: silent,
  warn: console.warn,
  error: console.error,
  fatal: console.error
}
const instrumenter = createInjector().provideValue("logger", logger).injectFunction(createInstrumenter)

/** @type {(path: string) => string} */
const cachePath = (file) => `${cache}${file.replaceAll("/", "-")}`

/** Its mutants, and its text with all of them in it, of which a switch selects one.
 * @param {string} file */
const mutantsOf = async (file) => {
  const content = readFileSync(file, "utf8")
  const lines = content.split("\n")
  const result = await instrumenter.instrument([{ name: file, mutate: true, content }], {
    plugins: null,
    // Names and texts are for people: a message with other words is no fault of a log.
    excludedMutations: ["StringLiteral"],
    ignorers: []
  })
  /** @type {Map<string, number>} */
  const seen = new Map()
  /** @type {Array<Mutant>} */
  const mutants = []
  for (const { id, location, replacement, status } of result.mutants) {
    if (status === "Ignored") continue
    const { start, end } = location
    const text = (lines[start.line] ?? "").trim()
    const original =
      start.line === end.line
        ? (lines[start.line] ?? "").slice(start.column, end.column)
        : [
            (lines[start.line] ?? "").slice(start.column),
            ...lines.slice(start.line + 1, end.line),
            (lines[end.line] ?? "").slice(0, end.column)
          ].join("\n")
    const short = original.replace(/\s+/g, " ")
    const name = `${text}|${short}|${replacement}`
    const nth = seen.get(name) ?? 0
    seen.set(name, nth + 1)
    mutants.push({
      id,
      line: start.line + 1,
      text,
      original: short,
      replacement: replacement.replace(/\s+/g, " "),
      nth,
      status: ""
    })
  }
  return { mutants, instrumented: result.files[0]?.content ?? "" }
}

/** The numbers of the lines that differ from a commit.
 * @type {(file: string, commit: string) => ReadonlySet<number>} */
const changedLines = (file, commit) => {
  const diff = execFileSync("git", ["diff", "-U0", commit, "--", file], { cwd: root, encoding: "utf8" })
  /** @type {Set<number>} */
  const lines = new Set()
  for (const [, first, count] of diff.matchAll(/^@@ [^+]*\+(\d+)(?:,(\d+))? @@/gm)) {
    for (let line = 0; line < Number(count ?? 1); line++) lines.add(Number(first) + line)
  }
  return lines
}

/** Runs the process for the mutants that are still open, until it says so, ends, or hangs.
 * @param {string} file @param {string} instrumented @param {ReadonlyArray<string>} tests @param {ReadonlyArray<Mutant>} open
 * @param {import("./vitest.mjs").Coverage | undefined} known */
const runOnce = async (file, instrumented, tests, open, known) => {
  const base = cachePath(file)
  const results = `${base}.lines`
  writeFileSync(`${base}.instrumented.ts`, instrumented)
  writeFileSync(results, "")
  writeFileSync(
    `${base}.job`,
    JSON.stringify({
      source: sourceOf(file),
      instrumented: `${base}.instrumented.ts`,
      tests,
      mutants: open.map(({ id }) => id),
      results,
      timeout: TEST_TIMEOUT,
      known
    })
  )
  const child = spawn(process.execPath, [new URL("vitest.mjs", import.meta.url).pathname, `${base}.job`], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"]
  })
  let complaint = ""
  child.stderr.on("data", (chunk) => {
    complaint = (complaint + chunk).slice(-2000)
  })
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    } catch {
      // It has ended by itself.
    }
  }
  process.once("exit", end)
  const exited = new Promise((resolve) => child.once("exit", resolve))
  /** @type {() => ReadonlyArray<{ [name: string]: any }>} */
  const read = () =>
    readFileSync(results, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  let lines = read()
  let quiet = 0
  for (;;) {
    const over = await Promise.race([
      exited.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 500, false))
    ])
    const now = read()
    quiet = now.length === lines.length ? quiet + 500 : 0
    lines = now
    const last = lines.at(-1)
    if (over || last?.["done"] || last?.["broken"]) break
    if (quiet >= (lines.length === 0 ? 5 : 1) * HANG_TIMEOUT) break
  }
  end()
  process.off("exit", end)
  await exited
  for (const path of [`${base}.instrumented.ts`, `${base}.job`, results]) rmSync(path, { force: true })
  const broken = lines.find((line) => line["broken"])
  if (broken) throw new Error(`${file}: a test fails without any mutant: ${JSON.stringify(broken["broken"])}`)
  if (lines.length === 0) throw new Error(`${file}: the tests did not start: ${complaint}`)
  return lines
}

/** @type {(mutant: import("./results.mjs").Survivor) => string} */
const nameOf = ({ text, original, replacement, nth }) => JSON.stringify([text, original, replacement, nth])

/** @type {(file: string, mutants: ReadonlyArray<Mutant>, before: Result | undefined) => ReadonlyArray<Mutant>} */
const choose = (file, mutants, before) => {
  if (options.since) {
    const lines = changedLines(`src/stratix-gateway/${file}`, options.since)
    return mutants.filter(({ line }) => lines.has(line))
  }
  if (options.lived && before?.source === hashesOf(file).source) {
    const lived = new Set(before.survivors.map(nameOf))
    return mutants.filter((mutant) => lived.has(nameOf(mutant)))
  }
  return mutants
}

/** @type {(file: string) => Promise<Result>} */
const runFile = async (file) => {
  const before = readResult(file)
  if (before && isCurrent(before) && !options.force && !options.since && !options.lived) return before
  const tests = testsOf(file)
  const hashes = hashesOf(file)
  const { mutants, instrumented } = await mutantsOf(sourceOf(file))
  const chosen = choose(file, mutants, before)
  let seconds = 0
  /** @type {import("./vitest.mjs").Coverage | undefined} */
  let known
  for (;;) {
    const open = chosen.filter(({ status }) => status === "")
    if (open.length === 0) break
    const results = await runOnce(file, instrumented, tests, open, known)
    known ??= results.find((line) => line["coverage"])?.["coverage"]
    for (const line of results) {
      const mutant = open.find(({ id }) => id === line["mutant"])
      if (mutant !== undefined) mutant.status = line["status"] === "running" ? "killed" : line["status"]
    }
    const last = results.at(-1)
    // An endless loop has taken all that it was allowed.
    seconds += (last?.["seconds"] ?? 0) + (last?.["status"] === "running" ? last["allowed"] : 0)
    if (!results.some((line) => line["mutant"])) throw new Error(`${file}: the tests end before the first mutant`)
  }
  if (chosen.length > 0) console.log(`${file}: ${Math.round(seconds)} s of processor time`)
  const result = {
    file,
    ...hashes,
    date: new Date().toISOString().slice(0, 10),
    seconds: Math.round(seconds),
    mutants: chosen.length,
    survivors: chosen.filter(({ status }) => status !== "killed").map(({ id: _, ...survivor }) => survivor)
  }
  if (options.since) return result
  // Whether the new tests still notice the others is not known: the result stays one of the old tests.
  const kept =
    chosen.length === mutants.length
      ? result
      : { ...result, tests: before?.tests ?? "", seconds: before?.seconds ?? 0, mutants: mutants.length }
  writeResult(kept)
  return kept
}

/** @param {Result} result */
const show = (result) => {
  const { file, mutants, survivors } = result
  if (mutants === 0) return
  const { counted, killed, percent } = score(result)
  console.log(`${file}: ${killed} of ${counted} killed, ${percent} %`)
  if (options.since && killed < counted) process.exitCode = 1
  for (const { line, original, replacement, status, reason } of survivors) {
    if (reason === undefined)
      console.log(`  ${status} ${line}: ${original.slice(0, 110)}  =>  ${replacement.slice(0, 60)}`)
  }
}

const selected = Object.keys(files).filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
for (const file of options.report ? [] : selected) {
  try {
    show(judged(await runFile(file)))
  } catch (error) {
    // The other files are measured all the same.
    console.error(error)
    process.exitCode = 1
  }
}
if (!options.since) writeReport()
