import { Trial } from "../lib/trial.mjs"
import { EVERY_MS } from "./fanout.mjs"

const sizes = {
  full: { clients: 1000, turns: 40, lone: 15, ms: 300 },
  quick: { clients: 250, turns: 4, lone: 5, ms: 100 }
}

/** The place of each in the server process: two gateways that take turns, so that they share what differs from process to process. */
const gateways = { on: 0, off: 1 }

/** Turns that are not counted. */
const WARM_TURNS = 4

const taken = async (trial, { turns }, turn) => {
  const total = { on: 0, off: 0 }
  for (let n = 0; n < turns + WARM_TURNS; n++) {
    for (const name of n % 2 === 0 ? ["on", "off"] : ["off", "on"]) {
      await trial.server.ask("use", { number: gateways[name] })
      const { cpuUsPerDelivery } = await turn(name)
      if (n >= WARM_TURNS) total[name] += cpuUsPerDelivery / turns
    }
  }
  return total
}

export const metrics = {
  title: "Metrics",
  about:
    "As the fan-out, with `metrics` on and off: two gateways in one process, each with 1,000 clients, that publish in turns of a third of a second. Means over 40 turns.",
  peers: ["ours"],
  measure: (peer, scale) =>
    Trial.run(peer, { metrics: true }, async (trial) => {
      const size = sizes[scale]
      const { clients, lone, ms } = size
      await trial.connect({ name: "on", count: clients })
      const { port } = await trial.server.ask("listen", { metrics: false })
      await trial.connect({ name: "off", count: clients, port })
      const loads = {
        lone: (name) => trial.lone({ count: lone, everyMs: EVERY_MS, clients, name }),
        "bursts of 10": (name) => trial.bursts({ size: 10, ms, deliveries: 10 * clients, name }),
        "bursts of 100": (name) => trial.bursts({ size: 100, ms, deliveries: 100 * clients, name })
      }
      const figures = {}
      for (const [load, turn] of Object.entries(loads)) {
        const { off, on } = await taken(trial, size, turn)
        figures[`CPU µs/delivery, ${load}, on`] = on
        figures[`CPU µs/delivery, ${load}, off`] = off
      }
      return figures
    })
}
