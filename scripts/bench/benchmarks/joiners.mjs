import { sleep } from "../lib/clock.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = { full: { keys: 100_000, joiners: 100 }, quick: { keys: 10_000, joiners: 20 } }

const SYNC = { sync: true, headers: ["Sec-WebSocket-Protocol: stratix.sync.v1"] }

export const joiners = {
  title: "Everybody joins at once",
  about:
    "100,000 keys, and clients that begin with all of them: one, and 100 at once. CPU of the server. For those who read at the same pace a step is encoded once, so what a client more costs is its writes: 20 MB that the operating system copies.",
  peers: ["ours"],
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { joiners: many, keys } = sizes[scale]
      await trial.server.ask("turn", { agents: keys, stride: 1 })
      await trial.server.ask("fillKeys", { count: keys })
      await sleep(1000)
      const join = async (name, count) => {
        const cpu = await trial.server.ask("cpu")
        const { readyMs } = await trial.connect({ name, count, concurrency: count, ...SYNC })
        const cpuMs = ((await trial.server.ask("cpu")) - cpu) / 1000
        await trial.client.ask("drop", { name })
        return { cpuMs, readyMs: readyMs.at(-1) }
      }
      await join("warm", 1)
      const one = await join("one", 1)
      const all = await join("all", many)
      return {
        "CPU ms, one": one.cpuMs,
        "CPU ms/client, all at once": all.cpuMs / many,
        "live after, one, ms": one.readyMs,
        "live after, all, ms": all.readyMs
      }
    })
}
