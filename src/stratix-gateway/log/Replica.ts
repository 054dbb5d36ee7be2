/**
 * What every log does around its mirror: it serves reads from it, announces what is new, and can put another mirror in its place.
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import type { Settings } from "../config/StatusSyncConfig.js"
import { type EventKind, eventKind } from "../telemetry/Metrics.js"
import type { EventLog, LogEntry } from "./EventLog.js"
import * as Filter from "./Filter.js"
import type { Mirror } from "./mirror/Mirror.js"

/** The members of `EventLog` that only read. */
export type Reads = Pick<
  EventLog["Type"],
  "since" | "latest" | "subscribe" | "rebuilds" | "head" | "tail" | "at" | "lag" | "stats"
>

/** The mirror in force, and what it serves. */
export interface Replica {
  readonly mirror: () => Mirror
  /** Another one takes its place, whose indexes come after: readers of the tail are caught up by their cursors. */
  readonly replace: (mirror: Mirror) => void
  /** In the same synchronous step as the `apply`: a fiber may be paused between two of its steps, and another's events would overtake. */
  readonly announce: (entries: ReadonlyArray<LogEntry>) => void
  /** Counts what this process appended. */
  readonly count: (eventType: string, times?: number) => void
  readonly reads: Reads
}

/** The replica behind each log's own way to read: what a log is to its users says nothing of mirrors. */
const replicas = new WeakMap<Reads["tail"], Replica>()

/** The replica that serves a log; `undefined` where the log has none, as one of an application's own may. */
export const of = ({ tail }: Pick<Reads, "tail">): Replica | undefined => replicas.get(tail)

/** Serves until the scope closes. `now` is the clock of the mirror. */
export const make = (
  settings: Settings,
  first: Mirror,
  now: () => number
): Effect.Effect<Replica, never, Scope.Scope> =>
  Effect.gen(function* () {
    let mirror = first
    // Bound: historyCapacity entries; a slower subscriber loses the oldest (sliding), as it would from history.
    const hub = yield* Effect.acquireRelease(PubSub.sliding<LogEntry>(settings.historyCapacity), PubSub.shutdown)
    const rebuilt = Effect.unsafeMakeLatch(false)
    const appended: Record<EventKind, number> = {
      agent_status_update: 0,
      command_status_update: 0,
      agent_create: 0,
      agent_remove: 0,
      command_remove: 0,
      other: 0
    }
    const replica: Replica = {
      mirror: () => mirror,
      replace: (next) => {
        mirror = next
        rebuilt.unsafeOpen()
        rebuilt.unsafeClose()
      },
      announce: (entries) => {
        // Without a fiber, unless the hub is full: then the oldest have to leave.
        for (const entry of entries) if (!hub.unsafeOffer(entry)) Effect.runSync(PubSub.publish(hub, entry))
      },
      count: (eventType, times = 1) => {
        appended[eventKind(eventType)] += times
      },
      reads: {
        since: (cursor, options = {}) => Effect.sync(() => mirror.since(cursor, options)),
        latest: (filter = Filter.all, pause = Effect.void) =>
          Effect.gen(function* () {
            const { head, parts } = mirror.latest(filter)
            const entries: Array<LogEntry> = []
            for (const part of parts) {
              for (const entry of part) entries.push(entry)
              yield* pause
            }
            return { head, entries }
          }),
        subscribe: PubSub.subscribe(hub),
        rebuilds: rebuilt.await,
        head: () => mirror.head,
        tail: (index) => mirror.tail(index),
        at: (index) => mirror.at(index),
        lag: (cursor) => {
          const { events, millis } = mirror.lag(cursor, now())
          return { events, millis: Math.round(millis) }
        },
        stats: () => ({ appended: { ...appended }, ...mirror.stats() })
      }
    }
    replicas.set(replica.reads.tail, replica)
    return replica
  })
