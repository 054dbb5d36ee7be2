/**
 * A log of your own: the state of the gateway in a store that you have, so that it outlives the process (docs/seams.md).
 *
 * Order, history and leases are those of the log in memory. The store follows it as a client does: it is a cursor that may be behind.
 */
import { fileURLToPath } from "node:url"
import { FileSystem } from "@effect/platform"
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Context, Deferred, Effect, Layer, Queue, Schedule, Schema } from "effect"
import { EventLog, EventLogMemory, StatusSyncConfig, StatusSyncServer } from "stratix-status-sync"

/** Your store. In a database: a table with a row for each key. */
export class Store extends Context.Tag("example/Store")<
  Store,
  {
    /** The events that are the state, in the order in which they were written. */
    readonly load: Effect.Effect<ReadonlyArray<EventLog.Draft>, StoreError>
    /** In one transaction and in this order: `removes` names the keys that an event ends, `key` the one that it is the newest of. `isWhole`: nothing else is left. */
    readonly write: (events: ReadonlyArray<EventLog.Draft>, isWhole: boolean) => Effect.Effect<void, StoreError>
  }
>() {}

/** The store cannot be read or written. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", { cause: Schema.Defect }) {}

/** Events after which the store is given the whole state anew: in a file about 50 MB. */
const REWRITTEN_AFTER = 100_000

const make = Effect.gen(function* () {
  const { eventLogTimeout } = yield* StatusSyncConfig.StatusSyncConfig
  const store = yield* Store
  const log = yield* EventLog.EventLog
  // Before anything is appended: from then on every event is announced to it.
  const announced = yield* log.subscribe
  yield* Effect.orDie(log.append(yield* store.load))

  /** The index of the newest event that is in the store. */
  let stored = 0
  /** Done with the next write. */
  let writing = yield* Deferred.make<void>()
  // It begins with a snapshot, which replaces what is in the store, and is one again before a file becomes large.
  let cursor: string | undefined
  let size = 0
  const follow = Effect.gen(function* () {
    yield* Queue.takeBetween(announced, 1, Number.POSITIVE_INFINITY)
    const { index, offset } = log.head()
    const { entries, mode } = yield* log.since(cursor, { until: offset })
    yield* store.write(entries, mode === "snapshot").pipe(
      Effect.tapError((error) => Effect.logWarning("the store takes no events, and is tried again", error)),
      Effect.retry(Schedule.spaced("1 second"))
    )
    size = mode === "snapshot" ? 0 : size + entries.length
    cursor = size < REWRITTEN_AFTER ? offset : undefined
    stored = index
    const written = writing
    writing = yield* Deferred.make<void>()
    yield* Deferred.succeed(written, undefined)
  })
  yield* Effect.forkScoped(Effect.forever(follow))

  const untilStored = (index: number): Effect.Effect<void> =>
    Effect.suspend(() => (stored >= index ? Effect.void : Effect.zipRight(Deferred.await(writing), untilStored(index))))

  return EventLog.EventLog.of({
    ...log,
    // A publisher is answered once the store has its events.
    append: Effect.fnUntraced(function* (drafts, options) {
      const offsets = yield* log.append(drafts, options)
      yield* Effect.timeoutFail(untilStored(log.head().index), {
        duration: eventLogTimeout,
        onTimeout: () => new EventLog.EventLogError({ reason: "Uncertain", detail: "the store has not taken them yet" })
      })
      return offsets
    })
  })
})

/** The log, on any store. */
export const layer: Layer.Layer<EventLog.EventLog, StoreError, Store | StatusSyncConfig.StatusSyncConfig> =
  Layer.scoped(EventLog.EventLog, make).pipe(Layer.provide(Layer.fresh(EventLogMemory.layer)))

const Line = Schema.parseJson(EventLog.Draft)

/** A store in a file: a line for each event. */
export const layerFile = (path: string): Layer.Layer<Store, never, FileSystem.FileSystem> =>
  Layer.effect(
    Store,
    Effect.map(FileSystem.FileSystem, (fs) =>
      Store.of({
        load: Effect.gen(function* () {
          if (!(yield* fs.exists(path))) return []
          // A line without an end was being written when the process died: no publisher was told that it is stored.
          const lines = (yield* fs.readFileString(path)).split("\n").slice(0, -1)
          const state = new Map<string, EventLog.Draft>()
          for (const line of lines) {
            const event = yield* Schema.decode(Line)(line)
            for (const key of event.removes) state.delete(key)
            if (event.key === undefined) continue
            state.delete(event.key)
            state.set(event.key, event)
          }
          return [...state.values()]
        }).pipe(Effect.mapError((cause) => new StoreError({ cause }))),
        write: (events, isWhole) =>
          Effect.gen(function* () {
            const lines = yield* Effect.forEach(events, (event) => Schema.encode(Line)(event))
            const text = lines.map((line) => `${line}\n`).join("")
            if (!isWhole) return yield* fs.writeFileString(path, text, { flag: "a" })
            yield* fs.writeFileString(`${path}.new`, text)
            yield* fs.rename(`${path}.new`, path)
          }).pipe(Effect.mapError((cause) => new StoreError({ cause })))
      })
    )
  )

/** A gateway with it. */
export const gateway = (path: string, port: number) =>
  StatusSyncServer.layerLoopback({ port, log: layer }).pipe(
    Layer.provide(layerFile(path)),
    Layer.provide(NodeFileSystem.layer)
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  NodeRuntime.runMain(Layer.launch(gateway("stratix.ndjson", 3001)))
}
