import { loads, parts, serverCores } from "../lib/cores.mjs"
import { quantile } from "../lib/stats.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { clients: 4000, lone: 60, ms: 5000, warmMs: 1500 },
  quick: { clients: 400, lone: 30, ms: 700, warmMs: 250 }
}

/** Between two lone events: at 20 ms, as in the fan-out, they would be 200,000 deliveries a second, more than two cores can write. */
const EVERY_MS = 100

/** The table has what it costs of one process. */
const programs = { ours: "oneProcess" }

export const workers = {
  title: "Workers",
  about:
    "The gateway of `npm start` as one process, and with 2 and 4 workers (`STRATIX_WORKERS`), which are one process more: 4,000 clients, 155-byte events, published over HTTP. Bursts: each in one request, the next when everybody has the last. Lone: one event every 100 ms. CPU: of all processes of the gateway, per event and client. With 4 cores or more, half of them are the gateway's and the other half the load's; with fewer, both have all.",
  peers: ["ours", "workers2", "workers4"],
  measure: (peer, scale) =>
    Trial.run(
      programs[peer] ?? peer,
      {},
      async (trial) => {
        const { clients, lone, ms, warmMs } = sizes[scale]
        const load = [trial.client]
        while (load.length < loads) load.push(await trial.newClient())
        for (const client of load) await trial.connect({ count: clients / loads, client })
        const burstsOf = async (size) => {
          await trial.bursts({ size, ms: warmMs, deliveries: size * clients, load })
          return trial.bursts({ size, ms, deliveries: size * clients, load })
        }
        const ten = await burstsOf(10)
        const hundred = await burstsOf(100)
        const alone = await trial.lone({ count: lone, everyMs: EVERY_MS, clients, load })
        return {
          "cores for the gateway": serverCores,
          "deliveries/s, bursts of 10": ten.deliveriesPerSecond,
          "deliveries/s, bursts of 100": hundred.deliveriesPerSecond,
          "CPU µs/delivery, lone": alone.cpuUsPerDelivery,
          "CPU µs/delivery, bursts of 10": ten.cpuUsPerDelivery,
          "CPU µs/delivery, bursts of 100": hundred.cpuUsPerDelivery,
          "latency p50 ms": quantile(alone.ms, 0.5),
          "latency p99 ms": quantile(alone.ms, 0.99)
        }
      },
      parts
    )
}
