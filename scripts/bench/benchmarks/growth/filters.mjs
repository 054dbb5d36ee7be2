import { sleep } from "../../lib/clock.mjs"
import { endsOf } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { NOT_KEPT, Trial } from "../../lib/trial.mjs"

const sizes = {
  full: { clients: 10_000, filters: [1, 10, 100, 1000, 10_000], seconds: 5, warmSeconds: 2 },
  quick: { clients: 1000, filters: [1, 100, 1000], seconds: 1, warmSeconds: 0.5 }
}

/** How long after the last event the slowest client may still get it. */
const STRAGGLE_MS = 5000

/** So many events in turn about all agents, until every client has those that concern it. */
const delivered = async (trial, { agents, clients, seconds }) => {
  const count = async () => (await trial.client.ask("counts", { name: "all" })).messages
  const expected = Math.max(1, agents * seconds) * (clients / agents) + (await count())
  const { cpuPercent, isKept } = await trial.stream({ perSecond: agents, seconds, groups: [] })
  if (!isKept) return NOT_KEPT
  for (let waited = 0; (await count()) < expected; waited += 50) {
    if (waited > STRAGGLE_MS) return NOT_KEPT
    await sleep(50)
  }
  const got = await count()
  if (got !== expected) throw new Error(`${got} messages came instead of ${expected}`)
  return cpuPercent
}

export const filters = {
  title: "Distinct filters",
  about:
    "10,000 clients that share so many filters, each for one agent, and as many events a second about these agents in turn: 10,000 deliveries a second whatever the number of filters. CPU: of the server process.",
  peers: ["ours"],
  rounds: 1,
  x: { label: "distinct filters" },
  charts: [
    {
      file: "filters-cpu",
      title: "CPU of 10,000 deliveries a second against distinct filters",
      y: { label: "CPU, % of one core" },
      series: { "CPU %": "10,000 clients" }
    }
  ],
  say: (figures) => {
    const { first, last } = endsOf(figures["CPU %"])
    const each = ({ x: agents, y: percent }) => `${number(percent)} % of a core with ${whole(agents)}`
    return [`The same deliveries take ${each(first)} and ${each(last)} distinct filters.`]
  },
  measure: async (peer, scale) => {
    const { clients, seconds, warmSeconds } = sizes[scale]
    const taken = (agents) =>
      Trial.run(peer, {}, async (trial) => {
        await trial.connect({ count: clients, agents: { of: agents, each: 1 } })
        await trial.server.ask("turn", { agents, stride: 1 })
        const warm = await delivered(trial, { agents, clients, seconds: warmSeconds })
        return warm === NOT_KEPT ? warm : delivered(trial, { agents, clients, seconds })
      })
    const points = {}
    for (const agents of sizes[scale].filters) points[agents] = await taken(agents)
    return { "CPU %": points }
  }
}
