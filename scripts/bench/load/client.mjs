/** The load client: a process of its own, so that what clients cost is in no server's figures. */
import { performance } from "node:perf_hooks"
import { agentName } from "../lib/agents.mjs"
import { now, sleep } from "../lib/clock.mjs"
import { sayAck, work } from "../lib/worker.mjs"
import { Group } from "./group.mjs"

const groups = new Map()

const group = (name) => {
  const found = groups.get(name)
  if (found !== undefined) return found
  const made = new Group(sayAck)
  groups.set(name, made)
  return made
}

/** Client i wants agents i, i + 1, … `each` of them, in a ring of `of`: so each agent concerns `each` clients. */
const withAgents = (path, { of, each }) => {
  const separator = path.includes("?") ? "&" : "?"
  return (client) => {
    const names = Array.from({ length: each }, (_, k) => agentName((client + k) % of))
    return `${path}${separator}agents=${names.join(",")}`
  }
}

/** How long after the last event of a recording the slowest client may still get it. */
const STRAGGLE_MS = 5_000

work({
  clock: () => now(),
  busy: () => performance.eventLoopUtilization(),
  connect: ({ name, path, agents, ...options }) =>
    group(name).connect({ ...options, pathOf: agents === undefined ? () => path : withAgents(path, agents) }),
  freeze: ({ name, count }) => {
    for (const connection of group(name).connections.slice(0, count)) connection.freeze()
  },
  ackEvery: ({ name, every }) => group(name).ackEvery(every),
  ackNoMore: ({ name }) => group(name).ackNoMore(),
  record: ({ name, events }) => group(name).record(events),
  recorded: async ({ name }) => {
    for (let waited = 0; waited < STRAGGLE_MS && group(name).recorded().left > 0; waited += 50) await sleep(50)
    return group(name).recorded()
  },
  newest: ({ name }) => group(name).newest,
  counts: ({ name }) => {
    const of = group(name)
    return {
      clients: of.connections.length,
      messages: of.messages,
      compressed: of.sum("compressed"),
      pings: of.sum("pings"),
      ended: of.ended
    }
  },
  drop: async ({ name }) => {
    const of = group(name)
    groups.delete(name)
    for (const connection of of.connections) connection.drop()
    while (of.ended < of.connections.length) await sleep(5)
  }
})
