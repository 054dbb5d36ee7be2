/**
 * The gateway under pressure: one publisher in it that never waits for a reader. Its parent asks over IPC: `publish` (begin), `stop`
 * (publishing), `report`; it tells every tenth of a second how much it published, and ends with SIGTERM.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Fiber, Logger } from "effect"
import { Broadcast, Connections, EventLog, NodeServer, StatusSync, StatusSyncServer } from "stratix-status-sync"

const { keys, rate, size } = JSON.parse(process.argv[2])

/** Between two looks at how many events are due, in milliseconds. */
const TURN_MS = 5

/** So often an event for the bystander, in milliseconds. */
const TICK_MS = 100

const broken = (what) => (error) => process.send?.({ error: `${what}: ${error?.stack ?? error}` })
process.on("unhandledRejection", broken("unhandled rejection"))
process.on("uncaughtExceptionMonitor", broken("uncaught exception"))
process.on("warning", broken("warning"))

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
      yield* sync.broadcast({ eventType: "stratix:tick", payload: { n: ticks++, agentId: "bystander" } })
    }
    yield* Effect.sleep(TURN_MS)
    for (const { socket } of yield* all) mostUnsent = Math.max(mostUnsent, socket.unsafeUnsent())
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
    broadcast: (yield* Broadcast.Broadcast).unsafeStats(),
    log: (yield* EventLog.EventLog).unsafeStats()
  }
})

const program = Effect.gen(function* () {
  const server = yield* NodeServer.NodeServer
  const { context } = yield* Effect.runtime()
  const begun = yield* Deferred.make()
  const publishing = yield* Effect.fork(Effect.zipRight(Deferred.await(begun), publisher))
  const questions = {
    publish: Deferred.succeed(begun, undefined),
    stop: Effect.as(Fiber.interrupt(publishing), true),
    report
  }
  process.on("message", ({ ask, id }) => {
    Effect.runPromise(Effect.provide(questions[ask], context)).then(
      (answer) => process.send?.({ id, answer }),
      broken(`the question ${ask}`)
    )
  })
  const telling = setInterval(() => process.send?.({ published }), 100)
  process.send?.({ port: server.address().port })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      clearInterval(telling)
      process.disconnect?.()
    })
  )
  yield* Effect.never
}).pipe(Effect.scoped)

NodeRuntime.runMain(program.pipe(Effect.provide(StatusSyncServer.layer({ port: 0 })), Effect.provide(Logger.json)), {
  disablePrettyLogger: true
})
