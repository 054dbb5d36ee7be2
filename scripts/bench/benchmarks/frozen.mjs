import { sleep } from "../lib/clock.mjs"
import { quantile } from "../lib/stats.mjs"
import { Trial } from "../lib/trial.mjs"

/** `rest` clients of all may be frozen; the figures are those of the others, the same ones whichever are frozen. */
const sizes = {
  full: { clients: 1000, rest: 100, some: [0, 1, 100], warm: 50, lone: 500, ms: 4000, memorySeconds: 30 },
  quick: { clients: 500, rest: 50, some: [0, 50], warm: 10, lone: 50, ms: 500, memorySeconds: 2 }
}

/** More than the operating system buffers for one connection, so that a frozen one is felt by the server. */
const FILL = { count: 96, bytes: 64 * 1024 }

/** No client is to time out meanwhile: this is about clients that are only silent. */
const HEARTBEAT_MS = 600_000

const MEMORY_EVERY_MS = 100

const oneOf = (peer, { clients, rest, warm, lone, ms, memorySeconds }, frozen, withMemory) =>
  Trial.run(peer, { heartbeatMs: HEARTBEAT_MS }, async (trial) => {
    const others = clients - rest
    await trial.connect({ name: "rest", count: rest })
    await trial.client.ask("freeze", { name: "rest", count: frozen })
    await trial.server.ask("fill", FILL)
    await trial.connect({ name: "others", count: others })
    await sleep(500)

    await trial.lone({ name: "others", count: warm, everyMs: 20, clients: others })
    const alone = await trial.lone({ name: "others", count: lone, everyMs: 20, clients: others })
    await trial.bursts({ name: "others", size: 100, ms: ms / 4, deliveries: 100 * others })
    const packed = await trial.bursts({ name: "others", size: 100, ms, deliveries: 100 * others })
    const label = `${frozen === 0 ? "none" : frozen === rest ? "a tenth" : frozen} frozen`
    const figures = {
      [`latency p50 ms, ${label}`]: quantile(alone.ms, 0.5),
      [`latency p99 ms, ${label}`]: quantile(alone.ms, 0.99),
      [`deliveries/s, ${label}`]: packed.deliveriesPerSecond,
      [`CPU µs/event, bursts of 100, ${label}`]: packed.cpuUsPerEvent
    }
    if (!withMemory) return figures
    const start = await trial.server.ask("memory")
    await trial.server.ask("memoryStart")
    await trial.server.ask("paced", {
      count: (memorySeconds * 1000) / MEMORY_EVERY_MS,
      size: 2,
      everyMs: MEMORY_EVERY_MS
    })
    const peak = await trial.server.ask("memoryStop")
    const end = await trial.server.ask("memory")
    const mega = (bytes) => bytes / 1024 / 1024
    return {
      ...figures,
      [`memory MB at start, ${label}`]: mega(start.resident),
      [`memory MB at most, ${label}`]: mega(peak),
      [`memory MB at end, ${label}`]: mega(end.resident)
    }
  })

export const frozen = {
  title: "Frozen clients",
  about:
    "1,000 clients of which none, one or 100 stop reading after the welcome, while 6 MB of events fill what the operating system buffers for them. Latency of lone events and rate in bursts of 100: of the same 900 others each time. CPU: of the server for one event to all who are not frozen. Memory: of the server, over 30 s with 20 events a second, measured in the first round.",
  peers: ["ours", "ws"],
  measure: async (peer, scale, round) => {
    const size = sizes[scale]
    const figures = {}
    for (const count of size.some) {
      Object.assign(figures, await oneOf(peer, size, count, round === 0 && count !== 1))
    }
    return figures
  }
}
