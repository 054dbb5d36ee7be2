/** The gateway under soak: publishers in fibers of their own. It tells what it published. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, Queue } from "effect"
import { EventLog, NodeServer, StatusSync } from "stratix-status-sync"
import { Broadcast } from "stratix-status-sync/internals"
import { given, run } from "../lib/gateway-child.mjs"
import { seeded } from "../lib/seeded.mjs"

const { publishers, rate, seed, settings } = given

/** Every so many events one is large: only so do slow readers fill the buffers of the system. */
const BLOB_EVERY = 10
const BLOB_SIZE = 32 * 1024

/** What is measured is the time between two looks, which is this long on an idle loop. */
const RESOLUTION_MS = 10
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()

/** Published since the parent was last told: `[seq, requestId, eventType, agentId, commandId, finished]`. */
let published = []
const news = () => {
  if (published.length === 0) return undefined
  const told = published
  published = []
  return { published: told }
}

/** The events of one publisher: agents that change, commands that begin, go on and end, and notes that are nothing's state. */
const story = (publisher, random) => {
  const agents = Array.from({ length: 5 }, (_, i) => `agent-${publisher}-${i}`)
  const commands = []
  let commandCount = 0
  let count = 0
  return () => {
    const n = ++count
    const requestId = `soak-${publisher}-${n}`
    const agentId = random.pick(agents)
    const event = (eventType, payload, finished = false) => ({ eventType, payload, requestId, finished })
    if (n % BLOB_EVERY === 0) return event("stratix:soak_blob", { n, pad: "x".repeat(BLOB_SIZE) })
    if (n <= agents.length)
      return event("stratix:agent_create", { agentId: agents[n - 1], name: `N${n}`, type: "soak" })
    const dice = random.next()
    if (dice < 0.4) {
      return event("stratix:agent_status_update", {
        agentId,
        status: random.pick(["online", "offline", "busy", "error"])
      })
    }
    if (dice < 0.5) return event("stratix:soak_note", { n, agentId, text: "hé 👍 \u2028" })
    if (commands.length < 4) {
      commands.push({ commandId: `cmd-${publisher}-${commandCount++}`, agentId, progress: 0 })
    }
    const at = random.between(0, commands.length - 1)
    const command = commands[at]
    const { commandId } = command
    command.progress += random.between(5, 30)
    if (command.progress < 100) {
      const { progress } = command
      return event("stratix:command_status_update", {
        commandId,
        agentId: command.agentId,
        commandStatus: "running",
        progress
      })
    }
    commands.splice(at, 1)
    return event(
      "stratix:command_status_update",
      { commandId, agentId: command.agentId, commandStatus: "success", result: { n } },
      true
    )
  }
}

const publisher = (name, index) =>
  Effect.gen(function* () {
    const { broadcastUnknown } = yield* StatusSync.StatusSync
    const random = seeded(seed + index)
    const next = story(name, random)
    while (true) {
      const { finished, ...event } = next()
      const offset = yield* broadcastUnknown(event)
      const { agentId, commandId } = event.payload
      published.push([offset, event.requestId, event.eventType, agentId ?? null, commandId ?? null, finished])
      // Exponential: now and then many at once, now and then a pause.
      yield* Effect.sleep((-Math.log(1 - random.next()) * 1000 * publishers) / rate)
    }
  })

/** The log publishes as well, also after all publishers have stopped: it removes finished commands that are too old or too many. */
const remover = Effect.gen(function* () {
  const log = yield* EventLog.EventLog
  const subscription = yield* log.subscribe
  while (true) {
    const { agentId, commandId, eventType, offset, removes, stamp } = yield* Queue.take(subscription)
    if (removes.length > 0) published.push([offset, stamp.requestId, eventType, agentId, commandId, true])
  }
}).pipe(Effect.scoped)

const report = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const server = yield* NodeServer.NodeServer
  const millis = (nanos) => Math.max(0, Math.round(nanos / 1e5) / 10 - RESOLUTION_MS).toFixed(1)
  const loop = { p50: millis(delay.percentile(50)), p99: millis(delay.percentile(99)), max: millis(delay.max) }
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  // The collection itself is not to be among the delays of the next time.
  yield* Effect.sleep("50 millis")
  delay.reset()
  return {
    rss,
    heap: heapUsed,
    loop,
    clients: yield* sync.clientCount,
    sockets: yield* Effect.async((/** @type {(count: Effect.Effect<number>) => void} */ resume) => {
      server.getConnections((_error, count) => resume(Effect.succeed(count)))
    }),
    broadcast: (yield* Broadcast.Broadcast).stats(),
    log: (yield* EventLog.EventLog).stats()
  }
})

const names = Array.from({ length: publishers }, (_, i) => `p${i}`)

const publish = Effect.all(names.map(publisher), { concurrency: "unbounded" })

run({ news, publisher: Effect.zipRight(Effect.forkDaemon(remover), publish), report, settings })
