import { quantile } from "../lib/stats.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { clients: 1000, lone: 500, warm: 50, ms: 5000, warmMs: 1500 },
  quick: { clients: 1000, lone: 50, warm: 15, ms: 700, warmMs: 250 }
}

/** One every 20 ms: even the most expensive peer is idle between two. */
export const EVERY_MS = 20

export const loneAndBursts = async (trial, { clients, lone, warm, ms, warmMs, everyMs = EVERY_MS }) => {
  await trial.lone({ count: warm, everyMs, clients })
  const alone = await trial.lone({ count: lone, everyMs, clients })
  const burstsOf = async (size) => {
    await trial.bursts({ size, ms: warmMs, deliveries: size * clients })
    return trial.bursts({ size, ms, deliveries: size * clients })
  }
  const ten = await burstsOf(10)
  const hundred = await burstsOf(100)
  return { alone, ten, hundred }
}

export const fanout = {
  title: "Fan-out and latency",
  about:
    "1,000 clients, 155-byte events. CPU: of the server process, per event and client. Lone: one event every 20 ms. Bursts: published in one turn, the next when everybody has the last; the deliveries per second are those of server and load client together. Latency: from just before the publishing to the last client's receipt, lone events.",
  peers: ["ours", "ws", "socketio", "uws", "bun"],
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const size = sizes[scale]
      await trial.connect({ count: size.clients })
      const { alone, ten, hundred } = await loneAndBursts(trial, size)
      return {
        "CPU µs/delivery, lone": alone.cpuUsPerDelivery,
        "CPU µs/delivery, bursts of 10": ten.cpuUsPerDelivery,
        "CPU µs/delivery, bursts of 100": hundred.cpuUsPerDelivery,
        "deliveries/s, bursts of 10": ten.deliveriesPerSecond,
        "deliveries/s, bursts of 100": hundred.deliveriesPerSecond,
        "latency p50 ms": quantile(alone.ms, 0.5),
        "latency p99 ms": quantile(alone.ms, 0.99),
        "latency max ms": Math.max(...alone.ms)
      }
    })
}
