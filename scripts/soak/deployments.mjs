/**
 * What `soak-gateways.mjs` publishes to and kills: three gateways on one log in Redis, or one gateway of several processes.
 *
 * @typedef {object} Deployment
 * @property {ReadonlyArray<number>} ports of its gateways
 * @property {(signal: AbortSignal) => Promise<string>} kill kills something with -9, and says what; it comes back by itself or is started again
 * @property {() => Promise<string>} health what is worth a row of the report
 * @property {() => void} end
 */
import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { getText } from "../lib/get-text.mjs"
import { freePort } from "../lib/port.mjs"

const path = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url))
const MAIN = path("../../dist/stratix-gateway/main.js")

/** So long that every client that comes back resumes. */
const gatewaySettings = { STRATIX_LOG_LEVEL: "none", STRATIX_HISTORY_CAPACITY: "100000" }

/** A program that is started again after it was killed. */
class Program {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  child

  constructor(
    /** @type {string} */ name,
    /** @type {string} */ command,
    /** @type {ReadonlyArray<string>} */ args,
    /** @type {Record<string, string>} */ env = {}
  ) {
    this.name = name
    this.command = command
    this.args = args
    this.env = env
    this.start()
  }

  start() {
    this.child = spawn(this.command, this.args, { env: { ...process.env, ...this.env }, stdio: "ignore" })
  }

  async kill() {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await ended
  }
}

/** A metric, added up over scrapes. */
const sumOf = (/** @type {ReadonlyArray<string>} */ scrapes, /** @type {string} */ name) =>
  scrapes.reduce((sum, text) => sum + Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1] ?? 0), 0)

/** Three gateways, Redis, and a proxy between them.
 * @returns {Promise<Deployment>} */
export const manyGateways = async () => {
  const folder = mkdtempSync(join(tmpdir(), "stratix-soak-"))
  const redisPort = await freePort()
  const proxyPort = await freePort()
  const ports = [await freePort(), await freePort(), await freePort()]
  const redis = new Program("Redis", "redis-server", [
    ...["--port", `${redisPort}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
    ...["--appendonly", "yes", "--appendfsync", "always"]
  ])
  const proxy = new Program("the proxy", process.execPath, [path("wire.mjs"), `${proxyPort}`, `${redisPort}`])
  const gateways = ports.map(
    (port, i) =>
      new Program(`gateway ${i + 1}`, process.execPath, [MAIN], {
        ...gatewaySettings,
        STRATIX_PORT: `${port}`,
        STRATIX_EVENT_LOG: `redis://127.0.0.1:${proxyPort}`
      })
  )
  const programs = [redis, proxy, ...gateways]
  let kills = 0
  return {
    ports,
    // In turns: a gateway, Redis, a gateway, the proxy.
    kill: async () => {
      const program = kills % 2 === 0 ? gateways[(kills / 2) % gateways.length] : kills % 4 === 1 ? redis : proxy
      kills++
      if (program === undefined) return ""
      await program.kill()
      await sleep(500)
      program.start()
      return program.name
    },
    health: async () => {
      const scrapes = await Promise.all(ports.map((port) => getText(port, "/metrics")))
      const [epochs, rebuilds] = ["epochs", "rebuilds"].map((name) => sumOf(scrapes, `stratix_log_${name}_total`))
      return `epochs since the last start: ${epochs}, rebuilds: ${rebuilds}`
    },
    end: () => {
      for (const { child } of programs) child?.kill("SIGKILL")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** One gateway of so many workers, on a log in memory.
 * @returns {Promise<Deployment>} */
export const oneGateway = async (/** @type {number} */ count, /** @type {<A>(all: ReadonlyArray<A>) => A} */ pick) => {
  const port = await freePort()
  const primary = new Program("the primary", process.execPath, [MAIN], {
    ...gatewaySettings,
    STRATIX_PORT: `${port}`,
    STRATIX_WORKERS: `${count}`
  })
  const workers = () =>
    execFileSync("ps", ["-o", "pid=", "--ppid", `${primary.child?.pid}`], { encoding: "utf8" })
      .split("\n")
      .flatMap((line) => (line.trim() === "" ? [] : [Number(line)]))
  return {
    ports: [port],
    kill: async (signal) => {
      // One that is not there yet is not killed twice.
      while (workers().length < count) await sleep(100, undefined, { signal })
      process.kill(pick(workers()), "SIGKILL")
      return "a worker"
    },
    health: async () => {
      const scrape = await getText(port, "/metrics")
      const epochs = sumOf([scrape], "stratix_log_epochs_total")
      return `workers at the end: ${workers().length} of ${count}, epochs: ${epochs}`
    },
    end: () => void primary.child?.kill("SIGKILL")
  }
}
