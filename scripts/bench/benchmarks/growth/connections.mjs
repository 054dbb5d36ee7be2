import { endsOf, fullBetween } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { openFiles } from "../../lib/machine.mjs"
import { quantile } from "../../lib/stats.mjs"
import { NOT_KEPT, Trial } from "../../lib/trial.mjs"

const sizes = {
  full: { counts: [100, 300, 1000, 3000, 10_000, 20_000], seconds: 5, warmSeconds: 1 },
  quick: { counts: [100, 300, 1000], seconds: 1, warmSeconds: 0.4 }
}

const PER_SECOND = 5

/** Clients of one load process; those above it get a second one. */
const MOST_EACH = 10_000

/** Files that a process has open besides its connections. */
const OTHER_FILES = 100

/** With fewer connections the memory is that of something else. */
const FEWEST = 1000

/** Those counts that fit, and in place of those that do not the most that do. */
const fitting = (counts, files) => {
  const most = files - OTHER_FILES
  const fit = counts.filter((count) => count <= most)
  return fit.length < counts.length && most > Math.max(0, ...fit) ? [...fit, most] : fit
}

export const connections = {
  title: "Connections",
  about:
    "One event every 200 ms (5 a second) to all clients. CPU: of the server process. Busy: the share of time in which its event loop does not wait. Memory: resident memory after garbage collection, with the clients less without them. Latency: until the last client has an event.",
  peers: ["ours"],
  rounds: 1,
  x: { label: "connections" },
  charts: [
    {
      file: "connections-cpu",
      title: "CPU against connections",
      y: { label: "CPU, % of one core", isLog: true },
      series: { "CPU %": "5 events a second" },
      line: { at: 100, label: "one core" }
    },
    {
      file: "connections-memory",
      title: "Memory against connections",
      y: { label: "KB for one connection" },
      series: { "memory KB/connection": "resident" }
    }
  ],
  say: (figures) => {
    const each = ({ x: count, y: percent }) =>
      `${whole(count)} connections take ${number(percent)} % of a core, ${number((percent * 1e4) / (count * PER_SECOND))} µs for each delivery`
    const { first, last } = endsOf(figures["CPU %"])
    const full = fullBetween(figures["busy %"])
    return [
      `${each(first)}; ${each(last)}.`,
      full === undefined
        ? "At this rate none of these numbers fills the core."
        : `At this rate the core is full between ${whole(full.room)} and ${whole(full.full)} connections.`
    ]
  },
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { counts, seconds, warmSeconds } = sizes[scale]
      const figures = { "CPU %": {}, "busy %": {}, "latency p99 ms": {}, "memory KB/connection": {} }
      const files = openFiles()
      for (const count of counts) {
        if (count > files - OTHER_FILES)
          figures["CPU %"][count] = `a process may open only ${files.toLocaleString("en")} files here (\`ulimit -n\`)`
      }
      await trial.connect({ name: "warm", count: counts[0] })
      await trial.stream({ perSecond: 50, seconds: warmSeconds, groups: [{ name: "warm", client: trial.client }] })
      await trial.client.ask("drop", { name: "warm" })
      const { resident: before } = await trial.server.ask("memory")
      const groups = []
      let connected = 0
      let { client } = trial
      for (const count of fitting(counts, files)) {
        if (connected === MOST_EACH) client = await trial.newClient()
        const name = `up to ${count}`
        await trial.connect({ name, client, count: count - connected })
        groups.push({ name, client })
        connected = count
        const { resident } = await trial.server.ask("memory")
        await trial.stream({ perSecond: PER_SECOND, seconds: warmSeconds, groups })
        const { busyPercent, cpuPercent, ms } = await trial.stream({ perSecond: PER_SECOND, seconds, groups })
        figures["CPU %"][count] = cpuPercent
        figures["busy %"][count] = busyPercent
        figures["memory KB/connection"][count] =
          count < FEWEST ? "too few to tell from anything else" : (resident - before) / count / 1024
        figures["latency p99 ms"][count] = ms.length === 0 ? NOT_KEPT : quantile(ms, 0.99)
      }
      return figures
    })
}
