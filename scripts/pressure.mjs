/**
 * A publisher ten times faster than every reader, for minutes: what the gateway holds must not grow, clients that can read must notice nothing,
 * and all readers must be true in the end.
 */
import { fileURLToPath } from "node:url"
import WebSocket from "ws"
import { EventStream } from "./lib/event-stream.mjs"
import { startGateway } from "./lib/gateway-process.mjs"
import { numbers } from "./lib/numbers.mjs"
import { thisMachine } from "./lib/this-machine.mjs"

const USAGE = `usage: npm run pressure -- [--minutes N] [--readers N] [--rate R]

  --minutes N   how long events are published, 5 if absent
  --readers N   connections that read a tenth of what is published, 20 if absent
  --rate R      events per second of some 2,200 bytes each, 4000 if absent

Everything stays on 127.0.0.1. Exit code 1: something was broken; what and where is printed.`

const { minutes, rate, readers: asked } = numbers({ minutes: 5, readers: 20, rate: 4000 }, USAGE)
const readerCount = Math.ceil(asked)

/** What a reader reads of what is published. */
const SHARE = 0.1
const KEYS = 200
const PAYLOAD_SIZE = 2000

/** What may be unsent for one connection: the high-water mark (256 KiB by default), and what a turn published or a step of a catch-up has on top of it. */
const MAX_UNSENT = 1024 ** 2

/** By so much may the held memory grow between the first and the last look; both are taken at the same load. */
const MAX_GROWTH = 32 * 1024 ** 2

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const mb = (bytes) => (bytes / 1024 ** 2).toFixed(1)

let brokenCount = 0
const breaks = (text) => {
  if (++brokenCount <= 30) console.log(`BROKEN ${text}`)
}

// ---------------------------------------------------------------------------------------------------------------------
// The gateway

let published = 0
const { ask, end, port } = await startGateway(
  fileURLToPath(new URL("pressure/gateway.mjs", import.meta.url)),
  { keys: KEYS, rate, size: PAYLOAD_SIZE },
  {
    error: (text) => breaks(`an error of the gateway: ${text}`),
    message: (told) => {
      published = told.published
    }
  }
)

// ---------------------------------------------------------------------------------------------------------------------
// Readers

const connect = async (query, onEvent, isStream = false) => {
  const socket = isStream
    ? new EventStream(port, `/api/stratix/stream?${query}`)
    : new WebSocket(`ws://127.0.0.1:${port}/?${query}`, ["stratix.sync.v1"], { perMessageDeflate: false })
  socket.on("message", (data) => {
    const message = JSON.parse(data.toString())
    for (const event of message.eventType === "stratix:events" ? message.payload.events : [message]) onEvent(event)
  })
  socket.on("close", (code) => {
    if (!leaving) breaks(`a connection was closed with ${code}`)
  })
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))
  return socket
}
let leaving = false
let throttled = true

/** Every fourth reads an event stream. */
const reader = async (_, i) => {
  const seen = { count: 0, last: -1, newest: new Map(), conflated: 0 }
  const socket = await connect(
    "events=command_status_update",
    ({ eventType, payload }) => {
      if (eventType === "stratix:sync" && payload.mode === "conflated") seen.conflated++
      if (eventType !== "stratix:command_status_update") return
      const { commandId, result } = payload
      if (result.n <= seen.last) breaks(`event ${result.n} came after ${seen.last}`)
      seen.last = result.n
      seen.newest.set(commandId, result.n)
      if (++seen.count > published * SHARE && throttled) socket.pause()
    },
    i % 4 === 3
  )
  const throttle = setInterval(() => {
    if (socket.isPaused && (!throttled || seen.count <= published * SHARE)) socket.resume()
  }, 20)
  return { seen, close: () => clearInterval(throttle) ?? socket.terminate() }
}

const latencies = []
let ticksSeen = 0
const bystander = await connect("agents=bystander", ({ eventType, payload, timestamp }) => {
  if (eventType !== "stratix:tick") return
  if (payload.n !== ticksSeen) breaks(`the bystander got tick ${payload.n}, not ${ticksSeen}`)
  ticksSeen = payload.n + 1
  latencies.push(Date.now() - timestamp)
})
const readers = await Promise.all(Array.from({ length: readerCount }, reader))

// ---------------------------------------------------------------------------------------------------------------------
// The run

console.log(`${minutes} minutes, ${readerCount} readers, ${rate} events/s; ${thisMachine()}`)
const begin = performance.now()
await ask("publish")
// By then every buffer of the system between the gateway and a reader is full.
await sleep(Math.min(30_000, minutes * 15_000))
const before = await ask("report")
const progress = setInterval(async () => {
  const { held, published: count, rss } = await ask("report")
  console.log(
    `${Math.round((performance.now() - begin) / 1000)} s: ${count} events, RSS ${mb(rss)} MB, held ${mb(held)} MB`
  )
}, 60_000)
await sleep(minutes * 60_000 - (performance.now() - begin))
clearInterval(progress)
const after = await ask("report")
const read = readers.map(({ seen }) => seen.count)
await ask("stop")
const { published: total, ticks } = await ask("report")

throttled = false
const isTrue = ({ seen }) =>
  [...Array(KEYS).keys()].every((key) => (seen.newest.get(`command-${key}`) ?? -1) >= total - KEYS)
const deadline = performance.now() + 60_000
while (!(readers.every(isTrue) && ticksSeen === ticks) && performance.now() < deadline) await sleep(50)
for (const [i, one] of readers.entries())
  if (!isTrue(one)) breaks(`reader ${i} has not become true: it is at ${one.seen.last} of ${total - 1}`)
if (ticksSeen !== ticks) breaks(`the bystander got ${ticksSeen} of ${ticks} ticks`)
if (after.mostUnsent > MAX_UNSENT) breaks(`${after.mostUnsent} bytes were unsent for one connection`)
if (after.held > before.held + MAX_GROWTH) breaks(`what is held grew from ${mb(before.held)} to ${mb(after.held)} MB`)
if (after.broadcast.conflations === 0) breaks("no client fell behind: this was no pressure")

leaving = true
bystander.terminate()
for (const { close } of readers) close()
const code = await end()
if (code !== 0) breaks(`the gateway ended with ${code}`)

latencies.sort((a, b) => a - b)
const percentile = (p) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * p))]
const rows = [
  ["events published", total],
  [
    "read by one reader meanwhile, of these",
    `${((Math.min(...read) / after.published) * 100).toFixed(1)} to ${((Math.max(...read) / after.published) * 100).toFixed(1)} %`
  ],
  ["conflated catch-ups", after.broadcast.conflations],
  ["unsent for one connection at the most, KiB", Math.round(after.mostUnsent / 1024)],
  ["held (heap and buffers) after gc: at the start / at the end, MB", `${mb(before.held)} / ${mb(after.held)}`],
  ["RSS: at the start / at the end, MB", `${mb(before.rss)} / ${mb(after.rss)}`],
  ["history, events", after.log.historyEvents],
  ["ticks of the bystander: published / received", `${ticks} / ${ticksSeen}`],
  ["… latency p50 / p99 / max, ms", `${percentile(0.5)} / ${percentile(0.99)} / ${latencies.at(-1)}`],
  ["readers true in the end", `${readers.filter(isTrue).length} of ${readerCount}`],
  ["broken", brokenCount]
]
console.log(`\n| | ${minutes} minutes |\n| --- | --- |`)
for (const [name, value] of rows) console.log(`| ${name} | ${value} |`)
console.log(`\n${new Date().toISOString().slice(0, 10)}, ${thisMachine()}`)
process.exit(brokenCount === 0 ? 0 : 1)
