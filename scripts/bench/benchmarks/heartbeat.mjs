import { sleep } from "../lib/clock.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = { full: { clients: 10_000, seconds: 10 }, quick: { clients: 1000, seconds: 3 } }

const HEARTBEAT_MS = 2000

export const heartbeat = {
  title: "Heartbeat",
  about:
    "10,000 clients, each pinged every 2 s (by default: every 30 s), no events. Delay: how late the server's event loop is for a timer of 1 ms. `ws` with the sweep of its documentation, socket.io with its own timers.",
  peers: ["ours", "ws", "socketio"],
  measure: (peer, scale) =>
    Trial.run(peer, { heartbeatMs: HEARTBEAT_MS }, async (trial) => {
      const { clients, seconds } = sizes[scale]
      await trial.connect({ count: clients })
      await sleep(HEARTBEAT_MS)
      const before = await trial.client.ask("counts", { name: "all" })
      const cpu = await trial.server.ask("cpu")
      await trial.server.ask("delayStart")
      await sleep(seconds * 1000)
      const delay = await trial.server.ask("delayStop")
      const cpuUs = (await trial.server.ask("cpu")) - cpu
      const after = await trial.client.ask("counts", { name: "all" })
      if (after.ended > 0) throw new Error(`${after.ended} clients were ended`)
      return {
        "event-loop delay p50 ms": delay.p50,
        "event-loop delay p99 ms": delay.p99,
        "event-loop delay max ms": delay.max,
        "pings/s": (after.pings - before.pings) / seconds,
        "CPU %": cpuUs / (seconds * 1e4)
      }
    })
}
