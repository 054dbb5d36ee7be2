// @ts-nocheck: it reaches into vitest's own runner, past what is declared for others.
/**
 * Runs the tests of one source file again and again in one process, each time with another mutant switched on: the modules are loaded
 * once. The first run is without a mutant, and remembers which test reaches which mutant; a mutant then costs only the tests that reach it,
 * up to the first that fails. What happens is appended to a file, a line each, because a mutant can hang the process.
 */
import { appendFileSync } from "node:fs"
import { startTests } from "@vitest/runner"
import { VitestTestRunner } from "vitest/runners"
import { watchdog } from "./watchdog.mjs"

/** @typedef {import("@vitest/runner").Task} Task */
/** @typedef {{ activeMutant?: string, currentTestId?: string, hitCount?: number, hitLimit?: number,
 *    mutantCoverage?: { static: Counts, perTest: { [test: string]: Counts } } }} Namespace */
/** @typedef {{ [mutant: string]: number }} Counts */

/** A mutant that is reached this many times as often as without it goes round in circles. */
const HITS = 100

/** Milliseconds that a test has at least, and how many times as long as it took without a mutant: the machine may be busy. */
const LEAST_TIMEOUT = 3000
const TIMES_AS_LONG = 5

/** Milliseconds of processor time above that, after which a mutant counts as an endless loop. */
const LEAST_PROCESSOR_TIME = 4000

const allow = watchdog({ group: false })

/** @type {Namespace} */
const stryker = {}
Object.assign(globalThis, { __stryker__: stryker })

/** @type {(task: Task) => string} */
const nameOf = (task) =>
  "filepath" in task
    ? String(task.filepath)
    : `${task.suite === undefined ? task.file.filepath : nameOf(task.suite)} > ${task.name}`

/** @type {(task: Task) => ReadonlyArray<Task>} */
const testsIn = (task) => (task.type === "suite" ? task.tasks.flatMap((child) => testsIn(child)) : [task])

/** The tests as vitest runs them, without telling vitest; from the first failure on they are skipped. */
class Rerun extends VitestTestRunner {
  /** @type {ReadonlySet<string> | undefined} */
  wanted
  /** @type {{ test: string, message: string } | undefined} */
  failure
  /** Milliseconds by test.
   * @type {Map<string, number>} */
  durations = new Map()

  /** @param {Task} task */
  skips(task) {
    return (
      this.failure !== undefined ||
      (this.wanted !== undefined && !testsIn(task).some((test) => this.wanted?.has(nameOf(test))))
    )
  }

  /** @param {Task} task */
  look(task) {
    const error = task.result?.errors?.[0]
    if (task.result?.state === "fail") {
      this.failure ??= {
        test: nameOf(task),
        message: String(error?.message).slice(0, 300)
      }
    }
  }

  /** @param {string} path @param {import("@vitest/runner").VitestRunnerImportSource} source */
  importFile(path, source) {
    this.workerState.moduleCache.delete(path)
    return super.importFile(path, source)
  }

  /** @param {import("@vitest/runner").Suite} suite */
  async onBeforeRunSuite(suite) {
    if (this.skips(suite)) suite.mode = "skip"
    await super.onBeforeRunSuite(suite)
    stryker.currentTestId = nameOf(suite)
  }

  /** @param {import("@vitest/runner").Suite} suite */
  async onAfterRunSuite(suite) {
    this.look(suite)
    this.workerState.current = suite.suite || suite.file
    stryker.currentTestId = nameOf(suite.suite ?? suite.file)
  }

  /** @param {import("@vitest/runner").Test} test */
  async onBeforeRunTask(test) {
    if (this.skips(test)) test.mode = "skip"
    await super.onBeforeRunTask(test)
    stryker.currentTestId = nameOf(test)
  }

  /** @param {import("@vitest/runner").Test} test */
  onAfterRunTask(test) {
    this.look(test)
    this.durations.set(nameOf(test), test.result?.duration ?? 0)
    super.onAfterRunTask(test)
    stryker.currentTestId = nameOf(test.suite ?? test.file)
  }
}

// biome-ignore lint/style/noDefaultExport: vitest asks for a runner as the default export of a file.
export default class Runner extends VitestTestRunner {
  async onAfterRunFiles() {
    super.onAfterRunFiles()
    const { known, tests, mutants, results } = /** @type {import("./vitest.mjs").Job} */ (this.injectValue("mutate"))
    /** @type {(line: object) => void} */
    const tell = (line) => {
      const { system, user } = process.cpuUsage()
      appendFileSync(results, `${JSON.stringify({ ...line, seconds: (system + user) / 1e6 })}\n`)
    }
    /** @type {Rerun | undefined} */
    let current
    /** @param {unknown} error */
    const stray = (error) => {
      if (current !== undefined) current.failure ??= { test: "no test", message: `Unhandled: ${error}`.slice(0, 300) }
    }
    process.on("uncaughtException", stray)
    process.on("unhandledRejection", stray)

    /** @param {ReadonlySet<string> | undefined} wanted */
    const run = async (wanted) => {
      const rerun = new Rerun(this.config)
      Object.defineProperty(rerun, "__vitest_executor", { value: this.__vitest_executor })
      rerun.wanted = wanted
      current = rerun
      const files =
        wanted === undefined ? tests : tests.filter((path) => [...wanted].some((name) => name.startsWith(path)))
      for (const filepath of files) {
        if (rerun.failure !== undefined) break
        stryker.currentTestId = undefined
        for (const file of await startTests([{ filepath, testLocations: undefined }], rerun)) rerun.look(file)
      }
      return rerun
    }

    let coverage = known
    if (coverage === undefined) {
      const plain = await run(undefined)
      if (plain.failure !== undefined) return tell({ broken: plain.failure })
      const { static: atLoad, perTest } = stryker.mutantCoverage ?? { static: {}, perTest: {} }
      coverage = { atLoad, perTest, durations: [...plain.durations] }
      tell({ coverage })
    }
    const { atLoad, durations, perTest } = coverage

    /** Mutants in what runs while the modules load come last: for each, the modules are loaded anew.
     * @type {(mutant: string) => boolean} */
    const isStatic = (mutant) => (atLoad[mutant] ?? 0) > 0
    const ordered = [...mutants.filter((mutant) => !isStatic(mutant)), ...mutants.filter(isStatic)]
    for (const mutant of ordered) {
      const reached = Object.entries(perTest).filter(([, counts]) => (counts[mutant] ?? 0) > 0)
      if (!isStatic(mutant) && reached.length === 0) {
        tell({ mutant, status: "not reached" })
        continue
      }
      // What a suite's hook reaches concerns every test of the suite.
      const names = reached.map(([name]) => name)
      const all = Object.keys(perTest)
      const wanted = isStatic(mutant)
        ? undefined
        : new Set([...names, ...all.filter((name) => names.some((other) => name.startsWith(`${other} > `)))])
      stryker.hitLimit = HITS * (1000 + reached.reduce((sum, [, counts]) => sum + (counts[mutant] ?? 0), 0))
      stryker.activeMutant = mutant
      const slowest = Math.max(...durations.map(([name, millis]) => (wanted?.has(name) === false ? 0 : millis)))
      this.config.testTimeout = Math.max(LEAST_TIMEOUT, TIMES_AS_LONG * slowest)
      this.config.hookTimeout = this.config.testTimeout
      if (isStatic(mutant)) {
        const { moduleCache } = this.workerState
        for (const path of [...moduleCache.keys()]) {
          if (!path.includes("/node_modules/")) moduleCache.delete(path)
        }
      }
      const usual = durations.reduce((sum, [name, millis]) => sum + (wanted?.has(name) === false ? 0 : millis), 0)
      const allowed = LEAST_PROCESSOR_TIME + TIMES_AS_LONG * usual
      tell({ mutant, status: "running", allowed: allowed / 1000 })
      const start = performance.now()
      const once = () => {
        stryker.hitCount = 0
        allow(allowed)
        return run(wanted).catch((error) => ({
          failure: { test: "loading", message: String(error).slice(0, 300) },
          durations: new Map()
        }))
      }
      let { durations: ran, failure } = await once()
      // The machine may have been busy, or the process stopped: what came too late counts only if it does so again.
      if (failure?.message.includes("timed out")) ({ durations: ran, failure } = await once())
      stryker.activeMutant = undefined
      tell({
        mutant,
        status: failure === undefined ? "survived" : "killed",
        ran: ran.size,
        by: failure,
        milliseconds: performance.now() - start
      })
    }
    tell({ done: true })
  }
}
