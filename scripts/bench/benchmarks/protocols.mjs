import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { clients: 1000, ms: 5000, warmMs: 1500 },
  quick: { clients: 250, ms: 700, warmMs: 250 }
}

const SYNC = { sync: true, headers: ["Sec-WebSocket-Protocol: stratix.sync.v1"] }

/** Events of one burst: so many fit into one message of a sync client. */
const BURSTS = [10, 100, 300]

/** CPU per event and client, in bursts that each client gets in `messagesIn(size)` messages. */
const taken = (peer, { clients, ms, warmMs }, kind, messagesIn) =>
  Trial.run(peer, {}, async (trial) => {
    await trial.connect({ count: clients, ...kind })
    const figures = []
    for (const size of BURSTS) {
      const deliveries = messagesIn(size) * clients
      await trial.bursts({ size, ms: warmMs, deliveries })
      const { cpuUsPerEvent } = await trial.bursts({ size, ms, deliveries })
      figures.push(cpuUsPerEvent / clients)
    }
    return figures
  })

export const protocols = {
  title: "Plain and sync clients",
  about:
    "1,000 clients of one kind, bursts of 155-byte events. A plain client gets each event as a message, a sync client all events of a flush in one. CPU: of the server process, per event and client. What a browser saves is not in it: it pays tens of µs for each message.",
  peers: ["ours"],
  measure: async (peer, scale) => {
    const plain = await taken(peer, sizes[scale], {}, (size) => size)
    const sync = await taken(peer, sizes[scale], SYNC, () => 1)
    return Object.fromEntries(
      BURSTS.flatMap((size, i) => [
        [`CPU µs/event and client, bursts of ${size}, plain`, plain[i]],
        [`CPU µs/event and client, bursts of ${size}, sync`, sync[i]]
      ])
    )
  }
}
