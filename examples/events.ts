/** A gateway with event types of its own (docs/events.md). A page that shows them is events-page.ts. */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { StatusEvent, StatusSync, StatusSyncServer } from "stratix-status-sync"

export const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, load: Schema.Number }),
  key: (zone) => zone.zoneId,
  description: "How busy a zone is."
})

/** What happens, and is the state of nothing: it has no key. */
export const Alarm = StatusEvent.define("stratix:alarm", {
  schema: Schema.Struct({ zoneId: Schema.String, at: Schema.Date })
})

/** What the gateway's own fibers publish. */
const program = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.publish(Zone, { zoneId: "z1", load: 0.5 })
  yield* sync.publish(Zone, { zoneId: "z2", load: 0.9 })
  yield* sync.publish(Alarm, { zoneId: "z2", at: new Date() })
  yield* sync.remove(Zone, "z2")
  yield* sync.notifyAgentStatus("agent-001", "busy", { extra: { title: "Scout", data: { tasks: 2 } } })
})

export const gateway = (port: number) =>
  Layer.effectDiscard(program).pipe(Layer.provideMerge(StatusSyncServer.layerLoopback({ port, events: [Zone, Alarm] })))

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway(3001)))
