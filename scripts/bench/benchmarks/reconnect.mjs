import { now, sleep } from "../lib/clock.mjs"
import { quantile } from "../lib/stats.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = {
  full: { screens: 5000, watchers: 100, missed: 500, lone: 60, stormMs: 10_000 },
  quick: { screens: 1000, watchers: 50, missed: 200, lone: 20, stormMs: 2000 }
}

const SYNC = { sync: true, headers: ["Sec-WebSocket-Protocol: stratix.sync.v1"] }
/** Slow enough that 5,100 clients can be told of each event in time: the machine is shared with the load processes. */
const EVERY_MS = 100

/** Where the operating system gives up on a connection because too many wait to be accepted, the client tries again. */
const RETRY_MS = 100

export const reconnect = {
  title: "Everybody reconnects at once",
  about:
    "5,000 sync clients lose their connection, miss 500 events and reconnect in the same instant with `?since=`, while an event is published every 100 ms. Live: has the welcome, every missed event and is at the head. Latency: of those live events to the last of 100 clients that stayed, in a load client of their own; before, and from that instant until all are live (at most 10 s). CPU: of the server in that time, the live events included. Memory: of the server above what it was with no client back.",
  peers: ["ours"],
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { screens, watchers, missed, lone, stormMs } = sizes[scale]
      const apart = await trial.newClient()
      await trial.connect({ name: "watchers", count: watchers, client: apart })
      await trial.connect({ name: "screens", count: screens, ...SYNC })
      await trial.server.ask("publish", { count: 100 })
      await sleep(1000)
      const since = JSON.parse(await trial.client.ask("newest", { name: "screens" })).payload.events.at(-1).offset
      await trial.client.ask("drop", { name: "screens" })
      await trial.server.ask("publish", { count: missed })
      await sleep(1000)

      const paced = { name: "watchers", everyMs: EVERY_MS, clients: watchers, client: apart }
      await trial.lone({ ...paced, count: 25 })
      const quiet = await trial.lone({ ...paced, count: lone })
      const { resident: start } = await trial.server.ask("memory")
      await trial.server.ask("memoryStart")
      const cpu = await trial.server.ask("cpu")
      const everybodyBack = async () => {
        const back = await trial.connect({
          name: "screens",
          count: screens,
          concurrency: screens,
          retryMs: RETRY_MS,
          path: `?since=${encodeURIComponent(since)}`,
          ...SYNC
        })
        return { ...back, at: now(), cpuUs: (await trial.server.ask("cpu")) - cpu }
      }
      const [storm, back] = await Promise.all([trial.lone({ ...paced, count: stormMs / EVERY_MS }), everybodyBack()])
      const peak = await trial.server.ask("memoryStop")
      const meanwhile = storm.ms.filter((_, i) => storm.sentAt[i] < back.at)
      if (back.syncModes.join() !== "resume") throw new Error(`got a ${back.syncModes} instead of a resume`)
      return {
        "live after, half of them, ms": quantile(back.readyMs, 0.5),
        "live after, all, ms": back.readyMs.at(-1),
        "connections tried again": back.retries,
        "CPU ms/client": back.cpuUs / screens / 1000,
        "memory MB, peak above before": (peak - start) / 1024 / 1024,
        "latency p50 ms, before": quantile(quiet.ms, 0.5),
        "latency p99 ms, before": quantile(quiet.ms, 0.99),
        "latency p50 ms, meanwhile": quantile(meanwhile, 0.5),
        "latency p99 ms, meanwhile": quantile(meanwhile, 0.99),
        "latency max ms, meanwhile": Math.max(...meanwhile)
      }
    })
}
