/** The gateway under attack. It publishes for the bystanders by a timetable, and watches its own memory and its longest stretch of work. */
import { execFileSync } from "node:child_process"
import { openSync, readSync } from "node:fs"
import { OtlpSerialization, OtlpTracer } from "@effect/opentelemetry"
import { FetchHttpClient } from "@effect/platform"
import { Effect, Layer, Redacted } from "effect"
import { StatusSync } from "stratix-status-sync"
import { given, run } from "../lib/gateway-child.mjs"

const { descriptors, keys, settings, tokens, traces } = given

/** So often an event for the bystanders. */
const TICK_MS = 20

/** So often the watch looks. */
const WATCH_MS = 5

let rss = 0
let longest = 0

/** Milliseconds for which the thread of the event loop had a processor: other than the time that passes, it is not taken by others on the machine. */
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r")
const worked = () => {
  // Without a descriptor of its own for each look: there may be none.
  const text = Buffer.alloc(64)
  readSync(schedstat, text, 0, text.length, 0)
  return Number(text.toString("latin1").split(" ")[0]) / 1e6
}

/** 0 where there is no descriptor left to ask with. */
const resident = () => {
  try {
    return process.memoryUsage.rss()
  } catch {
    return 0
  }
}

let before = worked()
setInterval(() => {
  const now = worked()
  longest = Math.max(longest, now - before)
  before = now
  rss = Math.max(rss, resident())
}, WATCH_MS)

const publisher = Effect.gen(function* () {
  const { broadcastUnknown } = yield* StatusSync.StatusSync
  let due = performance.timeOrigin + performance.now()
  while (true) {
    // Stamped with the time it should have been sent at: a block of the gateway counts for each event that it held up.
    for (; due <= performance.timeOrigin + performance.now(); due += TICK_MS) {
      yield* broadcastUnknown({ eventType: "stratix:tick", payload: { agentId: "bystander", due } })
    }
    yield* Effect.sleep(WATCH_MS)
  }
})

const seed = Effect.gen(function* () {
  if (descriptors !== undefined) execFileSync("prlimit", [`--nofile=${descriptors}`, "--pid", String(process.pid)])
  const { notifyAgentStatus } = yield* StatusSync.StatusSync
  for (let n = 0; n < (keys ?? 0); n++) yield* notifyAgentStatus(`agent-${n}`, "busy")
})

const tracesTo = (url) =>
  OtlpTracer.layer({ url, resource: { serviceName: "stratix" }, exportInterval: "1 second" }).pipe(
    Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson])
  )

/** The highest figures since the last time, and what is held now, garbage aside. */
const report = Effect.sync(() => {
  const highest = { rss, longest }
  // Twice: what the first one finds of buffers is given back before the second.
  globalThis.gc?.()
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  // What was collected here is no work of the attack.
  rss = process.memoryUsage.rss()
  longest = 0
  before = worked()
  return { ...highest, kept: heapUsed + external }
})

run({
  news: () => undefined,
  publisher: Effect.zipRight(seed, publisher),
  report,
  ...(traces !== undefined && { around: tracesTo(traces) }),
  settings: { ...settings, ...(tokens !== undefined && { tokens: Redacted.make(JSON.stringify(tokens)) }) }
})
