import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem } from "@effect/platform-node"
import * as Vitest from "@effect/vitest"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { type EventLog, StatusSync, type StatusSyncConfig } from "stratix-status-sync"
import { eventLogSuite, StatusSyncTest, TestClients } from "stratix-status-sync/testing"
import { layer, layerFile, Store, StoreError } from "../../examples/own-log.js"

/** A store of this process, which can be away. */
const makeStore = () => {
  const state = new Map<string, EventLog.Draft>()
  const store = {
    isAway: false,
    writes: 0,
    load: Effect.sync(() => [...state.values()]),
    write: (events: ReadonlyArray<EventLog.Draft>, isWhole: boolean) =>
      Effect.suspend(() => {
        if (store.isAway) return new StoreError({ cause: "away" })
        store.writes++
        if (isWhole) state.clear()
        for (const event of events) {
          for (const key of event.removes) state.delete(key)
          if (event.key !== undefined) state.set(event.key, event)
        }
        return Effect.void
      })
  }
  return store
}

/** The example on a store. */
const on = (store: Layer.Layer<Store>): Layer.Layer<EventLog.EventLog, StoreError, StatusSyncConfig.StatusSyncConfig> =>
  Layer.provide(layer, store)

eventLogSuite(Vitest, "examples/own-log.ts", on(Layer.sync(Store, () => Store.of(makeStore()))), { runs: 20 })

/** What a late joiner is shown. */
const shown = Effect.gen(function* () {
  const client = yield* TestClients.connect({ query: "snapshot=true" })
  yield* StatusSyncTest.settled
  return (yield* client.received).slice(1).map(({ payload }) => payload)
})

const scratch = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-own-log-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true }))
)

describe("examples/own-log.ts", () => {
  it.scoped("the state outlives the gateway in a file, and a line that was cut off does not", () =>
    Effect.gen(function* () {
      const path = join(yield* scratch, "log.ndjson")
      const gateway = () => StatusSyncTest.layerWith({ log: on(Layer.provide(layerFile(path), NodeFileSystem.layer)) })
      yield* Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* sync.notifyAgentCreate("a1", "Scout", "researcher")
        yield* sync.notifyAgentStatus("a1", "online")
        yield* sync.notifyAgentStatus("a1", "busy", { lease: "1 minute", extra: { title: "Ms" } })
        yield* sync.notifyAgentStatus("gone", "busy")
        yield* sync.notifyAgentRemove("gone")
        yield* sync.forTenant("acme").notifyAgentStatus("a1", "error")
      }).pipe(Effect.provide(gateway()))
      const text = yield* Effect.promise(() => readFile(path, "utf8"))
      yield* Effect.promise(() => writeFile(path, text + text.split("\n", 1)[0]?.slice(0, 40)))

      const state = [
        { agentId: "a1", name: "Scout", type: "researcher" },
        { agentId: "a1", status: "busy", title: "Ms" }
      ]
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* shown, state)
        const sync = yield* StatusSync.StatusSync
        yield* sync.notifyAgentStatus("a2", "online")
        // The lease is told by the log itself.
        yield* TestClock.adjust("1 minute")
        assert.deepInclude(yield* shown, { agentId: "a1", status: "offline", reason: "lease expired" })
      }).pipe(Effect.provide(gateway()))
      yield* Effect.gen(function* () {
        assert.deepInclude(yield* shown, { agentId: "a1", status: "offline", reason: "lease expired" })
        assert.deepInclude(yield* shown, { agentId: "a2", status: "online" })
      }).pipe(Effect.provide(gateway()))
    })
  )

  it.effect(
    "a store that is away: publishers hear that it is not certain, screens are told, and it is made up for",
    () => {
      const store = makeStore()
      const log = on(Layer.sync(Store, () => Store.of(store)))
      return Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* sync.notifyAgentStatus("a1", "online")
        const before = store.writes
        store.isAway = true
        const publishing = yield* Effect.fork(Effect.flip(sync.notifyAgentStatus("a1", "busy")))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(publishing)).reason, "Uncertain")
        assert.deepStrictEqual(yield* shown, [{ agentId: "a1", status: "busy" }])
        store.isAway = false
        const again = yield* Effect.fork(sync.notifyAgentStatus("a2", "online"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(again)
        assert.strictEqual((yield* store.load).length, 2)
        assert.isAbove(store.writes, before)
      }).pipe(Effect.provide(StatusSyncTest.layerWith({ log })))
    }
  )
})
