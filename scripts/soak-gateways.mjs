/**
 * Three gateways on one log in Redis, behind a proxy, with publishers and clients that go from one gateway to the other. Every so often
 * something is killed -9 and started again. At the end every client must have every event that a publisher was promised, once.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import WebSocket from "ws"
import { numbers } from "./lib/numbers.mjs"
import { seeded } from "./lib/seeded.mjs"
import { thisMachine } from "./lib/this-machine.mjs"

const USAGE = `usage: npm run soak:gateways -- [--minutes N] [--every S] [--clients N] [--rate R] [--seed S]

  --minutes N   how long events are published, 20 if absent
  --every S     seconds between two kills, 60 if absent
  --clients N   connections at a time, 30 if absent
  --rate R      events per second, 100 if absent
  --seed S      a whole number, 1 if absent

It needs redis-server. Everything stays on 127.0.0.1. Exit code 1: an event was lost, or came twice.`

const { clients, every, minutes, rate, seed } = numbers(
  { minutes: 20, every: 60, clients: 30, rate: 100, seed: 1 },
  USAGE
)

const PUBLISHERS = 5
const random = seeded(seed)
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @returns {Promise<number>} */
const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

// ---------------------------------------------------------------------------------------------------------------------
// What is killed

/** A program that is started again after it was killed. */
class Program {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  child
  kills = 0

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

const folder = mkdtempSync(join(tmpdir(), "stratix-soak-"))
const [redisPort, proxyPort, ...gatewayPorts] = await Promise.all([1, 2, 3, 4, 5].map(freePort))
const path = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url))
const redis = new Program("Redis", "redis-server", [
  ...["--port", `${redisPort}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
  ...["--appendonly", "yes", "--appendfsync", "always"]
])
const proxy = new Program("proxy", process.execPath, [path("soak/wire.mjs"), `${proxyPort}`, `${redisPort}`])
const gateways = gatewayPorts.map(
  (port, i) =>
    new Program(`gateway ${i + 1}`, process.execPath, [path("../dist/stratix-gateway/main.js")], {
      STRATIX_PORT: `${port}`,
      STRATIX_EVENT_LOG: `redis://127.0.0.1:${proxyPort}`,
      STRATIX_LOG_LEVEL: "none",
      STRATIX_HISTORY_CAPACITY: "100000"
    })
)
const programs = [redis, proxy, ...gateways]
for (const program of programs) program.start()
process.on("exit", () => {
  for (const { child } of programs) child?.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

const isReady = async (/** @type {number} */ port) =>
  fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false
  )
const untilReady = async () => {
  while (!(await Promise.all(gatewayPorts.map(isReady))).every((ready) => ready)) await sleep(100)
}
await untilReady()

// ---------------------------------------------------------------------------------------------------------------------
// Clients

class Client {
  /** How often it was given each event. @type {Map<string, number>} */
  seen = new Map()
  /** @type {string | undefined} */
  cursor
  connections = 0
  snapshots = 0
  lost = 0
  isOver = false
  /** @type {WebSocket | undefined} */
  socket

  connect() {
    if (this.isOver) return
    const query = this.cursor === undefined ? "?snapshot=true" : `?since=${encodeURIComponent(this.cursor)}`
    const socket = new WebSocket(`ws://127.0.0.1:${random.pick(gatewayPorts)}/${query}`, "stratix.sync.v1")
    this.socket = socket
    this.connections++
    socket.on("error", () => undefined)
    socket.on("close", () => setTimeout(() => this.connect(), 100 + 400 * random.next()))
    socket.on("message", (data) => this.take(JSON.parse(String(data))))
  }

  /** @param {any} message */
  take({ eventType, payload }) {
    if (eventType === "stratix:sync") {
      if (payload.mode === "snapshot" && this.cursor !== undefined) this.snapshots++
      this.lost += payload.lost
      if (payload.count === 0) this.cursor = payload.to
    }
    for (const event of eventType === "stratix:events" ? payload.events : []) {
      this.cursor = event.offset
      if (event.eventType !== "stratix:soak") continue
      const { id } = event.payload
      this.seen.set(id, (this.seen.get(id) ?? 0) + 1)
    }
  }

  end() {
    this.isOver = true
    this.socket?.terminate()
  }
}

const followers = Array.from({ length: Math.ceil(clients) }, () => new Client())
for (const client of followers) client.connect()
// From the first event on, each must have everything.
while (followers.some(({ cursor }) => cursor === undefined)) await sleep(50)

// ---------------------------------------------------------------------------------------------------------------------
// Publishers

/** @type {Set<string>} */
const acknowledged = new Set()
let published = 0
let retries = 0
const answers = new Map()
let isPublishing = true

const publish = async (/** @type {string} */ id) => {
  published++
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${random.pick(gatewayPorts)}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": id },
      body: JSON.stringify({ eventType: "stratix:soak", payload: { id } }),
      signal: AbortSignal.timeout(10_000)
    }).then(
      async (response) => (response.ok ? "ok" : String((await response.json()).error)),
      () => "no answer"
    )
    if (answer === "ok") {
      acknowledged.add(id)
      return
    }
    answers.set(answer, (answers.get(answer) ?? 0) + 1)
    retries++
    await sleep(100)
  }
}

const publishers = Array.from({ length: PUBLISHERS }, async (_, p) => {
  for (let n = 0; isPublishing; n++) {
    await publish(`${p}-${n}`)
    await sleep((1000 * PUBLISHERS) / rate)
  }
})

// ---------------------------------------------------------------------------------------------------------------------
// Kills, and the end

const endsAt = Date.now() + minutes * 60_000
let kill = 0
while (Date.now() + every * 1000 < endsAt) {
  await sleep(every * 1000)
  // In turns: a gateway, Redis, a gateway, the proxy.
  const program = kill % 2 === 0 ? gateways[(kill / 2) % gateways.length] : kill % 4 === 1 ? redis : proxy
  kill++
  if (program === undefined) continue
  console.log(`${new Date().toISOString()} kill -9 ${program.name}`)
  await program.kill()
  program.kills++
  await sleep(500)
  program.start()
}
await sleep(Math.max(0, endsAt - Date.now()))
isPublishing = false
await Promise.all(publishers)
const missing = () =>
  followers.reduce((sum, { seen }) => sum + [...acknowledged].filter((id) => !seen.has(id)).length, 0)
// Ten seconds without progress: what is missing then does not come.
for (let before = -1, still = 0; missing() > 0 && still < 10; still = missing() === before ? still + 1 : 0) {
  before = missing()
  await sleep(1000)
}
await untilReady()
const scrape = await Promise.all(
  gatewayPorts.map((port) => fetch(`http://127.0.0.1:${port}/metrics`).then((response) => response.text()))
)
const metric = (/** @type {string} */ name) =>
  scrape.reduce((sum, text) => sum + Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1] ?? 0), 0)
const delivered = followers.reduce((sum, { seen }) => sum + seen.size, 0)
const twice = followers.reduce((sum, { seen }) => sum + [...seen.values()].filter((count) => count > 1).length, 0)
const lost = missing()
const total = (/** @type {"connections" | "snapshots" | "lost"} */ name) =>
  followers.reduce((sum, client) => sum + client[name], 0)
for (const client of followers) client.end()

console.log(`
${thisMachine()}
${minutes} minutes, ${clients} clients, ${rate} events/s, seed ${seed}

| | |
| --- | --- |
| killed -9 | ${programs.map(({ kills, name }) => `${name}: ${kills}`).join(", ")} |
| published | ${published} |
| acknowledged | ${acknowledged.size} |
| tried again | ${retries} (${[...answers].map(([answer, count]) => `${answer}: ${count}`).join(", ")}) |
| connections | ${total("connections")} |
| snapshots after the first | ${total("snapshots")} |
| delivered | ${delivered} of ${acknowledged.size * followers.length} |
| lost | ${lost} |
| told that they were left out | ${total("lost")} |
| duplicated | ${twice} |
| epochs since the last start, of all gateways | ${metric("stratix_log_epochs_total")} |
| rebuilds since the last start | ${metric("stratix_log_rebuilds_total")} |
`)
process.exit(lost > 0 || twice > 0 ? 1 : 0)
