/**
 * The log of another process of this gateway, over a channel: a mirror that is fed, and appends that are asked for.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { type Link, Topic } from "../../channel/Link.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import type { LogFailure } from "../../telemetry/Metrics.js"
import { EventLog, EventLogError, healthy } from "../EventLog.js"
import { Epochs, placeOf } from "../mirror/Epochs.js"
import { Mirror } from "../mirror/Mirror.js"
import * as Replica from "../Replica.js"
import * as Revocations from "./Revocations.js"
import * as Wire from "./Wire.js"

/** Characters of events that were sent to the log and are not answered. Above it appends fail. */
const MAX_WAITING = 16 * 1024 * 1024

/** Milliseconds without a word from the log after which what is served may be old: it speaks every second. */
const SILENT_AFTER = 3000

/** Time for a place that another process gave to arrive: it takes milliseconds. */
const REACH: Duration.DurationInput = "1 second"

const make = (link: Link) =>
  Effect.gen(function* () {
    const settings = yield* StatusSyncConfig.StatusSyncConfig
    const clock = yield* Effect.clock
    const now = () => monotonicMillis(clock)
    const patience = settings.eventLogTimeout
    const started = yield* Deferred.make<Mirror>()
    const moved = Effect.unsafeMakeLatch(false)
    const failures: Record<LogFailure, number> = { unavailable: 0, uncertain: 0 }
    let id = ""
    let mirror: Mirror | undefined
    let replica: Replica.Replica | undefined
    let incoming: { readonly start: Wire.Start; readonly events: Wire.Incoming } | undefined
    let state: Wire.LogState | undefined
    let stateAt = now()
    let rebuilds = 0
    let waiting = 0
    let closed = false

    const unavailable = (detail: string) => {
      failures.unavailable++
      return new EventLogError({ reason: "Unavailable", detail })
    }
    const uncertain = (detail: string) => {
      failures.uncertain++
      return new EventLogError({ reason: "Uncertain", detail })
    }
    const wake = () => {
      moved.unsafeOpen()
      moved.unsafeClose()
    }

    link.on(Topic.snapshotBegins, ([text = ""]) => {
      const start = Wire.startOf(text)
      incoming = { start, events: new Wire.Incoming(start.forgotten, now() - start.now) }
    })
    link.on(Topic.snapshotPart, (texts) => {
      for (const text of texts) incoming?.events.add(text)
    })
    link.on(Topic.snapshotEnds, () => {
      if (incoming === undefined) return
      const { events, start } = incoming
      incoming = undefined
      // One index is left out: readers of the tail are caught up by their cursors.
      const index = mirror === undefined ? start.after.seq : Math.max(mirror.head.index + 1, start.after.seq)
      const next = new Mirror(settings, { after: start.after, epochs: start.epochs, index })
      next.restore(events)
      id = start.id
      if (mirror !== undefined) rebuilds++
      mirror = next
      replica?.replace(next)
      Deferred.unsafeDone(started, Effect.succeed(next))
      wake()
    })
    link.on(Topic.events, ([text = "", ...events]) => {
      const into = mirror
      if (into === undefined) return
      const { epochs, now: theirs } = Wire.batchOf(text)
      const shift = now() - theirs
      into.epochs = new Epochs(epochs)
      const entries = events.map((event) => {
        const { draft, now: at, place } = Wire.eventOf(event, shift)
        return into.apply(draft, place, at)
      })
      replica?.announce(entries)
      // What age ends here, the owner has ended already: this only lets go of what waits for it.
      into.nextDue()
      wake()
    })
    link.on(Topic.logState, ([text = ""]) => {
      state = Wire.stateOf(text)
      stateAt = now()
    })

    const revocations = Revocations.make(link)
    link.open()

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )
    const ask = (topic: Topic, texts: ReadonlyArray<string>) =>
      Effect.suspend(() => {
        if (closed) return new EventLogError({ reason: "Closed" })
        if (link.isClosed) return Effect.fail(unavailable("the process that holds the log is gone"))
        const characters = texts.reduce((sum, text) => sum + text.length, 0)
        if (waiting > 0 && waiting + characters > MAX_WAITING)
          return Effect.fail(unavailable("too much waits for the process that holds the log"))
        waiting += characters
        return link.ask(topic, texts).pipe(
          Effect.timeoutTo({
            duration: patience,
            onSuccess: (answer) => answer ?? uncertain("the process that holds the log has ended"),
            onTimeout: () => uncertain("the process that holds the log did not answer in time")
          }),
          Effect.ensuring(
            Effect.sync(() => {
              waiting -= characters
            })
          ),
          Effect.flatMap((answer) => {
            const error = answer instanceof EventLogError ? answer : Wire.errorIn(answer)
            return error === undefined && !(answer instanceof EventLogError)
              ? Effect.succeed(answer.slice(1))
              : Effect.fail(error ?? uncertain("no answer"))
          })
        )
      })

    const first = yield* Deferred.await(started)
    const served = yield* Replica.make(settings, mirror ?? first, now)
    replica = served
    const isAhead = (offset: string): boolean => {
      const place = placeOf(offset)
      return place !== undefined && place.epoch === mirror?.epochs.current && place.seq > mirror.place.seq
    }
    const arrival = (offset: string): Effect.Effect<void> =>
      Effect.suspend(() => (isAhead(offset) ? Effect.zipRight(moved.await, arrival(offset)) : Effect.void))

    return EventLog.of({
      get id() {
        return id
      },
      append: (drafts, options) => ask(Topic.append, Wire.appendOf(drafts, options?.idempotencyKey)),
      renew: (agentId, tenant) =>
        Effect.map(ask(Topic.renew, tenant === undefined ? [agentId] : [agentId, tenant]), ([held]) => held === "1"),
      revocations,
      ...served.reads,
      reached: (offset) => (isAhead(offset) ? Effect.ignore(Effect.timeout(arrival(offset), REACH)) : Exit.void),
      stats: () => ({
        ...served.reads.stats(),
        ...(state !== undefined && {
          appended: state.appended,
          finishedDropped: state.finishedDropped,
          keysDropped: state.keysDropped,
          leasesExpired: state.leasesExpired
        })
      }),
      health: () => {
        const silent = now() - stateAt
        const { epochChanges, failures: theirs, staleMillis, unread } = state ?? healthy
        return {
          staleMillis:
            staleMillis > 0 ? staleMillis + silent : silent > SILENT_AFTER || link.isClosed ? Math.max(1, silent) : 0,
          epochChanges,
          rebuilds,
          unread,
          failures: {
            unavailable: theirs.unavailable + failures.unavailable,
            uncertain: theirs.uncertain + failures.uncertain
          }
        }
      }
    })
  })

/** The log at the other end of a link, whose frames are read once the layer is built. While it is built it waits for the first snapshot. */
export const layer = (link: Link): Layer.Layer<EventLog, never, StatusSyncConfig.StatusSyncConfig> =>
  Layer.scoped(EventLog, make(link))
