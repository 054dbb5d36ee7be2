/**
 * Three gateways on one log in Redis, or one gateway with workers, with publishers and clients that go from one to the other. Every so often
 * something is killed -9 and comes back. At the end every client must have every event that a publisher was promised, once, in order and at the
 * place that the publisher was told, and show the gateway's state.
 */
import WebSocket from "ws"
import { getText } from "./lib/get-text.mjs"
import { numbers } from "./lib/numbers.mjs"
import { seeded } from "./lib/seeded.mjs"
import { thisMachine } from "./lib/this-machine.mjs"
import { manyGateways, oneGateway } from "./soak/deployments.mjs"

const USAGE = `usage: npm run soak:gateways -- [--workers N] [--minutes N] [--every S] [--clients N] [--rate R] [--seed S]

  --workers N   one gateway of N processes, of which one is killed each time; if absent, three gateways on Redis
  --minutes N   how long events are published, 20 if absent
  --every S     seconds between two kills, 60 if absent
  --clients N   connections at a time, 30 if absent
  --rate R      events per second, 100 if absent
  --seed S      a whole number, 1 if absent

Without --workers it needs redis-server. Everything stays on 127.0.0.1. Exit code 1: a law was broken.`

const { clients, every, minutes, rate, seed, workers } = numbers(
  { minutes: 20, every: 60, clients: 30, rate: 100, seed: 1, workers: 1 },
  USAGE
)

const PUBLISHERS = 5
const AGENTS = 20

/** For what was killed before to be back. */
const PATIENCE_MS = 60_000

const random = seeded(seed)
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))

const deployment = await (workers > 1 ? oneGateway(workers, random.pick) : manyGateways())
process.on("exit", deployment.end)
const { ports } = deployment

const isReady = async (/** @type {number} */ port) =>
  fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false
  )
const untilReady = async () => {
  while (!(await Promise.all(ports.map(isReady))).every((ready) => ready)) await sleep(100)
}
await untilReady()

// ---------------------------------------------------------------------------------------------------------------------
// Clients

/** Events that came after a later one of their publisher, or at another place than their publisher was told. @type {Set<string>} */
const misplaced = new Set()

class Client {
  /** How often it was given each event, and where. @type {Map<string, { count: number, offset: string }>} */
  seen = new Map()
  /** Number of the newest event of each publisher. @type {Map<string, number>} */
  last = new Map()
  /** Request id of the newest event of each agent. @type {Map<string, string>} */
  state = new Map()
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
    const socket = new WebSocket(`ws://127.0.0.1:${random.pick(ports)}/${query}`, "stratix.sync.v1", {
      handshakeTimeout: 10_000
    })
    this.socket = socket
    this.connections++
    socket.on("error", () => undefined)
    socket.on("close", () => setTimeout(() => this.connect(), 100 + 400 * random.next()))
    socket.on("message", (data) => this.take(JSON.parse(String(data))))
  }

  /** @param {any} message */
  take({ eventType, payload }) {
    if (eventType === "stratix:sync") {
      if (payload.mode === "snapshot") {
        if (this.cursor !== undefined) this.snapshots++
        this.state.clear()
      }
      this.lost += payload.lost
      if (payload.count === 0) this.cursor = payload.to
    }
    for (const event of eventType === "stratix:events" ? payload.events : []) {
      this.cursor = event.offset
      if (event.eventType === "stratix:agent_status_update") this.state.set(event.payload.agentId, event.requestId)
      if (event.eventType === "stratix:soak") this.takeOne(event.payload.id, event.offset)
    }
  }

  takeOne(/** @type {string} */ id, /** @type {string} */ offset) {
    const count = (this.seen.get(id)?.count ?? 0) + 1
    this.seen.set(id, { count, offset })
    const [publisher = "", n] = id.split("-")
    if (count === 1 && Number(n) < (this.last.get(publisher) ?? 0)) misplaced.add(id)
    this.last.set(publisher, Number(n))
  }

  /** Where it shows something else than the gateway. */
  differences(/** @type {ReadonlyMap<string, string>} */ state) {
    const agents = new Set([...state.keys(), ...this.state.keys()])
    return [...agents].filter((agent) => state.get(agent) !== this.state.get(agent)).length
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

/** Their places, as their publishers were told. @type {Map<string, string>} */
const acknowledged = new Map()
let published = 0
let retries = 0
const answers = new Map()
let isPublishing = true

const publish = async (/** @type {number} */ publisher, /** @type {number} */ n) => {
  const id = `${publisher}-${n}`
  published++
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${random.pick(ports)}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": id },
      body: JSON.stringify([
        { eventType: "stratix:soak", payload: { id } },
        { eventType: "stratix:agent_status_update", payload: { agentId: `agent-${n % AGENTS}`, status: "busy" } }
      ]),
      signal: AbortSignal.timeout(10_000)
    }).then(
      async (response) => {
        const { error, offsets } = await response.json()
        if (!response.ok) return String(error)
        acknowledged.set(id, offsets[0])
        return "ok"
      },
      () => "no answer"
    )
    if (answer === "ok") return
    answers.set(answer, (answers.get(answer) ?? 0) + 1)
    retries++
    await sleep(100)
  }
}

const publishers = Array.from({ length: PUBLISHERS }, async (_, p) => {
  for (let n = 0; isPublishing; n++) {
    await publish(p, n)
    await sleep((1000 * PUBLISHERS) / rate)
  }
})

// ---------------------------------------------------------------------------------------------------------------------
// Kills, and the end

const endsAt = Date.now() + minutes * 60_000
/** @type {Map<string, number>} */
const kills = new Map()
while (Date.now() + every * 1000 < endsAt) {
  await sleep(every * 1000)
  const killed = await deployment.kill(AbortSignal.timeout(PATIENCE_MS))
  console.log(`${new Date().toISOString()} kill -9 of ${killed}`)
  kills.set(killed, (kills.get(killed) ?? 0) + 1)
}
await sleep(Math.max(0, endsAt - Date.now()))
isPublishing = false
await Promise.all(publishers)
const missing = () =>
  followers.reduce((sum, { seen }) => sum + [...acknowledged.keys()].filter((id) => !seen.has(id)).length, 0)

/** Agents that some client shows otherwise than the gateway. */
const different = async () => {
  const { events } = JSON.parse(await getText(ports[0] ?? 0, "/api/stratix/state"))
  /** @type {Map<string, string>} */
  const state = new Map()
  for (const { payload, requestId } of events) state.set(payload.agentId, requestId)
  return followers.reduce((sum, client) => sum + client.differences(state), 0)
}

await untilReady()
let differences = await different()
// Ten seconds without progress: what is missing then does not come.
for (let before = -1, still = 0; missing() + differences > 0 && still < 10; ) {
  const now = missing() + differences
  still = now === before ? still + 1 : 0
  before = now
  await sleep(1000)
  differences = await different()
}
const health = await deployment.health()
for (const { seen } of followers) {
  for (const [id, { offset }] of seen) if (acknowledged.has(id) && acknowledged.get(id) !== offset) misplaced.add(id)
}
const delivered = followers.reduce((sum, { seen }) => sum + seen.size, 0)
const twice = followers.reduce((sum, { seen }) => sum + [...seen.values()].filter(({ count }) => count > 1).length, 0)
const lost = missing()
const total = (/** @type {"connections" | "snapshots" | "lost"} */ name) =>
  followers.reduce((sum, client) => sum + client[name], 0)
for (const client of followers) client.end()

console.log(`
${thisMachine()}
${workers > 1 ? `${workers} workers` : "3 gateways"}, ${minutes} minutes, ${clients} clients, ${rate} events/s, seed ${seed}

| | |
| --- | --- |
| killed -9 | ${[...kills].map(([name, count]) => `${name}: ${count}`).join(", ")} |
| published | ${published} |
| acknowledged | ${acknowledged.size} |
| tried again | ${retries} (${[...answers].map(([answer, count]) => `${answer}: ${count}`).join(", ")}) |
| connections | ${total("connections")} |
| snapshots after the first | ${total("snapshots")} |
| delivered | ${delivered} of ${acknowledged.size * followers.length} |
| lost | ${lost} |
| told that they were left out | ${total("lost")} |
| duplicated | ${twice} |
| out of order, or at another place than the publisher was told | ${misplaced.size} |
| agents that clients show otherwise than the gateway | ${differences} |
| in the end | ${health} |
`)
process.exit(lost + twice + misplaced.size + differences > 0 ? 1 : 0)
