import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { many: 10_000, ms: 4000, warmMs: 1000 },
  quick: { many: 2000, ms: 500, warmMs: 250 }
}

/** Client i wants agents i, i + 1 and i + 2, so an event concerns 3 clients; every third agent, so a client is concerned once. */
const EACH = 3
const BURST = 100
const FEW = BURST * EACH

const oneOf = (peer, clients, { ms, warmMs }) =>
  Trial.run(peer, {}, async (trial) => {
    await trial.connect({ count: clients, agents: { of: clients, each: EACH } })
    await trial.server.ask("turn", { agents: clients, stride: EACH })
    const bursts = { size: BURST, deliveries: BURST * EACH }
    await trial.bursts({ ...bursts, ms: warmMs })
    const { cpuUsPerEvent } = await trial.bursts({ ...bursts, ms })
    return cpuUsPerEvent
  })

export const filters = {
  title: "Distinct filters",
  about:
    "10,000 clients, each with a filter of its own; every event concerns 3 of them. Bursts of 100 events that concern 300 different clients. Beside it the same where those 300 are the only ones: the cost of the deliveries themselves. `ws` checks each client, socket.io has a room per agent, the native servers a topic per agent.",
  peers: ["ours", "ws", "socketio", "uws", "bun"],
  measure: async (peer, scale) => ({
    "CPU µs/event, many": await oneOf(peer, sizes[scale].many, sizes[scale]),
    "CPU µs/event, only 300": await oneOf(peer, FEW, sizes[scale])
  })
}
