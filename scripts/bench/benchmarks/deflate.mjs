import { quantile } from "../lib/stats.mjs"
import { Trial } from "../lib/trial.mjs"
import { loneAndBursts } from "./fanout.mjs"

/** One every 300 ms: `ws` needs a tenth of a millisecond to compress one for each client. */
const everyMs = 300

const sizes = {
  full: { clients: 1000, lone: 40, warm: 10, ms: 4000, warmMs: 1500, everyMs },
  quick: { clients: 250, lone: 10, warm: 5, ms: 600, warmMs: 200, everyMs }
}

/** Bursts come as in the fan-out, lone events more slowly; beside that only the bytes differ. */
const measured = (peer, size, deflate) =>
  Trial.run(peer, { deflate }, async (trial) => {
    await trial.connect({ count: size.clients })
    const { alone, ten, hundred } = await loneAndBursts(trial, size)
    const what = deflate ? "deflate" : "plain"
    return {
      [`CPU µs/delivery, lone, ${what}`]: alone.cpuUsPerDelivery,
      [`CPU µs/delivery, bursts of 10, ${what}`]: ten.cpuUsPerDelivery,
      [`CPU µs/delivery, bursts of 100, ${what}`]: hundred.cpuUsPerDelivery,
      [`latency p99 ms, ${what}`]: quantile(alone.ms, 0.99)
    }
  })

export const deflate = {
  title: "Compression",
  about:
    "As the fan-out, but a lone event every 300 ms, with permessage-deflate without context takeover and no threshold; the client makes sure that every message is compressed.",
  peers: ["ours", "ws"],
  measure: async (peer, scale) => ({
    ...(peer === "ours" && (await measured(peer, sizes[scale], false))),
    ...(await measured(peer, sizes[scale], true))
  })
}
