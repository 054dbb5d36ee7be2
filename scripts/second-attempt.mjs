// @ts-check
/**
 * Runs the test files that failed once more, alone and one after the other, on the Node they failed on. What passes then is counted as
 * passed and named as flaky: it depends on how busy the machine is, and is to be mended. Rewrites the reports it is given.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFile, rm, writeFile } from "node:fs/promises"
import { basename } from "node:path"
import { environmentOf, nodeOf, root, running } from "./lib/node-versions.mjs"
import { countsOf } from "./lib/test-counts.mjs"

/** More files than this are no accident. */
const MAX_FILES = 4

/** @typedef {{ status: string, fullName: string }} Test */
/** @typedef {{ name: string, status: string, assertionResults: ReadonlyArray<Test> }} TestFile */

/** @type {(report: string) => Promise<boolean>} whether nothing failed, in the end */
const again = async (report) => {
  const counts = await countsOf(report)
  if (counts.failed === 0) return true
  const text = await readFile(report, "utf8").catch(() => undefined)
  if (text === undefined) return false
  const before = JSON.parse(text)
  /** @type {ReadonlyArray<TestFile>} */
  const files = before.testResults.filter((/** @type {TestFile} */ { status }) => status === "failed")
  if (files.length === 0 || files.length > MAX_FILES) return false
  const node = await nodeOf(/node-(\d+)\.json$/.exec(report)?.[1] ?? running)
  const second = `${report}.again`
  await rm(second, { force: true })
  const tests = spawn(
    node,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      ...files.map(({ name }) => name),
      "--maxWorkers=1",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${second}`
    ],
    { cwd: root, stdio: "inherit", env: environmentOf(node) }
  )
  await once(tests, "close")
  const { failed } = await countsOf(second)
  if (failed > 0) return false
  for (const { assertionResults } of files)
    for (const { fullName, status } of assertionResults)
      if (status === "failed")
        console.log(`FLAKY: "${fullName}" failed at first and passed alone (${basename(report)})`)
  const all = before.numPassedTests + before.numFailedTests
  const repaired = { ...before, success: true, numPassedTests: all, numFailedTests: 0, testResults: [] }
  await writeFile(report, JSON.stringify(repaired))
  return true
}

let isGood = true
for (const report of process.argv.slice(2)) isGood = (await again(report)) && isGood
if (!isGood) process.exitCode = 1
