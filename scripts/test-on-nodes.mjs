// @ts-check
/** Runs the tests on every Node that this package is for: all of `npm test`, and of the end-to-end tests those that depend on Node. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { environmentOf, nodeOf, root, running } from "./lib/node-versions.mjs"
import { countsOf, sum } from "./lib/test-counts.mjs"

const USAGE = `usage: npm run test:nodes -- [--except-running] [--reports FOLDER] [MAJOR...]

  MAJOR              Node versions to test on: 20, 22 and 24 if absent
  --except-running   not on the version that runs this
  --reports FOLDER   where vitest's reports go, .cache/reports if absent`

const ALL = ["20", "22", "24"]

/** What these test is other programs, browsers and pages, for which one version of Node is as good as another. */
const elsewhere = [
  "test/deploy/**",
  "test/docs/**",
  "test/project/**",
  "test/stratix-cli/**",
  "test/stratix-client/**",
  "test/stratix-dashboard/**",
  "test/stratix-gateway/clients/**",
  "test/stratix-gateway/**/EventSource.e2e.test.ts",
  "test/stratix-gateway/log/redis/**",
  "test/stratix-hooks/**",
  "test/stratix-publisher/**"
]

/** @type {(major: string, reports: string) => Promise<{ version: string, passed: number, failed: number }>} */
const test = async (major, reports) => {
  const node = await nodeOf(major)
  const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim()
  console.log(`\nNode ${version}`)
  const report = join(reports, `node-${major}.json`)
  await rm(report, { force: true })
  const tests = spawn(
    node,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--project=shared",
      "--project=isolated",
      "--project=end-to-end",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`
    ],
    { cwd: root, stdio: "inherit", env: { ...environmentOf(node), TEST_EXCLUDE: elsewhere.join() } }
  )
  const [code] = await once(tests, "close")
  const counts = await countsOf(report)
  return { version, ...counts, failed: code === 0 ? counts.failed : Math.max(counts.failed, 1) }
}

const main = async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      "except-running": { type: "boolean", default: false },
      reports: { type: "string", default: join(root, ".cache", "reports") },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  if (values.help) return console.log(USAGE)
  const majors = positionals.length > 0 ? positionals : ALL
  const asked = majors.filter((major) => !(values["except-running"] && major === running))
  await mkdir(values.reports, { recursive: true })
  const results = []
  // One after the other: tests of timing and of thousands of sockets want the machine for themselves.
  for (const major of asked) results.push(await test(major, values.reports))
  console.log("")
  for (const { failed, passed, version } of results) console.log(`Node ${version}: ${passed} passed, ${failed} failed`)
  if (sum(results).failed > 0) process.exitCode = 1
}

await main().catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
