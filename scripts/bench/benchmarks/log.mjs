import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { Context, Effect, Exit, Layer, Logger, Redacted, Scope } from "effect"
import { portOf } from "../../lib/port.mjs"

const sizes = {
  full: { lone: 2000, concurrent: 20_000, batched: 100_000, keys: 100_000, samples: 1000 },
  quick: { lone: 300, concurrent: 2000, batched: 5000, keys: 5000, samples: 100 }
}

/** Events in one append of the batched load. */
const BATCH = 100

/** Appends under way at a time where many publish one event each. */
const AT_ONCE = 256

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const port = portOf(probe)
      probe.close(() => resolve(port))
    })
  })

/** A Redis that keeps nothing: what is measured is the way there and back. */
const startRedis = async () => {
  const folder = mkdtempSync(join(tmpdir(), "stratix-bench-"))
  const port = await freePort()
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "ignore"] })
  await new Promise((resolve, reject) => {
    child.on("error", reject)
    child.stdout.on("data", (data) => String(data).includes("Ready to accept") && resolve(undefined))
  })
  const cpuSeconds = async () => {
    const { createClient } = await import("@redis/client")
    const client = await createClient({ socket: { port } }).connect()
    const info = await client.info("cpu")
    client.destroy()
    const of = (name) => Number(new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1])
    return of("used_cpu_user") + of("used_cpu_sys")
  }
  const end = () => {
    child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
  return { url: `redis://127.0.0.1:${port}`, cpuSeconds, end }
}

/** As long as the status of a command: 230 bytes. */
const draft = (key, n) => ({
  tenant: "default",
  own: undefined,
  eventType: "stratix:agent_status_update",
  agentId: key,
  commandId: undefined,
  key: `agent:${key}`,
  removes: [],
  status: "busy",
  finished: false,
  lease: undefined,
  stamp: { timestamp: n, requestId: `r${n}` },
  json: JSON.stringify({ eventType: "stratix:agent_status_update", payload: { agentId: key, status: "busy" } }).padEnd(
    230
  )
})

const quantile = (values, q) => values.sort((a, b) => a - b)[Math.floor(values.length * q)]

/** A log whose scope ends with `end`.
 * @type {(layer: Layer.Layer<any, any, any>) => Promise<{ log: any, end: () => Promise<void> }>} */
const open = async (layer) => {
  const { EventLog, StatusSyncConfig } = await import("../../../dist/stratix-gateway/index.js")
  const scope = await Effect.runPromise(Scope.make())
  const settings = { latestCapacity: 200_000, eventLogTimeout: 60_000 }
  /** @type {any} */
  const whole = Layer.provide(
    Layer.provide(layer, StatusSyncConfig.layer(settings)),
    Logger.remove(Logger.defaultLogger)
  )
  const context = await Effect.runPromise(Layer.buildWithScope(whole, scope))
  return { log: Context.get(context, EventLog.EventLog), end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const load = async (name, { log }, { batched, concurrent, lone }, cpuSeconds) => {
  const figures = {}
  const millis = []
  for (let n = 0; n < lone; n++) {
    const began = performance.now()
    await Effect.runPromise(log.append([draft(`a${n % 1000}`, n)]))
    millis.push(performance.now() - began)
  }
  figures[`${name}: one append after the other, p50 ms`] = quantile(millis, 0.5)
  figures[`${name}: one append after the other, p99 ms`] = quantile(millis, 0.99)
  const timed = async (what, events, effect) => {
    const cpu = await cpuSeconds?.()
    const began = performance.now()
    await Effect.runPromise(effect)
    figures[`${name}: ${what}, events/s`] = events / ((performance.now() - began) / 1000)
    if (cpu !== undefined)
      figures[`${name}: ${what}, engine CPU µs/event`] = (((await cpuSeconds()) - cpu) / events) * 1e6
  }
  const numbers = (count) => Array.from({ length: count }, (_, n) => n)
  await timed(
    `${AT_ONCE} publishers`,
    concurrent,
    Effect.forEach(numbers(concurrent), (n) => log.append([draft(`a${n % 1000}`, n)]), { concurrency: AT_ONCE })
  )
  const batch = numbers(BATCH).map((n) => draft(`a${n}`, n))
  await timed(
    `appends of ${BATCH}`,
    batched,
    Effect.forEach(numbers(batched / BATCH), () => log.append(batch), { concurrency: 4, discard: true })
  )
  return figures
}

/** As `problemWith` of log/file/Journal.ts. */
const hasFiles = () => Number(process.versions.node.split(".")[0]) >= 24 || process.versions.node.startsWith("22.")

/** The figures of a log in a file: written for a crash of the process, and for one of the machine. */
const files = async (size) => {
  const { EventLogFile } = await import("../../../dist/stratix-gateway/index.js")
  const figures = {}
  const folder = mkdtempSync(join(tmpdir(), "stratix-bench-"))
  try {
    for (const durability of /** @type {const} */ (["process", "disk"])) {
      const one = await open(EventLogFile.layer({ path: join(folder, `${durability}.db`), durability }))
      Object.assign(figures, await load(`file (${durability})`, one, size))
      await one.end()
    }
    const path = join(folder, "keys.db")
    const writer = await open(EventLogFile.layer({ path }))
    await fill(writer, size.keys)
    await writer.end()
    const began = performance.now()
    const reader = await open(EventLogFile.layer({ path }))
    figures[`file: start with ${size.keys} keys, s`] = (performance.now() - began) / 1000
    await reader.end()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return figures
}

const fill = async ({ log }, keys) => {
  for (let n = 0; n < keys; n += BATCH)
    await Effect.runPromise(log.append(Array.from({ length: BATCH }, (_, i) => draft(`k${n + i}`, n))))
}

/** From the append at the first gateway until the last of all has heard of it. */
const through = async (logs, samples) => {
  const millis = []
  for (let n = 0; n < samples; n++) {
    const heads = logs.map(({ log }) => log.head().index)
    const began = performance.now()
    const appending = Effect.runPromise(logs[0].log.append([draft("a", n)]))
    while (logs.some(({ log }, i) => log.head().index === heads[i])) await new Promise(setImmediate)
    millis.push(performance.now() - began)
    await appending
  }
  return millis
}

export const log = {
  title: "The log",
  about:
    "Appends of events of 230 bytes to a log in memory, to one in a file (Node 22 or 24) and to one in a Redis on the same machine that keeps nothing on disk, all in one process; how long until the last of 1, 2 and 4 gateways has an event; how long a gateway takes to read 100,000 keys from a Redis and from a file. Needs `redis-server`.",
  peers: ["ours"],
  measure: async (_peer, scale) => {
    const size = sizes[scale]
    const { EventLogMemory, EventLogRedis } = await import("../../../dist/stratix-gateway/index.js")
    const memory = await open(EventLogMemory.layer)
    const figures = await load("memory", memory, size)
    await memory.end()
    // Elsewhere the log says what it needs.
    if (hasFiles()) Object.assign(figures, await files(size))
    else console.error(`no log in a file on Node ${process.versions.node}: run the benchmark on Node 22 or 24`)
    const redis = await startRedis()
    try {
      const shared = (namespace) => open(EventLogRedis.layer({ url: Redacted.make(redis.url), namespace }))
      const one = await shared("load")
      Object.assign(figures, await load("Redis", one, size, redis.cpuSeconds))
      await one.end()
      for (const count of [1, 2, 4]) {
        const logs = await Promise.all(Array.from({ length: count }, () => shared(`through-${count}`)))
        const millis = await through(logs, size.samples)
        figures[`Redis: until ${count} gateway${count > 1 ? "s" : ""} have it, p50 ms`] = quantile(millis, 0.5)
        figures[`Redis: until ${count} gateway${count > 1 ? "s" : ""} have it, p99 ms`] = quantile(millis, 0.99)
        for (const { end } of logs) await end()
      }
      const writer = await shared("keys")
      await fill(writer, size.keys)
      const began = performance.now()
      const reader = await shared("keys")
      figures[`Redis: start with ${size.keys} keys, s`] = (performance.now() - began) / 1000
      await reader.end()
      await writer.end()
    } finally {
      redis.end()
    }
    return figures
  }
}
