import { endsOf } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { median } from "../../lib/stats.mjs"
import { Trial } from "../../lib/trial.mjs"

const sizes = {
  full: { keys: [100, 1000, 10_000, 30_000, 100_000], events: 50_000, joins: 7 },
  quick: { keys: [100, 1000, 10_000], events: 10_000, joins: 3 }
}

const SYNC = { sync: true, headers: ["Sec-WebSocket-Protocol: stratix.sync.v1"] }

/** More than the history holds, so that what is measured above it is the keys. */
const HISTORY = 20_000

/** With fewer keys the memory is that of something else. */
const FEWEST = 10_000

export const keys = {
  title: "Keys",
  about:
    "A log that holds so many keys, one event of 155 bytes each. Publishing: CPU of the server for one event, 500 in a turn of the event loop, no clients. Memory: of the JavaScript heap after garbage collection, above that of 100 keys and a full history, by the keys that came since. Joining: from the first byte of a sync client that begins with nothing until it has all keys, one client at a time.",
  peers: ["ours"],
  rounds: 1,
  x: { label: "keys held" },
  charts: [
    {
      file: "keys-publish",
      title: "CPU of publishing against keys",
      y: { label: "CPU, µs for one event" },
      series: { "CPU µs/event": "no clients" }
    },
    {
      file: "keys-memory",
      title: "Memory against keys",
      y: { label: "bytes for one key" },
      series: { "bytes/key": "heap" }
    },
    {
      file: "keys-join",
      title: "Time until a client is live against keys",
      y: { label: "ms", isLog: true },
      series: { "live after ms": "until it is live", "CPU ms/joiner": "CPU of the server" }
    }
  ],
  say: (figures) => {
    const ends = (name, unit) => {
      const { first, last } = endsOf(figures[name])
      const each = ({ x: count, y: value }) => `${number(value)} ${unit} with ${whole(count)} keys`
      return `${each(first)} and ${each(last)}`
    }
    return [
      `Publishing an event takes ${ends("CPU µs/event", "µs")}; one key takes ${number(endsOf(figures["bytes/key"]).last.y)} bytes.`,
      `A client is live after ${ends("live after ms", "ms")}; the server's CPU for it is ${ends("CPU ms/joiner", "ms")}.`
    ]
  },
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { events, joins } = sizes[scale]
      const figures = { "CPU µs/event": {}, "bytes/key": {}, "live after ms": {}, "CPU ms/joiner": {} }
      const fill = async (count, agents) => {
        await trial.server.ask("turn", { agents, stride: 1 })
        return trial.server.ask("fillKeys", { count })
      }
      const join = async () => {
        const cpu = await trial.server.ask("cpu")
        const { readyMs } = await trial.connect({ name: "joiner", count: 1, ...SYNC })
        const cpuMs = ((await trial.server.ask("cpu")) - cpu) / 1000
        await trial.client.ask("drop", { name: "joiner" })
        return { ms: readyMs[0], cpuMs }
      }
      const [fewest] = sizes[scale].keys
      await fill(HISTORY, fewest)
      await join()
      const { heap: before } = await trial.server.ask("memory")
      for (const count of sizes[scale].keys) {
        await fill(Math.max(count, HISTORY), count)
        const { heap } = await trial.server.ask("memory")
        figures["bytes/key"][count] =
          count < FEWEST ? "too few to tell from anything else" : (heap - before) / (count - fewest)
        figures["CPU µs/event"][count] = (await fill(events, count)).cpuUs / events
        const joined = []
        for (let n = 0; n < joins; n++) joined.push(await join())
        figures["live after ms"][count] = median(joined.map(({ ms }) => ms))
        figures["CPU ms/joiner"][count] = median(joined.map(({ cpuMs }) => cpuMs))
      }
      return figures
    })
}
