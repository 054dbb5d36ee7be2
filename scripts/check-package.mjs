// @ts-check
/**
 * Uses the package as its users will: packs it, installs the tarball with its peers in a project outside of this tree, imports and
 * type-checks every export, starts the gateway from it, and receives an event over a WebSocket that was published over HTTP. Then follows
 * the README to the letter in an empty folder: its install lines, its gateway, its test.
 */
import assert from "node:assert/strict"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))

/** A step takes seconds, a minute on a slow network; one that takes longer hangs. */
const STEP_TIMEOUT_MS = 180_000

/** The gateway answers in milliseconds, and starts in a second or two; on a busy machine in many more. */
const ANSWER_TIMEOUT_MS = 60_000

/** @type {(path: string) => Promise<any>} */
const readJson = async (path) => JSON.parse(await readFile(path, "utf8"))

/** What npm is told beside the README's own words: install scripts are not run, and what is cached is not asked for again. */
const npmSettings = {
  npm_config_prefer_offline: "true",
  npm_config_ignore_scripts: "true",
  npm_config_audit: "false",
  npm_config_fund: "false"
}

/** Runs a program to its end; answers what it printed.
 * @type {(cwd: string, program: string, ...args: string[]) => Promise<string>} */
const run = async (cwd, program, ...args) => {
  try {
    const env = { ...process.env, ...npmSettings }
    const { stdout } = await promisify(execFile)(program, args, { cwd, env, timeout: STEP_TIMEOUT_MS })
    return stdout
  } catch (cause) {
    const { message, stderr, stdout } = /** @type {Error & { stdout: string, stderr: string }} */ (cause)
    throw new Error([message, stdout, stderr].join("\n").trim())
  }
}

/** @template A @param {string} what @param {Promise<A>} promise @returns {Promise<A>} */
const within = (what, promise) => {
  const late = once(AbortSignal.timeout(ANSWER_TIMEOUT_MS), "abort").then(() => {
    throw new Error(`waited ${ANSWER_TIMEOUT_MS} ms in vain for ${what}`)
  })
  return Promise.race([promise, late])
}

/** The tarball, as it would be published. @param {string} scratch */
const pack = async (scratch) => {
  await run(root, "npm", "run", "prepack")
  const packed = JSON.parse(await run(root, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", scratch))
  /** @type {Array<string>} */
  const files = packed[0].files.map((/** @type {{ path: string }} */ file) => file.path)
  for (const file of ["LICENSE", "README.md", "CHANGELOG.md", "docs/PROTOCOL.md"]) {
    assert.ok(files.includes(file), `${file} is missing in the package`)
  }
  // The log in a file is written by a thread whose program is a file of its own, beside whatever starts it.
  for (const folder of ["stratix-gateway/log/file", "stratix-cli/chunks"]) {
    assert.ok(files.includes(`dist/${folder}/JournalWorker.js`), `JournalWorker.js is missing in dist/${folder}`)
  }
  const strays = files.filter((file) => /^(test|scripts)\//.test(file))
  assert.deepEqual(strays, [], "these have no place in the package")
  return { tarball: join(scratch, packed[0].filename), files }
}

/** The most that the clients may bring into a page's project, in bytes. */
const MAX_CLIENT_BYTES = 2 * 1024 * 1024

/** The size of all files below a folder. @param {string} folder */
const sizeOf = async (folder) => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Installs the clients' own package in an empty folder: it brings nothing with it, loads, and its types hold there. Answers its tarball.
 * @param {string} scratch @param {string} version */
const checkClient = async (scratch, version) => {
  const folder = join(root, "packages", "client")
  const manifest = await readJson(join(folder, "package.json"))
  assert.equal(manifest.version, version, "the clients have the version of the gateway")
  // What its `prepack` does: no script of a package runs here.
  await run(root, process.execPath, "scripts/build-client.mjs")
  const [packed] = JSON.parse(await run(folder, "npm", "pack", "--json", "--pack-destination", scratch))
  const tarball = join(scratch, packed.filename)
  await run(root, process.execPath, "node_modules/publint/src/cli.js", "run", tarball, "--strict")
  const project = join(scratch, "client")
  await mkdir(project)
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "page", private: true, type: "module" }))
  await run(project, "npm", "install", tarball)
  const modules = join(project, "node_modules")
  assert.deepEqual(
    (await readdir(modules)).filter((name) => !name.startsWith(".")),
    [manifest.name]
  )
  const size = await sizeOf(modules)
  assert.ok(size <= MAX_CLIENT_BYTES, `the clients take ${size} bytes`)
  for (const field of ["unpkg", "jsdelivr"]) await stat(join(modules, manifest.name, manifest[field]))
  await importEach(project, [manifest.name, `${manifest.name}/client.js`, `${manifest.name}/publisher`])
  for (const example of ["dashboard.ts", "dashboard-agent.ts"]) {
    const text = await readFile(join(root, "examples", example), "utf8")
    const own = text
      .replaceAll("stratix-status-sync/client", manifest.name)
      .replaceAll("stratix-status-sync/", `${manifest.name}/`)
    await writeFile(join(project, example), own)
  }
  const compilerOptions = {
    ...strictOptions,
    module: "NodeNext",
    moduleResolution: "NodeNext",
    types: [],
    noEmit: true
  }
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
  await run(project, process.execPath, join(root, "node_modules/typescript/bin/tsc"), "--project", "tsconfig.json")
  return { name: manifest.name, tarball, size }
}

/** Code that compiles only if the clients' own package has the types that the gateway's package has. @param {string} client @param {string} gateway */
const sameTypes = (client, gateway) => `
import type { Payloads, StatusClient, StatusEvent } from "${client}"
import type { Publisher } from "${client}/publisher"
import type { Payloads as GatewayPayloads, StatusClient as GatewayStatusClient, StatusEvent as GatewayStatusEvent } from "${gateway}/client"
import type { Publisher as GatewayPublisher } from "${gateway}/publisher"
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type SameFields<A, B> = { readonly [K in keyof A | keyof B]: K extends keyof A & keyof B ? Same<A[K], B[K]> : false }
type AllTrue<T> = T[keyof T] extends true ? true : false
export const payloads: AllTrue<{ readonly [K in keyof Payloads]: AllTrue<SameFields<Payloads[K], GatewayPayloads[K]>> }> = true
export const asGateway = (event: StatusEvent, client: StatusClient, publisher: Publisher): [GatewayStatusEvent, GatewayStatusClient, GatewayPublisher] => [event, client, publisher]
export const asClient = (event: GatewayStatusEvent, client: GatewayStatusClient, publisher: GatewayPublisher): [StatusEvent, StatusClient, Publisher] => [event, client, publisher]
`

/** A project that depends on the tarball, and on this tree's versions of the peers and of what type-checks it.
 * @param {string} project @param {string} tarball @param {any} manifest */
const install = async (project, tarball, manifest) => {
  const version = (/** @type {string} */ name) => readJson(join(root, "node_modules", name, "package.json"))
  // @types/ws is for the declarations of @effect/platform-node, which use it and do not bring it.
  const companions = [
    ...Object.keys(manifest.peerDependencies),
    "typescript",
    "@types/node",
    "@types/react",
    "@types/ws"
  ]
  const specs = companions.map(async (name) => `${name}@${(await version(name)).version}`)
  await mkdir(project)
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "scratch", private: true, type: "module" }))
  await run(project, "npm", "install", tarball, ...(await Promise.all(specs)))
}

/** Every export loads, and none of them is empty. @param {string} project @param {ReadonlyArray<string>} specifiers */
const importEach = async (project, specifiers) => {
  const lines = specifiers.map((specifier) => `console.log(Object.keys(await import("${specifier}")).length)`)
  await writeFile(join(project, "imports.js"), lines.join("\n"))
  const counts = (await run(project, process.execPath, "imports.js")).trim().split("\n").map(Number)
  assert.equal(counts.length, specifiers.length)
  assert.ok(counts.every((count) => count > 0))
}

const strictOptions = {
  target: "ES2022",
  lib: ["ES2023", "DOM", "DOM.Iterable"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmit: true
}

/** The types of every export, and the examples on top of them, hold in a strict project that checks its libraries too.
 * @param {string} project @param {ReadonlyArray<string>} specifiers */
const typeCheck = async (project, specifiers) => {
  const lines = specifiers.map((specifier, i) => `import * as export${i} from "${specifier}"\nexport { export${i} }`)
  await writeFile(join(project, "exports.ts"), `${lines.join("\n")}\n`)
  for (const example of await readdir(join(root, "examples")))
    if (/(?<!\.test)\.ts$/.test(example)) await cp(join(root, "examples", example), join(project, example))
  for (const [module, moduleResolution] of [
    ["NodeNext", "NodeNext"],
    ["ESNext", "Bundler"]
  ]) {
    const compilerOptions = { ...strictOptions, module, moduleResolution, types: ["node"] }
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
    await run(project, process.execPath, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")
  }
}

/** The gateway starts, passes an event on, and goes when it is told to. @param {string} project @param {string} program @param {ReadonlyArray<string>} args */
const start = async (project, program, args) => {
  const { WebSocket } = createRequire(join(project, "package.json"))("ws")
  const gateway = spawn(program, args, {
    cwd: project,
    env: { ...process.env, STRATIX_HOST: "127.0.0.1", STRATIX_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const exited = once(gateway, "exit")
  try {
    const ready = async () => {
      for await (const line of createInterface({ input: gateway.stdout })) {
        const url = /ready on (ws:\S+)/.exec(line)?.[1]
        if (url !== undefined) return url
      }
      throw new Error("the gateway ended before it was ready")
    }
    const url = await within("the gateway to be ready", ready())
    gateway.stdout.resume()
    const dashboard = new WebSocket(url)
    /** @type {Array<string>} */
    const received = []
    /** @type {(count: number) => Promise<void>} */
    const messages = async (count) => {
      while (received.length < count) await once(dashboard, "message")
    }
    dashboard.on("message", (/** @type {Buffer} */ data) => received.push(data.toString()))
    await within("the welcome", messages(1))
    const response = await fetch(new URL("/api/stratix/agents/agent-001/status", url.replace("ws:", "http:")), {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ status: "online" })
    })
    assert.equal(response.status, 202, await response.text())
    await within("the event", messages(2))
    assert.match(
      received[1] ?? "",
      /^\{"eventType":"stratix:agent_status_update","payload":\{"agentId":"agent-001","status":"online"\},"timestamp":\d+,"requestId":"stratix-req-\d+"\}$/
    )
    const closed = once(dashboard, "close")
    gateway.kill("SIGTERM")
    assert.equal((await within("the close", closed))[0], 1001, "close code on shutdown")
    assert.equal((await within("the end of the gateway", exited))[0], 0, "exit code on SIGTERM")
  } finally {
    gateway.kill("SIGKILL")
  }
}

/** The file that the README says to save a block as, with the block and the commands that follow it.
 * @param {string} readme @param {string} file */
const instructions = (readme, file) => {
  const [, code, lines] =
    new RegExp(`\`${file}\`[^\`]*\`\`\`ts\\n(.+?)\`\`\`.*?\`\`\`sh\\n(.+?)\`\`\``, "s").exec(readme) ?? []
  assert.ok(
    code !== undefined && lines !== undefined,
    `the README does not say what to save as ${file}, and what to run then`
  )
  return { code, lines: lines.trim().split("\n") }
}

/** Follows the README in an empty folder, line by line. Changed are the package's name (the tarball stands for it) and the port (a free one).
 * @param {string} folder @param {string} tarball @param {any} manifest */
const followReadme = async (folder, tarball, manifest) => {
  const readme = await readFile(join(root, "README.md"), "utf8")
  await mkdir(folder)
  /** @param {string} line */
  const words = (line) => line.split(" ").map((word) => (word === manifest.name ? tarball : word))
  /** @param {string} line */
  const runLine = (line) => {
    const [program = "", ...args] = words(line)
    return run(folder, program, ...args)
  }

  const gateway = instructions(readme, "gateway.mjs")
  await writeFile(join(folder, "gateway.mjs"), gateway.code.replace("port: 3001", "port: 0"))
  const [install = "", launch = "", ...rest] = gateway.lines
  assert.deepEqual(rest, [])
  await runLine(install)
  const [program = "", ...args] = words(launch)
  await start(folder, program, args)

  const test = instructions(readme, "heartbeat.test.ts")
  await writeFile(join(folder, "heartbeat.test.ts"), test.code)
  for (const line of test.lines) await runLine(line)

  await rm(join(folder, "gateway.mjs"))
  await writeFile(join(folder, "gateway.mts"), gateway.code)
  const version = (/** @type {string} */ name) => readJson(join(root, "node_modules", name, "package.json"))
  const compilers = ["typescript", "@types/node", "@types/ws"].map(
    async (name) => `${name}@${(await version(name)).version}`
  )
  await run(folder, "npm", "install", "--save-dev", ...(await Promise.all(compilers)))
  const strict = [
    "--strict",
    "--noEmit",
    "--module",
    "NodeNext",
    "--target",
    "ES2022",
    "--types",
    "node",
    "--skipLibCheck"
  ]
  await run(folder, process.execPath, "node_modules/typescript/bin/tsc", ...strict, "gateway.mts", "heartbeat.test.ts")
}

/** The tests of a log and of a transport, as the author of an own one writes them. */
const suites = `import * as Vitest from "@effect/vitest"
import { EventLogMemory } from "stratix-status-sync"
import { eventLogSuite, StatusSyncTest, transportSuite } from "stratix-status-sync/testing"

eventLogSuite(Vitest, "own", EventLogMemory.layer, { runs: 20 })
transportSuite(Vitest, "own", StatusSyncTest.layerWs({ drainTimeout: "1 second" }))
`

/** Runs the published suites in the folder that the README has made, with the test runner it installed there.
 * @param {string} folder */
const runSuites = async (folder) => {
  await writeFile(join(folder, "suites.test.ts"), suites)
  const report = join(folder, "suites.json")
  const reporter = ["--reporter=json", `--outputFile=${report}`]
  await run(folder, "npx", "--no", "--", "vitest", "run", ...reporter, "suites.test.ts")
  const passed = (await readJson(report)).testResults
    .flatMap((/** @type {any} */ file) => file.assertionResults)
    .filter((/** @type {any} */ test) => test.status === "passed")
    .map((/** @type {any} */ test) => test.ancestorTitles.join(" > "))
  for (const suite of ["event log: own", "over own"]) {
    const ran = passed.filter((/** @type {string} */ titles) => titles.endsWith(suite)).length
    assert.ok(ran > 10, `${ran} tests ran of the suite "${suite}", of: ${[...new Set(passed)].join(", ")}`)
  }
}

const scratch = await mkdtemp(join(tmpdir(), "stratix-package-"))
try {
  const manifest = await readJson(join(root, "package.json"))
  const modules = Object.keys(manifest.exports).filter((path) => path !== "./package.json")
  const specifiers = modules.map((path) => manifest.name + path.slice(1))

  const { files, tarball } = await pack(scratch)
  console.log(`ok  packed, ${files.length} files`)
  await run(root, process.execPath, "node_modules/publint/src/cli.js", "run", tarball, "--strict")
  console.log("ok  publint")
  const project = join(scratch, "project")
  await install(project, tarball, manifest)
  console.log("ok  installed in a project of its own")
  await importEach(project, specifiers)
  console.log(`ok  imported: ${specifiers.join(", ")}`)
  const client = await checkClient(scratch, manifest.version)
  console.log(
    `ok  ${client.name} in an empty folder: nothing but itself, ${Math.ceil(client.size / 1024)} KiB, type-checked`
  )
  await run(project, "npm", "install", client.tarball)
  await writeFile(join(project, "same-types.ts"), sameTypes(client.name, manifest.name))
  await typeCheck(project, specifiers)
  console.log("ok  type-checked, libraries included, with NodeNext and with Bundler resolution")
  await start(project, process.execPath, [join("node_modules", manifest.name, "dist/stratix-gateway/main.js")])
  console.log("ok  started, one event from HTTP to WebSocket, stopped")
  const said = await run(project, "npx", "--no", "--", manifest.name, "--version")
  assert.equal(said.trim(), manifest.version)
  await start(project, join("node_modules", ".bin", manifest.name), ["serve"])
  console.log("ok  the same by its command line")
  await followReadme(join(scratch, "readme"), tarball, manifest)
  console.log("ok  the README's own lines in an empty folder: installed, started, tested, type-checked")
  await runSuites(join(scratch, "readme"))
  console.log("ok  the suites of an own log and an own transport, from the package, in the same folder")
} catch (error) {
  console.error(`FAILED  ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  await rm(scratch, { recursive: true, force: true })
}
