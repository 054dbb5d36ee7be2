// @ts-check
/** What vitest's JSON reports say, in numbers. As a program it adds up the reports it is given: `N passed, N failed`. */
import { readFile } from "node:fs/promises"
import { pathToFileURL } from "node:url"

/** @typedef {{ passed: number, failed: number }} Counts */

/** A file that could not even be loaded has no tests, and counts as one that failed; so does a report that was never written.
 * @type {(path: string) => Promise<Counts>} */
export const countsOf = async (path) => {
  const text = await readFile(path, "utf8").catch(() => undefined)
  if (text === undefined) return { passed: 0, failed: 1 }
  const { numFailedTests, numPassedTests, success, testResults } = JSON.parse(text)
  /** @type {(file: { status: string, assertionResults: ReadonlyArray<unknown> }) => boolean} */
  const notLoaded = (file) => file.status === "failed" && file.assertionResults.length === 0
  const failed = numFailedTests + testResults.filter(notLoaded).length
  return { passed: numPassedTests, failed: failed === 0 && !success ? 1 : failed }
}

/** @type {(all: ReadonlyArray<Counts>) => Counts} */
export const sum = (all) => ({
  passed: all.reduce((total, counts) => total + counts.passed, 0),
  failed: all.reduce((total, counts) => total + counts.failed, 0)
})

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { failed, passed } = sum(await Promise.all(process.argv.slice(2).map(countsOf)))
  console.log(`${passed} passed, ${failed} failed`)
}
