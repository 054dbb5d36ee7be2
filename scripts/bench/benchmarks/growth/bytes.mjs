import { endsOf } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { NOT_KEPT, Trial } from "../../lib/trial.mjs"

const sizes = {
  full: { clients: 1000, bytes: [256, 1024, 4096, 16_384, 65_536], seconds: 3, warmSeconds: 1 },
  quick: { clients: 250, bytes: [1024, 65_536], seconds: 1, warmSeconds: 0.4 }
}

const PER_SECOND = 5

/** Of a status event, the smallest there is. */
const STATUS_BYTES = 155

export const bytes = {
  title: "Event size",
  about: `1,000 clients, one event every 200 ms (5 a second): the status of an agent (${STATUS_BYTES} bytes, the smallest event), and the status of a command with a result of words and numbers. CPU: of the server process, without compression (the default) and with it for every message.`,
  peers: ["ours"],
  rounds: 1,
  x: { label: "bytes of an event" },
  charts: [
    {
      file: "bytes-cpu",
      title: "CPU against event size",
      y: { label: "CPU, % of one core", isLog: true },
      series: { "CPU %": "default", "CPU %, compressed": "compressed" },
      line: { at: 100, label: "one core" }
    }
  ],
  say: (figures) => {
    const { first, last } = endsOf(figures["CPU %"])
    const compressed = endsOf(figures["CPU %, compressed"])
    const gigabits = (last.x * 8 * PER_SECOND * sizes.full.clients) / 1e9
    return [
      `Events of ${whole(first.x)} bytes take ${number(first.y)} % of a core, ${number(compressed.first.y)} % compressed; those of ${whole(last.x)} bytes ${number(last.y)} %, ${number(compressed.last.y)} % compressed.`,
      `Without compression 1,000 clients are sent ${number(gigabits)} Gbit/s of the largest${last.y < 100 * gigabits ? ": a network of 1 Gbit/s is full before the core" : ""}.`
    ]
  },
  measure: async (peer, scale) => {
    const { clients, seconds, warmSeconds } = sizes[scale]
    const figures = {}
    for (const deflate of [false, true]) {
      const name = deflate ? "CPU %, compressed" : "CPU %"
      figures[name] = await Trial.run(peer, { deflate }, async (trial) => {
        await trial.connect({ count: clients })
        const taken = async (size) => {
          const load = { perSecond: PER_SECOND, bytes: size }
          await trial.stream({ ...load, seconds: warmSeconds })
          const { cpuPercent, ms } = await trial.stream({ ...load, seconds })
          return ms.length === 0 ? NOT_KEPT : cpuPercent
        }
        await trial.stream({ perSecond: 50, seconds: warmSeconds })
        const points = { [STATUS_BYTES]: await taken() }
        for (const size of sizes[scale].bytes) points[size] = await taken(size)
        return points
      })
    }
    return figures
  }
}
