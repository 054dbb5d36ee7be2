import { endsOf, fullBetween, pointsOf } from "../../lib/curves.mjs"
import { number, whole } from "../../lib/format.mjs"
import { bytes } from "./bytes.mjs"
import { connections } from "./connections.mjs"
import { filters } from "./filters.mjs"
import { keys } from "./keys.mjs"
import { rate } from "./rate.mjs"

/** How the cost grows. Each figure is `{ [x]: value }`, or why there is no value at that x; `charts` are its pictures. */
export const growth = {
  "growth/connections": connections,
  "growth/rate": rate,
  "growth/bytes": bytes,
  "growth/filters": filters,
  "growth/keys": keys
}

/** Two figures of one round that are this many times apart are different. */
const DIFFERENCE = 1.15

const list = new Intl.ListFormat("en")

const compression = (figures) => {
  const plain = figures["CPU %"]
  const packed = figures["CPU %, compressed"]
  const where = (isDifferent) =>
    pointsOf(packed).flatMap(({ x, y }) =>
      typeof plain[x] === "number" && isDifferent(y / plain[x]) ? [whole(x)] : []
    )
  const more = where((times) => times > DIFFERENCE)
  const less = where((times) => times < 1 / DIFFERENCE)
  const said = [
    ...(more.length > 0 ? [`more CPU with events of ${list.format(more)} bytes`] : []),
    ...(less.length > 0 ? [`less CPU with events of ${list.format(less)} bytes`] : [])
  ]
  const difference = said.length === 0 ? "no CPU that can be told from the noise" : said.join(", and ")
  return `- **Compression** (\`STRATIX_COMPRESSION\`, off by default) takes ${difference}; events below \`STRATIX_COMPRESSION_THRESHOLD\` stay as they are.`
}

/** What to do when one core is full, with the figures of the curves; undefined where one of them is missing. */
export const whenFull = (figures) => {
  const [rates, sizes, shared] = [figures["growth/rate"], figures["growth/bytes"], figures["growth/filters"]]
  const full = rates && fullBetween(rates["busy %"])
  if (full === undefined || sizes === undefined || shared === undefined) return undefined
  const lingering = rates["CPU %, linger"][full.full]
  const { first: all, last: one } = endsOf(shared["CPU %"])
  const perSecond = (events) => `${whole(events)} events a second`
  return [
    "### When one core is full",
    `A gateway is one process with one thread. Events that come one at a time to 1,000 clients fill its core between ${whole(full.room)} and ${perSecond(full.full)}: ${whole(full.room * 1000)} to ${whole(full.full * 1000)} deliveries. \`stratix_event_loop_active_seconds_total\` then grows by nearly 1 a second, and the alert \`StratixEventLoopBusy\` fires ([operations](operations/README.md)). Then, in this order:`,
    [
      `- **Fewer, larger flushes.** A flush is one write for each client, however many events are in it. \`STRATIX_LINGER=100ms\` collects them for a tenth of a second${typeof lingering === "number" ? `: ${perSecond(full.full)} take ${number(lingering)} % of a core in place of ${number(rates["CPU %"][full.full])} %` : ""}. Publishers that send several events in one request have the same effect without the wait.`,
      `- **Filters.** A client that needs only some agents should say so: an event costs nothing for those it does not concern. To 10,000 clients ${all.x === 1 ? "one event a second" : perSecond(all.x)} for everybody takes ${number(all.y)} % of a core, and ${whole(one.x)} for ${one.x === 10_000 ? "one client" : `${whole(10_000 / one.x)} clients`} each take ${number(one.y)} %.`,
      compression(sizes),
      "- **Workers.** `STRATIX_WORKERS` shares the clients among as many processes as there are cores to spare ([many gateways](operations/scale.md#one-machine-all-its-cores)).",
      "- **More machines.** Any number of gateways on one Redis ([many gateways](operations/scale.md#many-gateways-redis))."
    ].join("\n")
  ].join("\n\n")
}
