/** The gateway under pressure: one publisher in it that never waits for a reader. It tells how much it published. */
import { Effect } from "effect"
import { Connections, EventLog, StatusSync } from "stratix-status-sync"
import { Broadcast } from "stratix-status-sync/internals"
import { given, run } from "../lib/gateway-child.mjs"

const { keys, rate, size } = given

/** Between two looks at how many events are due, in milliseconds. */
const TURN_MS = 5

/** So often an event for the bystander, in milliseconds. */
const TICK_MS = 100

let published = 0
let ticks = 0
let mostUnsent = 0
const pad = "x".repeat(size)

const publisher = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const { all } = yield* Connections.Connections
  const begun = performance.now()
  while (true) {
    const elapsed = performance.now() - begun
    for (const due = (elapsed * rate) / 1000; published < due; published++) {
      yield* sync.notifyCommandStatus(`command-${published % keys}`, "agent", "running", 1, { n: published, pad })
    }
    if (ticks * TICK_MS < elapsed) {
      yield* sync.broadcastUnknown({ eventType: "stratix:tick", payload: { n: ticks++, agentId: "bystander" } })
    }
    yield* Effect.sleep(TURN_MS)
    for (const { socket } of yield* all) mostUnsent = Math.max(mostUnsent, socket.unsentBytes())
  }
})

const report = Effect.gen(function* () {
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  return {
    rss,
    held: heapUsed + external,
    mostUnsent,
    published,
    ticks,
    clients: yield* Effect.flatMap(StatusSync.StatusSync, ({ clientCount }) => clientCount),
    broadcast: (yield* Broadcast.Broadcast).stats(),
    log: (yield* EventLog.EventLog).stats()
  }
})

run({ news: () => ({ published }), publisher, report })
