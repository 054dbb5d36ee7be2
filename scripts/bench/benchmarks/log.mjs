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

const load = async ({ log }, { batched, concurrent, lone }, cpuSeconds) => {
  const figures = {}
  const millis = []
  for (let n = 0; n < lone; n++) {
    const began = performance.now()
    await Effect.runPromise(log.append([draft(`a${n % 1000}`, n)]))
    millis.push(performance.now() - began)
  }
  figures["one append after the other, p50 ms"] = quantile(millis, 0.5)
  figures["one append after the other, p99 ms"] = quantile(millis, 0.99)
  const timed = async (what, events, effect) => {
    const cpu = await cpuSeconds?.()
    const began = performance.now()
    await Effect.runPromise(effect)
    figures[`${what}, events/s`] = events / ((performance.now() - began) / 1000)
    if (cpu !== undefined) figures[`${what}, engine CPU µs/event`] = (((await cpuSeconds()) - cpu) / events) * 1e6
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

/** How long a log takes to start with keys: wall and CPU time, threads included. */
const started = async (layer, { keys }, figures) => {
  const writer = await open(layer)
  await fill(writer, keys)
  await writer.end()
  const cpu = process.cpuUsage()
  const began = performance.now()
  const reader = await open(layer)
  figures[`start with ${keys} keys, s`] = (performance.now() - began) / 1000
  const { system, user } = process.cpuUsage(cpu)
  figures[`start with ${keys} keys, CPU s`] = (user + system) / 1e6
  await reader.end()
}

const memory = async (size) => {
  const { EventLogMemory } = await import("../../../dist/stratix-gateway/index.js")
  const one = await open(EventLogMemory.layer)
  const figures = await load(one, size)
  await one.end()
  return figures
}

/** @param {"process" | "disk"} durability */
const file = async (size, durability) => {
  // Elsewhere the log says what it needs.
  if (!hasFiles()) {
    console.error(`no log in a file on Node ${process.versions.node}: run the benchmark on Node 22 or 24`)
    return {}
  }
  const { EventLogFile } = await import("../../../dist/stratix-gateway/index.js")
  const folder = mkdtempSync(join(tmpdir(), "stratix-bench-"))
  try {
    const one = await open(EventLogFile.layer({ path: join(folder, "load.db"), durability }))
    const figures = await load(one, size)
    await one.end()
    if (durability === "process") await started(EventLogFile.layer({ path: join(folder, "keys.db") }), size, figures)
    return figures
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const redis = async (size) => {
  const { EventLogRedis } = await import("../../../dist/stratix-gateway/index.js")
  const server = await startRedis()
  try {
    const layer = (namespace) => EventLogRedis.layer({ url: Redacted.make(server.url), namespace })
    const one = await open(layer("load"))
    const figures = await load(one, size, server.cpuSeconds)
    await one.end()
    for (const count of [1, 2, 4]) {
      const logs = await Promise.all(Array.from({ length: count }, () => open(layer(`through-${count}`))))
      const millis = await through(logs, size.samples)
      const gateways = `${count} gateway${count > 1 ? "s" : ""}`
      figures[`event at the last of ${gateways}, p50 ms`] = quantile(millis, 0.5)
      figures[`event at the last of ${gateways}, p99 ms`] = quantile(millis, 0.99)
      for (const { end } of logs) await end()
    }
    await started(layer("keys"), size, figures)
    return figures
  } finally {
    server.end()
  }
}

const measures = {
  memory,
  file: (size) => file(size, "process"),
  fileDisk: (size) => file(size, "disk"),
  redis
}

export const log = {
  title: "The log",
  about:
    "Appends of events of 230 bytes to a log in memory, to one in a file (Node 22 or 24) and to one in a Redis on the same machine that keeps nothing on disk, all in one process; how long until the last of 1, 2 and 4 gateways has an event; how long a gateway takes to read 100,000 keys from a Redis and from a file. Needs `redis-server`.",
  peers: Object.keys(measures),
  measure: (peer, scale) => measures[peer](sizes[scale])
}
