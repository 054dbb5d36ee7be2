/** What is to be reached: ratios of two figures of one run, or a figure by itself; `less` another one. */
import { peers } from "./peers.mjs"

const fanout = (peer, figure) => ({ benchmark: "fanout", peer, figure })
const CPU = "CPU µs/delivery, "

const cpuAgainst = (peer, load, limit) => ({
  title: `CPU per delivery against ${peers[peer].title}, ${load}`,
  figure: fanout("ours", CPU + load),
  against: fanout(peer, CPU + load),
  atMost: limit
})

const metricsCost = (load) => ({
  title: `CPU per delivery with metrics against without, ${load}`,
  figure: { benchmark: "metrics", peer: "ours", figure: `${CPU}${load}, on` },
  against: { benchmark: "metrics", peer: "ours", figure: `${CPU}${load}, off` },
  atMost: 1.02
})

const ofLog = (peer, figure) => ({ benchmark: "log", peer, figure })
const log = (peer, figure, limit) => ({
  title: `${peers[peer].title}: ${figure}`,
  figure: ofLog(peer, figure),
  ...limit
})

/** On four cores for the gateway; with fewer it cannot be reached. */
const deliveriesOfWorkers = (load) => ({
  title: `deliveries per second of 4 workers against one process, ${load}`,
  figure: { benchmark: "workers", peer: "workers4", figure: `deliveries/s, ${load}` },
  against: { benchmark: "workers", peer: "ours", figure: `deliveries/s, ${load}` },
  atLeast: 3
})

export const goals = [
  log("redis", "one append after the other, p50 ms", { atMost: 1 }),
  log("redis", "one append after the other, p99 ms", { atMost: 5 }),
  log("redis", "256 publishers, events/s", { atLeast: 10_000 }),
  log("redis", "appends of 100, events/s", { atLeast: 50_000 }),
  log("redis", "256 publishers, engine CPU µs/event", { atMost: 35 }),
  log("redis", "appends of 100, engine CPU µs/event", { atMost: 10 }),
  log("redis", "start with 100000 keys, s", { atMost: 1.5 }),
  log("file", "start with 100000 keys, s", { atMost: 1.5 }),
  {
    title: "Redis: until the last of 4 gateways has an event against 1, p50",
    figure: ofLog("redis", "event at the last of 4 gateways, p50 ms"),
    against: ofLog("redis", "event at the last of 1 gateway, p50 ms"),
    atMost: 1.5
  },
  cpuAgainst("uws", "bursts of 10", 1),
  cpuAgainst("uws", "bursts of 100", 1),
  cpuAgainst("uws", "lone", 1.2),
  cpuAgainst("ws", "bursts of 100", 1 / 30),
  cpuAgainst("ws", "lone", 0.75),
  {
    title: "with deflate against without, bursts of 100",
    figure: { benchmark: "deflate", peer: "ours", figure: `${CPU}bursts of 100, deflate` },
    against: { benchmark: "deflate", peer: "ours", figure: `${CPU}bursts of 100, plain` },
    atMost: 1.5
  },
  {
    title: "idle memory per connection against bare `ws`",
    figure: { benchmark: "idle", peer: "ours", figure: "memory KB/connection" },
    against: { benchmark: "idle", peer: "ws", figure: "memory KB/connection" },
    atMost: 1.25
  },
  {
    title: "accept rate against bare `ws`",
    figure: { benchmark: "idle", peer: "ours", figure: "accepts/s" },
    against: { benchmark: "idle", peer: "ws", figure: "accepts/s" },
    atLeast: 0.9
  },
  {
    title: "others' p99 latency, a tenth frozen against none frozen",
    figure: { benchmark: "frozen", peer: "ours", figure: "latency p99 ms, a tenth frozen" },
    against: { benchmark: "frozen", peer: "ours", figure: "latency p99 ms, none frozen" },
    atMost: 1.2
  },
  {
    title: "event-loop delay p99 with heartbeats, ms",
    figure: { benchmark: "heartbeat", peer: "ours", figure: "event-loop delay p99 ms" },
    atMost: 10
  },
  {
    title: "CPU of 5,000 pings a second against a `ws` sweep",
    figure: { benchmark: "heartbeat", peer: "ours", figure: "CPU %" },
    against: { benchmark: "heartbeat", peer: "ws", figure: "CPU %" },
    atMost: 1.2
  },
  {
    title: "one event for 3 of 10,000 filters against uWebSockets.js topics",
    figure: { benchmark: "filters", peer: "ours", figure: "CPU µs/event, many" },
    against: { benchmark: "filters", peer: "uws", figure: "CPU µs/event, many" },
    atMost: 1.3
  },
  {
    title: "p99 latency of lone events while 5,000 clients reconnect, ms",
    figure: { benchmark: "reconnect", peer: "ours", figure: "latency p99 ms, meanwhile" },
    atMost: 5
  },
  {
    title: "5,000 clients live again after, ms",
    figure: { benchmark: "reconnect", peer: "ours", figure: "live after, all, ms" },
    atMost: 2000
  },
  {
    title: "CPU of 100 snapshots of 100,000 keys at once, less the writes, against one",
    figure: { benchmark: "joiners", peer: "ours", figure: "CPU ms, all at once" },
    less: { benchmark: "joiners", peer: "ws", figure: "CPU ms, all at once" },
    against: { benchmark: "joiners", peer: "ours", figure: "CPU ms, one" },
    atMost: 1.2
  },
  deliveriesOfWorkers("bursts of 10"),
  metricsCost("lone"),
  metricsCost("bursts of 10"),
  metricsCost("bursts of 100")
]
