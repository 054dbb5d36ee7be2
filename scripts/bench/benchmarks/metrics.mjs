import { Trial } from "../lib/trial.mjs"
import { loneAndBursts } from "./fanout.mjs"

const sizes = {
  full: { clients: 1000, lone: 250, warm: 50, ms: 5000, warmMs: 1500 },
  quick: { clients: 250, lone: 25, warm: 10, ms: 600, warmMs: 200 }
}

const measured = (peer, size, metrics) =>
  Trial.run(peer, { metrics }, async (trial) => {
    await trial.connect({ count: size.clients })
    const { alone, ten, hundred } = await loneAndBursts(trial, size)
    const what = metrics ? "on" : "off"
    return {
      [`CPU µs/delivery, lone, ${what}`]: alone.cpuUsPerDelivery,
      [`CPU µs/delivery, bursts of 10, ${what}`]: ten.cpuUsPerDelivery,
      [`CPU µs/delivery, bursts of 100, ${what}`]: hundred.cpuUsPerDelivery
    }
  })

export const metrics = {
  title: "Metrics",
  about: "As the fan-out, with `metrics` on and off, which goes first changing from round to round.",
  peers: ["ours"],
  measure: async (peer, scale, round) => {
    const [first, second] = [round % 2 === 0, round % 2 !== 0]
    return { ...(await measured(peer, sizes[scale], first)), ...(await measured(peer, sizes[scale], second)) }
  }
}
