/** Sends a gateway what no client should send, and looks whether it stays what it is. */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { fuzzMemory } from "./fuzz/memory.mjs"
import { Outcome } from "./fuzz/outcome.mjs"
import { fuzzSockets } from "./fuzz/sockets.mjs"
import { thisMachine } from "./lib/this-machine.mjs"

const USAGE = `usage: npm run fuzz -- [--count N] [--seed S]

  --count N   inputs, 100000 if absent: 19 of 20 over the in-memory transport, the others on real sockets of 127.0.0.1
  --seed S    a whole number, 1 if absent; the same seed makes the same inputs

Exit code 1: something happened that must not.`

/** Of all inputs, those on real sockets: each costs some thirty times as much. */
const ON_SOCKETS = 1 / 20

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", short: "h", default: false }
  }
})
const count = Number(values.count)
const seed = Number(values.seed)
if (values.help || !Number.isInteger(seed) || !(count > 0)) {
  console.log(USAGE)
  process.exit(values.help ? 0 : 2)
}

const table = (title, counts) =>
  [
    `| ${title} | count |`,
    "| --- | --- |",
    ...Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, n]) => `| ${name} | ${n} |`)
  ].join("\n")

let broken = 0
const unhandled = (what) => (error) => {
  broken++
  console.log(`BROKEN ${what}: ${error?.stack ?? error}`)
}
process.on("unhandledRejection", unhandled("unhandled rejection"))
process.on("uncaughtExceptionMonitor", unhandled("uncaught exception"))
process.on("warning", unhandled("warning"))

const part = async (title, fuzz, inputs) => {
  const outcome = new Outcome()
  const begun = Date.now()
  await Effect.runPromise(fuzz(outcome, inputs, seed))
  broken += outcome.brokenCount
  console.log(
    `\n${title}: ${outcome.total} inputs in ${Math.round((Date.now() - begun) / 1000)} s, ${outcome.brokenCount} findings\n`
  )
  console.log(`${table("inputs", outcome.inputs)}\n\n${table("what they led to", outcome.ends)}`)
  for (const finding of outcome.broken) console.log(`BROKEN ${finding}`)
  return outcome.total
}

const onSockets = Math.ceil(count * ON_SOCKETS)
const total =
  (await part("Over the in-memory transport", fuzzMemory, count - onSockets)) +
  (await part("On real sockets", fuzzSockets, onSockets))
console.log(
  `\n${total} inputs, seed ${seed}, ${broken} findings; ${new Date().toISOString().slice(0, 10)}, ${thisMachine()}`
)
process.exit(broken === 0 ? 0 : 1)
