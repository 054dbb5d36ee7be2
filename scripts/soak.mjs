/**
 * A gateway under load for minutes: connections that come and go, some of them hostile, publishers inside and over HTTP. While it runs, every
 * well-behaved client checks the laws (docs/soak.md); at the end each one's state is compared with that of the gateway.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { attacks as heavy } from "./attack/attacks.mjs"
import { startGateway } from "./lib/gateway-process.mjs"
import { numbers } from "./lib/numbers.mjs"
import { seeded } from "./lib/seeded.mjs"
import { thisMachine } from "./lib/this-machine.mjs"
import { Follower } from "./soak/follower.mjs"
import { attacks, CUT_SHORT, cutShort } from "./soak/hostile.mjs"
import { Ledger } from "./soak/ledger.mjs"

const USAGE = `usage: npm run soak -- [--minutes N] [--clients N] [--rate R] [--seed S] [--limit MB]

  --minutes N   how long events are published, 30 if absent
  --clients N   well-behaved connections at a time, 300 if absent
  --rate R      events per second, 100 if absent
  --seed S      a whole number, 1 if absent: the same clients, attacks and events, though not at the same moments
  --limit MB    memory that the gateway may have (prlimit --data, as in a container), without a limit if absent; with it, the attacks of
                \`npm run attack\` that publish nothing go on meanwhile, one after the other

Everything stays on 127.0.0.1. Exit code 1: a law was broken; what and where is printed.`

const NO_LIMIT = Number.POSITIVE_INFINITY
const { clients, limit, minutes, rate, seed } = numbers(
  { minutes: 30, clients: 300, rate: 100, seed: 1, limit: NO_LIMIT },
  USAGE
)
const clientCount = Math.ceil(clients)

/** Publishers inside the gateway, and over HTTP; each publishes as much as any other. */
const INSIDE = 4
const OVER_HTTP = 2

/** Of all clients: those that take large events too, half of them slowly. */
const LARGE_SHARE = 1 / 15

/** Attacks begin so often, and so many go on at once at the most. */
const ATTACK_EVERY_MS = 250
const ATTACKS_AT_ONCE = 60

/** At the state, at the end; what is wrong in each of them is wrong. */
const LOOKS = 5

/** Less than the default, so that who is away for more than some 20 s at 100 events/s is conflated, and finished commands do leave. */
const settings = { historyCapacity: 2048, finishedRetention: "1 minute", finishedCapacity: 500 }

/** Well-behaved clients begin within this time, so that the gateway's limit of handshakes a second is not what is tested. */
const RAMP_MS = 5000

/** The first figures are taken after this time, the last ones over as long a time at the end. */
const windowMs = Math.min(60_000, (minutes * 60_000) / 4)

/** A soak that gets no CPU itself sees everything late: without this, its pauses would look like the gateway's. */
const own = monitorEventLoopDelay({ resolution: 20 })
own.enable()

const random = seeded(seed)
const ledger = new Ledger()
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// ---------------------------------------------------------------------------------------------------------------------
// What is broken

const SHOWN = 30
const broken = []
let brokenCount = 0
const breaks = (text) => {
  brokenCount++
  if (broken.length < SHOWN) {
    broken.push(text)
    console.log(`BROKEN ${text}`)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The gateway

let errors = 0
const error = (text) => {
  errors++
  if (errors <= SHOWN) console.log(`ERROR ${text}`)
}

const inside = (rate * INSIDE) / (INSIDE + OVER_HTTP)
const { ask, end, port } = await startGateway(
  fileURLToPath(new URL("soak/gateway.mjs", import.meta.url)),
  { publishers: INSIDE, rate: inside, seed, settings },
  {
    error,
    message: ({ published }) => {
      for (const entry of published) ledger.add(entry)
    }
  },
  limit === NO_LIMIT ? {} : { shell: `prlimit --data=${Math.round(limit * 1024 ** 2)} --pid $$` }
)
const url = `http://127.0.0.1:${port}`

// ---------------------------------------------------------------------------------------------------------------------
// Publishers over HTTP

let publishing = true
const publisher = async (name) => {
  const dice = seeded(seed + name.charCodeAt(1) + 1000)
  let n = 0
  while (publishing) {
    const count = dice.between(1, 4)
    const events = Array.from({ length: count }, () => {
      const agentId = `agent-${name}-${dice.between(0, 4)}`
      const requestId = `soak-${name}-${++n}`
      return dice.chance(0.8)
        ? {
            eventType: "stratix:agent_status_update",
            payload: { agentId, status: dice.pick(["online", "busy"]) },
            requestId
          }
        : { eventType: "stratix:soak_note", payload: { n, agentId }, requestId }
    })
    try {
      const answer = await fetch(`${url}/api/stratix/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(count === 1 ? events[0] : events)
      })
      const body = await answer.json()
      if (answer.status !== 202) error(`publishing was answered with ${answer.status} ${JSON.stringify(body)}`)
      else
        body.offsets.forEach((offset, i) => {
          const event = events[i]
          if (event === undefined) return error(`${offset} is an offset too many`)
          const { eventType, payload, requestId } = event
          ledger.add([offset, requestId, eventType, payload.agentId, null, false])
        })
    } catch (cause) {
      error(`publishing failed: ${cause instanceof Error ? (cause.cause ?? cause) : cause}`)
    }
    await sleep((-Math.log(1 - dice.next()) * 1000 * 2.5 * (INSIDE + OVER_HTTP)) / rate)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Well-behaved clients

const USUAL = ["agent_status_update", "command_status_update", "agent_create", "soak_note"]
const someAgents = () =>
  Array.from(
    { length: random.between(1, 4) },
    () => `agent-${random.pick(["p0", "p1", "p2", "p3", "h0", "h1"])}-${random.between(0, 4)}`
  )
const filters = [
  () => ({ events: USUAL }),
  () => ({ events: ["agent_status_update", "soak_note"] }),
  () => ({ agents: someAgents() }),
  () => ({ events: ["agent_status_update"], agents: someAgents() }),
  () => ({ events: ["command_status_update"], commands: [`cmd-p${random.between(0, 3)}-${random.between(0, 40)}`] })
]
const kindOf = (i) => {
  if (i < (clientCount * LARGE_SHARE) / 2) return { title: "sync, all", sync: true, filter: {} }
  if (i < clientCount * LARGE_SHARE)
    return i % 2 === 0
      ? { title: "sync, all, slow", sync: true, slow: true, filter: {} }
      : { title: "stream, all, slow", sync: true, stream: true, slow: true, filter: {} }
  const filter = (random.chance(0.3) ? filters[0] : random.pick(filters))()
  const dice = random.next()
  if (dice < 0.1) return { title: "plain with snapshot", sync: false, snapshot: true, filter }
  if (dice < 0.45) return { title: "plain", sync: false, filter }
  return dice < 0.6 ? { title: "stream", sync: true, stream: true, filter } : { title: "sync", sync: true, filter }
}
const followers = Array.from(
  { length: clientCount },
  (_, i) => new Follower({ broken: breaks, kind: kindOf(i), ledger, name: `client ${i}`, port })
)

let churning = true
let stopChurn
const churnStopped = new Promise((resolve) => {
  stopChurn = resolve
})
/** A pause of the churn that the end of the run cuts short. */
const pause = (ms) => Promise.race([sleep(ms), churnStopped])

const live = async (follower) => {
  await pause(random.next() * RAMP_MS)
  let back = false
  while (churning) {
    await follower.connect(back && random.chance(0.8))
    back = true
    const turns = random.between(1, 4)
    for (let turn = 0; turn < turns && churning && follower.isOpen; turn++) {
      await pause(random.between(2000, 30_000))
      if (!churning) break
      if (follower.kind.slow) {
        follower.pause()
        await pause(random.between(5000, 45_000))
        follower.read()
      } else if (random.chance(0.3)) follower.refilter(random.pick(filters)())
    }
    if (!churning) break
    follower.leave(random.chance(0.5))
    // Mostly for a moment, sometimes for longer than the history goes back.
    await pause(random.chance(0.85) ? random.between(0, 3000) : random.between(5000, 60_000))
  }
  follower.read()
  if (!follower.isOpen) await follower.connect(back)
}

// ---------------------------------------------------------------------------------------------------------------------
// Attackers

const outcomes = new Map()
const underWay = new Set()
let attacking = true
const attack = (name) => {
  const { expects, run } = attacks[name]
  const running = run(port, random).then((outcome) => {
    underWay.delete(running)
    const counts = outcomes.get(name) ?? {}
    counts[outcome] = (counts[outcome] ?? 0) + 1
    outcomes.set(name, counts)
    if (outcome !== CUT_SHORT && !expects.includes(outcome))
      breaks(`attack "${name}" ended with ${outcome}, expected ${expects.join(" or ")}`)
  })
  underWay.add(running)
}
/** What `npm run attack` does, without what the ledger cannot know. */
const heavyAttacks = heavy.filter(({ alone }) => alone !== true)
const heavyAttackers = async () => {
  while (attacking && limit !== NO_LIMIT) {
    const { name, run } = random.pick(heavyAttacks)
    const { ended = "", fails = false } = await run(port, random).catch((cause) => ({
      ended: String(cause),
      fails: true
    }))
    const counts = outcomes.get(name) ?? {}
    counts.over = (counts.over ?? 0) + 1
    outcomes.set(name, counts)
    if (fails) breaks(`attack "${name}" ended with ${ended}`)
  }
}
const attackers = async () => {
  const names = Object.keys(attacks)
  while (attacking) {
    if (underWay.size < ATTACKS_AT_ONCE) attack(random.pick(names))
    await sleep(ATTACK_EVERY_MS)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The run

const metric = (text, name) => {
  let sum = 0
  for (const line of text.split("\n")) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum += Number(line.slice(line.lastIndexOf(" ") + 1))
  }
  return sum
}

console.log(`${minutes} minutes, ${clientCount} clients, ${rate} events/s, seed ${seed}; ${thisMachine()}`)
const startedAt = Date.now()
const checking = setInterval(() => {
  for (const follower of followers) follower.check()
}, 500)
await ask("publish")
const overHttp = Array.from({ length: OVER_HTTP }, (_, i) => publisher(`h${i}`))
const lives = followers.map(live)
const attackersEnd = Promise.all([attackers(), heavyAttackers()])

await sleep(RAMP_MS + windowMs / 2)
await ask("report")
await sleep(windowMs / 2)
const before = await ask("report")
const mb = (bytes) => (bytes / 1024 ** 2).toFixed(1)
const progress = setInterval(async () => {
  const { clients, heap, rss } = await ask("report")
  const minute = Math.round((Date.now() - startedAt) / 60_000)
  console.log(
    `minute ${minute}: ${ledger.published} events, ${clients} clients, RSS ${mb(rss)} MB, heap ${mb(heap)} MB, broken ${brokenCount}, errors ${errors}`
  )
}, 60_000)
await sleep(Math.max(0, startedAt + minutes * 60_000 - Date.now() - windowMs / 2))
clearInterval(progress)
await ask("report")
await sleep(Math.max(0, startedAt + minutes * 60_000 - Date.now()))
const after = await ask("report")

// Everything stops but the reading.
attacking = false
churning = false
stopChurn()
await attackersEnd
await Promise.all(lives)
publishing = false
await Promise.all(overHttp)
await ask("stop")
const deadline = Date.now() + 30_000
let waiting = followers
while (waiting.length > 0 && Date.now() < deadline) {
  await sleep(200)
  for (const follower of waiting) follower.check()
  waiting = waiting.filter((follower) => !follower.isThere)
}
for (const follower of waiting)
  breaks(`${follower.name} (${follower.kind.title}) has not got everything: ${follower.whereabouts}`)
clearInterval(checking)
// What the log itself publishes is told a moment later.
while (ledger.head !== ledger.published && Date.now() < deadline) await sleep(200)
if (ledger.head !== ledger.published)
  breaks(`the log has ${ledger.head} places, ${ledger.published} events were published`)

let compared = 0
/** Of each follower: what was wrong in every look so far. The log goes on: it removes finished commands, also between the answer and the look at it. */
let wrong = followers.map((follower) => ({ follower, texts: /** @type {Array<string> | undefined} */ (undefined) }))
for (let left = LOOKS; left > 0 && wrong.length > 0; left--) {
  const { events: state } = await (await fetch(`${url}/api/stratix/state`)).json()
  if (left === LOOKS) compared = followers.reduce((sum, follower) => sum + follower.compare(state).compared, 0)
  wrong = wrong
    .map(({ follower, texts }) => ({
      follower,
      texts: follower.compare(state).wrong.filter((text) => texts?.includes(text) ?? true)
    }))
    .filter(({ texts }) => texts.length > 0)
  if (wrong.length > 0) await sleep(1000)
}
for (const { follower, texts } of wrong) for (const text of texts ?? []) follower.broken(text)
const metrics = await (await fetch(`${url}/metrics`)).text()

for (const follower of followers) follower.leave(true)
cutShort()
await Promise.all(underWay)
const emptyBy = Date.now() + 10_000
let empty = await ask("report")
while ((empty.clients > 0 || empty.broadcast.groups > 0) && Date.now() < emptyBy) {
  await sleep(200)
  empty = await ask("report")
}
if (empty.clients > 0 || empty.broadcast.groups > 0)
  breaks(`${empty.clients} connections and ${empty.broadcast.groups} groups are left`)

const code = await end()
if (code !== 0) breaks(`the gateway ended with ${code}`)

/** Above it something is kept that should have gone: what is held is bounded, and both figures are taken at the same load. */
if (after.heap > before.heap * 1.5 + 16 * 1024 ** 2)
  breaks(`the heap grew from ${mb(before.heap)} to ${mb(after.heap)} MB`)

// ---------------------------------------------------------------------------------------------------------------------
// The table

const sum = (of) => followers.reduce((total, follower) => total + of(follower), 0)
const keepUp = followers.filter(({ kind }) => !kind.slow)
const rows = [
  ["events published", ledger.published],
  ["delivered (events × connections)", after.broadcast.deliveries],
  ["received by well-behaved clients, each checked", sum(({ received }) => received)],
  ["conflated catch-ups of clients that fell behind", after.broadcast.conflations],
  [
    "catch-ups told to clients: snapshot / resume / conflated",
    `${sum((f) => f.snapshots)} / ${sum((f) => f.resumes)} / ${sum((f) => f.conflations)}`
  ],
  [
    "lost, by clients that keep up",
    broken.filter((text) => text.includes("lost")).length + (brokenCount > SHOWN ? "+" : "")
  ],
  ["keyless events left out of conflated catch-ups, and said so", sum(({ lost }) => lost)],
  ["laws broken", brokenCount],
  ["errors of the gateway", errors],
  ["connections of well-behaved clients", sum(({ connections }) => connections)],
  [
    "… cut off by the gateway: keeping up / slow",
    `${sum((f) => (f.kind.slow ? 0 : f.cut))} / ${sum((f) => (f.kind.slow ? f.cut : 0))}`
  ],
  ["connections made, as the gateway counts", metric(metrics, "stratix_joins_total")],
  ["… refused or closed for what they sent", metric(metrics, "stratix_refusals_total")],
  ["… killed (silent or stalled)", metric(metrics, "stratix_terminations_total")],
  [
    "attacks",
    [...outcomes.values()].reduce((total, counts) => total + Object.values(counts).reduce((a, b) => a + b, 0), 0)
  ],
  ["keys compared with the state at the end", compared]
]
const figures = [
  ["RSS, MB", mb(before.rss), mb(after.rss), mb(empty.rss)],
  ["heap after gc, MB", mb(before.heap), mb(after.heap), mb(empty.heap)],
  [
    "event-loop delay p50 / p99 / max, ms",
    ...[before, after].map(({ loop }) => `${loop.p50} / ${loop.p99} / ${loop.max}`),
    ""
  ],
  ["connections", before.clients, after.clients, empty.clients],
  ["sockets", before.sockets, after.sockets, empty.sockets],
  ["keys", before.log.keys, after.log.keys, empty.log.keys],
  ["history, events", before.log.historyEvents, after.log.historyEvents, empty.log.historyEvents]
]
const table = (head, body) =>
  [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
console.log(`\n${table(["", `${minutes} minutes, seed ${seed}`], rows)}\n`)
console.log(`${table(["", "at the start", "at the end", "when all have left"], figures)}\n`)
console.log(
  table(
    ["attack", "how it ended"],
    [...outcomes].sort().map(([name, counts]) => [
      name,
      Object.entries(counts)
        .map(([how, n]) => `${how}: ${n}`)
        .join(", ")
    ])
  )
)
console.log(`\n${new Date().toISOString().slice(0, 10)}, ${thisMachine()}`)
console.log(`Longest pause of the clients' own process: ${Math.round(own.max / 1e6)} ms`)
console.log(`${keepUp.length} clients that keep up, ${clientCount - keepUp.length} slow ones`)
console.log(brokenCount === 0 && errors === 0 ? "All laws held." : `${brokenCount} laws broken, ${errors} errors.`)
process.exit(brokenCount === 0 && errors === 0 ? 0 : 1)
