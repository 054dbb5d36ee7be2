import { sleep } from "../lib/clock.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { clients: 10_000, warm: 200, settleMs: 2000 },
  quick: { clients: 1500, warm: 200, settleMs: 300 }
}

export const idle = {
  title: "Idle connections",
  about:
    "10,000 clients that connect, 200 at a time, and then do nothing. Memory: resident memory of the server after garbage collection, with them less without them. Accepts: from the first connect to the last client being in (ours and socket.io greet, the others do not).",
  peers: ["ours", "ws", "socketio", "uws", "bun"],
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { clients, warm, settleMs } = sizes[scale]
      const memory = async () => {
        await sleep(settleMs)
        return trial.server.ask("memory")
      }
      await trial.connect({ name: "warm", count: warm })
      await trial.client.ask("drop", { name: "warm" })
      const before = await memory()
      const cpu = await trial.server.ask("cpu")
      const { readyMs } = await trial.connect({ count: clients })
      const cpuUs = (await trial.server.ask("cpu")) - cpu
      const after = await memory()
      return {
        "memory KB/connection": (after.resident - before.resident) / clients / 1024,
        "of it JavaScript heap, KB": (after.heap - before.heap) / clients / 1024,
        "accepts/s": (clients / readyMs.at(-1)) * 1000,
        "CPU µs/accept": cpuUs / clients
      }
    })
}
