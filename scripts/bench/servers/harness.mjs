/**
 * The common part of every server under test: when to publish, and what it cost this process.
 *
 * A server gives `listen(settings)`, which resolves to `{ port, publish, publishResult }`:
 * `publish(agentIds)` sends one status event per agent id, all in the same turn; `publishResult(text)` one event that carries `text`. One that
 * has `same(messages, text)` sends everybody the same text so often, each as fast as it reads. A server
 * of other processes than this one says with `cpuMicros()` what they have cost so far.
 */
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import { agentName } from "../lib/agents.mjs"
import { now, sleep } from "../lib/clock.mjs"
import { work } from "../lib/worker.mjs"
import { resultOf } from "./event.mjs"

const ownMicros = () => {
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

/** Far less than a history holds, so that clients find in it what they were not sent in time. */
const STREAM_PER_TURN = 1000

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

  const cpuMicros = () => server.cpuMicros?.() ?? ownMicros()
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
      const cpu = cpuMicros()
      for (let left = count; left > 0; left -= KEYS_PER_TURN) {
        server.publish(agentIds(Math.min(left, KEYS_PER_TURN)))
        await sleep(0)
      }
      return { cpuUs: cpuMicros() - cpu }
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

    /**
     * `count` events at a pace, each of `bytes` where that is given. Those that fall due while the server is busy are published in one turn,
     * as a server finds the requests of publishers that came meanwhile. Ends early, not `isKept`, where it falls far behind its pace.
     */
    stream: async ({ count, perSecond, bytes }) => {
      const text = bytes === undefined ? "" : resultOf(bytes)
      const publish = (some) => {
        if (bytes === undefined) server.publish(agentIds(some))
        else for (let i = 0; i < some; i++) server.publishResult(text)
      }
      const cpu = cpuMicros()
      const { active } = performance.eventLoopUtilization()
      const start = now()
      const elapsedMs = () => (now() - start) / 1e6
      let aheadMs = 0
      for (let sent = 0; sent < count && aheadMs > -MOST_BEHIND_MS; ) {
        const due = Math.min(count, Math.floor((elapsedMs() * perSecond) / 1000) + 1)
        const some = Math.min(due - sent, STREAM_PER_TURN)
        if (some > 0) publish(some)
        sent += some
        aheadMs = (sent * 1000) / perSecond - elapsedMs()
        await sleep(Math.max(0, aheadMs))
      }
      const activeMs = performance.eventLoopUtilization().active - active
      return { isKept: aheadMs > -MOST_BEHIND_MS, start, cpuUs: cpuMicros() - cpu, activeMs, wallMs: elapsedMs() }
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

    same: ({ messages, bytes }) => server.same(messages, "x".repeat(bytes)),

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
