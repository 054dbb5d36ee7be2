/**
 * Every attack that once hurt the gateway, against a gateway of its own, with bystanders that are connected meanwhile: what they and the
 * gateway's memory felt of it (docs/hardening.md).
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { attacks } from "./attack/attacks.mjs"
import { sleep } from "./attack/clients.mjs"
import { environments } from "./attack/environments.mjs"
import { tokens } from "./attack/websockets.mjs"
import { startGateway } from "./lib/gateway-process.mjs"
import { nodeOf } from "./lib/node-versions.mjs"
import { seeded } from "./lib/seeded.mjs"
import { thisMachine } from "./lib/this-machine.mjs"

const USAGE = `usage: npm run attack -- [--only WORDS] [--seed S]

  --only WORDS  only the attacks whose names contain the words, and with "environment" the surroundings in place of attacks
  --seed S      a whole number, 1 if absent: the same order of attacks, and the same choices in each

Everything stays on 127.0.0.0/8. Exit code 1: a bound was exceeded, or the gateway had an error.`

/** @returns {never} */
const usage = (code) => {
  console.log(USAGE)
  process.exit(code)
}

const parsed = () => {
  try {
    return parseArgs({
      options: {
        only: { type: "string", default: "" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return usage(2)
  }
}
const { help, only, seed: given } = parsed()
const seed = Number(given)
if (help) usage(0)
if (!Number.isInteger(seed) || seed < 0) usage(2)

/** In an order that the seed decides. */
const order = seeded(seed)
const chosen = (only.includes("environment") ? environments : attacks)
  .filter(({ name }) => name.includes(only))
  .map((attack) => ({ attack, place: order.next() }))
  .sort((a, b) => a.place - b.place)
  .map(({ attack }) => attack)
console.log(`seed ${seed}, ${chosen.length} of them`)

const BYSTANDERS = 3

/** What is measured before an attack is how it feels without one. */
const QUIET_MS = 1000

/** Where an attack says nothing else. A process of Node that is given anything to do at full speed has some 60 MB of garbage at times: its young generation alone is 48 MB then. */
const MEMORY = 96
const KEPT = 32
const P99 = 50
const STRETCH = 50

/** Latencies without an attack, up to which those under one are bounded, too. */
const IDLE_P99 = 10

const file = (name) => fileURLToPath(new URL(`attack/${name}.mjs`, import.meta.url))

/** Each gateway adds its own listeners to the end of this process. */
process.setMaxListeners(100)

const startBystanders = async (given) => {
  const child = fork(file("bystanders"), [JSON.stringify(given)])
  const message = () => new Promise((resolve) => child.once("message", resolve))
  await message()
  return {
    report: () => {
      const told = message()
      child.send("report")
      return told
    },
    end: () => child.kill()
  }
}

const mb = (bytes) => Math.max(0, Math.round(bytes / 1024 ** 2))
const ms = (millis) => millis.toFixed(millis < 10 ? 1 : 0)

const rows = []
let failed = 0
const quiet = []
const began = performance.now()
for (const attack of chosen) {
  const errors = []
  const settings = { publishRate: 0, maxConnections: 5000 }
  const { ask, end, port } = await startGateway(
    file("gateway"),
    {
      descriptors: attack.descriptors,
      keys: attack.keys,
      settings,
      tokens: attack.tokens,
      traces: attack.gateway?.traces
    },
    { error: (text) => errors.push(text) },
    { ...attack.gateway, ...(attack.gateway?.node && { node: await nodeOf(attack.gateway.node) }) }
  )
  const bystanders = await startBystanders({ count: BYSTANDERS, port, token: attack.tokens && tokens[0]?.token })
  await ask("publish")
  // The state is there when the first event for the bystanders comes.
  while ((await bystanders.report()).received === 0) await sleep(100)
  await sleep(QUIET_MS)
  // A report collects garbage, which no latency is to show.
  const idle = await ask("report")
  await sleep(200)
  await bystanders.report()
  await sleep(QUIET_MS)
  const before = await bystanders.report()
  quiet.push(before)
  const { did, ended = "", fails = false } = await attack.run(port, seeded(seed))
  await sleep(300)
  const felt = await bystanders.report()
  const held = await ask("report")
  bystanders.end()
  const code = await end()
  const { kept = KEPT, max = Number.POSITIVE_INFINITY, memory = MEMORY, p99 = P99, stretch = STRETCH } = attack
  // On a machine that is busy with other work, latencies say nothing about the gateway; the time of processors that it used does.
  const isIdle = before.p99 <= IDLE_P99
  const wrong = [
    ...(mb(held.rss - idle.rss) > memory ? [`more than ${memory} MB`] : []),
    ...(mb(held.kept - idle.kept) > kept ? [`more than ${kept} MB kept`] : []),
    ...(held.longest > stretch ? [`a stretch above ${stretch} ms`] : []),
    ...(isIdle && felt.p99 > p99 ? [`p99 above ${p99} ms`] : []),
    ...(isIdle && felt.max > max ? [`max above ${max} ms`] : []),
    ...(felt.closed > 0 ? [`${felt.closed} bystanders closed`] : []),
    ...(felt.received === 0 ? ["bystanders got nothing"] : []),
    ...(fails ? ["the outcome"] : []),
    ...(errors.length > 0 ? [`${errors.length} errors, as ${errors[0].slice(0, 200)}`] : []),
    ...(code === 0 ? [] : [`ended with ${code}`])
  ]
  if (wrong.length > 0) failed++
  const bound = `${memory} MB, kept ${kept} MB, CPU ${stretch} ms, p99 ${p99} ms${attack.max === undefined ? "" : `, max ${max} ms`}`
  rows.push([
    attack.name,
    did,
    ended,
    `${ms(felt.p50)} / ${ms(felt.p99)} / ${ms(felt.max)}`,
    `${ms(held.longest)}`,
    `${mb(held.rss - idle.rss)}`,
    `${mb(held.kept - idle.kept)}`,
    bound,
    wrong.length === 0
      ? isIdle
        ? "held"
        : "held; latencies not judged, the machine was busy"
      : `**${wrong.join(", ")}**`
  ])
  console.log(`${wrong.length === 0 ? "held  " : "BROKEN"} ${rows.at(-1)?.join(" | ")}`)
}

const HEAD = [
  ...["attack", "done", "ended", "bystanders p50 / p99 / max, ms"],
  ...["longest stretch of CPU, ms", "RSS above idle, MB", "kept, MB", "bound", ""]
]
console.log(`\n${[HEAD, HEAD.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")}`)
const worst = (of) => ms(Math.max(...quiet.map(of)))
console.log(
  `\nWithout an attack, at worst: p50 ${worst((q) => q.p50)}, p99 ${worst((q) => q.p99)}, max ${worst((q) => q.max)} ms`
)
console.log(
  `${new Date().toISOString().slice(0, 10)}, ${thisMachine()}; seed ${seed}, ${Math.round((performance.now() - began) / 1000)} s`
)
console.log(failed === 0 ? "All bounds held." : `${failed} of ${rows.length} exceeded a bound.`)
process.exit(failed === 0 ? 0 : 1)
