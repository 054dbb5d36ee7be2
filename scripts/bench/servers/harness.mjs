/**
 * The common part of every server under test: when to publish, and what it cost this process.
 *
 * A server gives `listen(settings)`, which resolves to `{ port, publish, publishResult }`:
 * `publish(agentIds)` sends one status event per agent id, all in the same turn; `publishResult(text)` one event that carries `text`.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { agentName } from "../lib/agents.mjs"
import { now, sleep } from "../lib/clock.mjs"
import { work } from "../lib/worker.mjs"

const cpuMicros = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

const { Bun: bun } = /** @type {{ Bun?: { gc: (sync: boolean) => void } }} */ (globalThis)
const collectGarbage = () => (bun === undefined ? globalThis.gc?.() : bun.gc(true))

/** The delay is the time beyond this between two ticks of the monitor. */
const DELAY_RESOLUTION_MS = 1

/** A server that is this late for its pace does not keep it, and its figures mean nothing. */
const MOST_BEHIND_MS = 5_000

const MEMORY_SAMPLE_MS = 20

const KEYS_PER_TURN = 500

export const serve = (listen) => {
  /** Those that listen, in this order; `server` is the one that publishes. */
  const servers = []
  let server
  let published = 0
  /** Which agents take turns: `agents` of them, every `stride`th. */
  let agents = 100
  let stride = 1
  let onAck = () => {}
  let delay
  let sampling
  let peak = 0

  const agentIds = (count) => {
    const ids = []
    for (let i = 0; i < count; i++) ids.push(agentName((published++ * stride) % agents))
    return ids
  }
  const acked = () =>
    new Promise((/** @type {(acked: void) => void} */ resolve) => {
      onAck = resolve
    })

  const commands = {
    listen: async (settings) => {
      server = await listen(settings)
      servers.push(server)
      return { port: server.port }
    },
    use: ({ number }) => {
      server = servers[number]
    },
    clock: () => now(),
    turn: (turns) => {
      agents = turns.agents
      stride = turns.stride
    },
    publish: ({ count }) => server.publish(agentIds(count)),
    /** As many events, a few in each turn: more than a history holds would leave it before they were written. */
    fillKeys: async ({ count }) => {
      for (let left = count; left > 0; left -= KEYS_PER_TURN) {
        server.publish(agentIds(Math.min(left, KEYS_PER_TURN)))
        await sleep(0)
      }
    },

    /** `count` times `size` events, `everyMs` apart whatever the clients do. */
    paced: async ({ count, size = 1, everyMs }) => {
      const sentAt = []
      const cpu = cpuMicros()
      const start = now()
      for (let i = 0; i < count; i++) {
        const ids = agentIds(size)
        sentAt.push(now())
        server.publish(ids)
        const ahead = everyMs * (i + 1) - (now() - start) / 1e6
        if (ahead < -MOST_BEHIND_MS) throw new Error(`cannot publish ${size} events every ${everyMs} ms`)
        await sleep(Math.max(0, ahead))
      }
      return { sentAt, events: count * size, cpuUs: cpuMicros() - cpu, wallMs: (now() - start) / 1e6 }
    },

    /** Bursts of `size` events for `ms`, each as soon as everybody has the one before. */
    bursts: async ({ size, ms }) => {
      let bursts = 0
      const cpu = cpuMicros()
      const start = now()
      do {
        const ack = acked()
        server.publish(agentIds(size))
        await ack
        bursts++
      } while (now() - start < ms * 1e6)
      return { events: bursts * size, cpuUs: cpuMicros() - cpu, wallMs: (now() - start) / 1e6 }
    },

    /** `count` events of `bytes` each, for filling the buffers of clients that do not read. */
    fill: async ({ count, bytes }) => {
      const text = "x".repeat(bytes)
      for (let i = 0; i < count; i++) {
        server.publishResult(text)
        await sleep(1)
      }
    },

    memory: async () => {
      // The second pass takes what finalizers of the first let go.
      collectGarbage()
      await sleep(50)
      collectGarbage()
      const { rss, heapUsed, external } = process.memoryUsage()
      return { resident: rss, heap: heapUsed + external }
    },
    /** Follows the memory until `memoryStop`, which answers the most there was in residence. */
    memoryStart: () => {
      peak = 0
      sampling = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss)
      }, MEMORY_SAMPLE_MS)
    },
    memoryStop: () => {
      clearInterval(sampling)
      return Math.max(peak, process.memoryUsage().rss)
    },
    cpu: () => cpuMicros(),

    delayStart: () => {
      delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
      delay.enable()
    },
    delayStop: () => {
      delay.disable()
      const beyond = (nanos) => Math.max(0, nanos / 1e6 - DELAY_RESOLUTION_MS)
      return { p50: beyond(delay.percentile(50)), p99: beyond(delay.percentile(99)), max: beyond(delay.max) }
    }
  }
  work(commands, () => onAck())
}
