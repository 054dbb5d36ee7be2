import { FULL_PERCENT, fullBetween, pointsOf } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { quantile } from "../../lib/stats.mjs"
import { Trial } from "../../lib/trial.mjs"

const sizes = {
  full: { clients: 1000, rates: [10, 30, 100, 300, 1000, 3000, 10_000, 30_000], seconds: 3, refinements: 2 },
  quick: { clients: 250, rates: [10, 100, 1000], seconds: 0.7, refinements: 1 }
}

const WARM = { perSecond: 100, seconds: 1 }

const LINGER_MS = 100

/** An event that takes longer is not live any more. */
const LATE_MS = 1000

const TOO_LATE = "later than a second"

/** In between on a logarithmic axis, with two digits. */
const between = (low, high) => Number(Math.sqrt(low * high).toPrecision(2))

const taken = async (trial, perSecond, seconds) => {
  const load = await trial.client.ask("busy")
  const { cpuPercent, busyPercent, ms } = await trial.stream({ perSecond, seconds })
  const { active, idle } = await trial.client.ask("busy")
  const p99 = ms.length === 0 ? Number.POSITIVE_INFINITY : quantile(ms, 0.99)
  const loadActive = active - load.active
  return {
    perSecond,
    cpuPercent,
    busyPercent,
    loadPercent: (loadActive / (loadActive + idle - load.idle)) * 100,
    p99,
    isFull: busyPercent >= FULL_PERCENT,
    isLate: p99 > LATE_MS
  }
}

/** At each rate until events are late, then where the core becomes full and where events become late, more exactly. */
const curve = async (peer, linger, { clients, rates, seconds, refinements }) => {
  const fresh = (body) =>
    Trial.run(peer, { linger }, async (trial) => {
      await trial.connect({ count: clients })
      await trial.stream(WARM)
      return body(trial)
    })
  const points = await fresh(async (trial) => {
    const found = []
    for (const perSecond of rates) {
      if (found.at(-1)?.isLate) break
      found.push(await taken(trial, perSecond, seconds))
    }
    return found
  })
  for (const mark of ["isFull", "isLate"]) {
    for (let n = 0; n < refinements; n++) {
      const at = points.findIndex((point) => point[mark])
      if (at < 1) break
      const middle = between(points[at - 1].perSecond, points[at].perSecond)
      points.splice(at, 0, await fresh((trial) => taken(trial, middle, seconds)))
    }
  }
  return points
}

export const rate = {
  title: "Events per second",
  about: `1,000 clients, 155-byte events at a pace. As it is by default, and with \`STRATIX_LINGER=${LINGER_MS}ms\`, where what comes in a tenth of a second shares its writes. CPU: of the server process. Busy: the share of time in which its event loop does not wait; from ${FULL_PERCENT} % on the core is full. Latency: from when an event was due until the last client has it. Load: how busy the load client is.`,
  peers: ["ours"],
  rounds: 1,
  x: { label: "events per second" },
  charts: [
    {
      file: "rate-cpu",
      title: "CPU against events per second",
      y: { label: "CPU, % of one core", isLog: true },
      series: { "CPU %": "default", "CPU %, linger": "linger of 100 ms" },
      line: { at: 100, label: "one core" }
    },
    {
      file: "rate-latency",
      title: "Latency against events per second",
      y: { label: "p99 until the last client, ms", isLog: true },
      series: { "latency p99 ms": "default", "latency p99 ms, linger": "linger of 100 ms" }
    }
  ],
  say: (figures) => {
    const kind = (intro, suffix) => {
      const full = fullBetween(figures[`busy %${suffix}`])
      const latency = figures[`latency p99 ms${suffix}`]
      const kept = pointsOf(latency).at(-1)
      const late = Object.keys(latency).find((perSecond) => latency[perSecond] === TOO_LATE)
      const load = pointsOf(figures[`load %${suffix}`]).filter(({ x }) => x <= (kept?.x ?? 0))
      const isLoadFull = (load.at(-1)?.y ?? 0) >= FULL_PERCENT
      return [
        full === undefined
          ? `${intro} none of these rates fills the core.`
          : `${intro} the core is full between ${whole(full.room)} and ${whole(full.full)} events a second.`,
        ...(kept === undefined
          ? []
          : [
              `At ${whole(kept.x)} events a second they still reach the last client within ${number(kept.y)} ms (p99)${late === undefined ? "" : `, at ${whole(Number(late))} not within a second`}${isLoadFull ? "; there the load client is full as well" : ""}.`
            ])
      ]
    }
    return [
      ...kind("By default", ""),
      "What comes while the core is busy shares the next flush, so a full core is not yet one that falls behind.",
      ...kind(`With a linger of ${LINGER_MS} ms`, ", linger")
    ]
  },
  measure: async (peer, scale) => {
    const figures = {}
    for (const [linger, suffix] of [
      [0, ""],
      [LINGER_MS, ", linger"]
    ]) {
      const points = await curve(peer, linger, sizes[scale])
      const series = (name, of) => {
        figures[name + suffix] = Object.fromEntries(points.map((point) => [point.perSecond, of(point)]))
      }
      series("CPU %", ({ cpuPercent }) => cpuPercent)
      series("busy %", ({ busyPercent }) => busyPercent)
      series("load %", ({ loadPercent }) => loadPercent)
      series("latency p99 ms", ({ isLate, p99 }) => (isLate ? TOO_LATE : p99))
    }
    return figures
  }
}
