/**
 * The log in a file: one gateway's truth across restarts.
 *
 * The mirror serves everything; the file is written by a thread of its own, so that waiting for the disk holds up publishers only.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as SleepLoop from "../../runtime/SleepLoop.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import * as Metrics from "../../telemetry/Metrics.js"
import { EventLog, EventLogError, EventLogStartError, healthy } from "../EventLog.js"
import { KeyedAppends } from "../Idempotency.js"
import { agentKey } from "../mirror/Leases.js"
import { OwnEvents } from "../mirror/OwnEvents.js"
import * as Replica from "../Replica.js"
import * as Address from "./Address.js"
import { Appends } from "./Appends.js"
import * as Journal from "./Journal.js"
import * as KeptRevocations from "./KeptRevocations.js"
import * as Restore from "./Restore.js"
import { Sweep } from "./Sweep.js"

/** Milliseconds between two looks at what waits too long, and at a disk that took nothing. */
const LOOK = 250

/** Time for what was taken to be written when the gateway ends. */
const CLOSE_WITHIN: Duration.DurationInput = "5 seconds"

/** Where the log is.
 * @since 0.1.0
 * @category models */
export interface Options {
  /** The file. Others are made beside it, whose names begin with its own. */
  readonly path: string
  /** What an acknowledged event survives: `process` (default), that the gateway is killed; `disk`, that the machine is. */
  readonly durability?: Address.Durability
}

/** Offsets by idempotency keys, as the file has them. */
const readKeys = (journal: Journal.Journal, keyed: KeyedAppends) =>
  Effect.map(Journal.askAtStart(journal, "keys", undefined), (texts) => {
    for (const text of texts) {
      const [key, at, ...offsets]: ReadonlyArray<unknown> = JSON.parse(text)
      keyed.add(String(key), offsets.map(String), Number(at))
    }
  })

/** What an operator should know of how the file was found. */
const tell = (path: string, { formatBefore, isWalLost }: Journal.Journal) =>
  Effect.gen(function* () {
    if (isWalLost)
      yield* Effect.logError(
        `${path}-wal is not what was written, and nothing of it is used: what was published since the last checkpoint is lost`
      )
    if (formatBefore !== undefined) yield* Effect.logInfo(`${path} had format ${formatBefore}, and was carried over`)
    yield* Effect.logInfo(`the log is in ${path}`)
  })

const make = ({ durability = "process", path }: Options) =>
  Effect.gen(function* () {
    const settings = yield* StatusSyncConfig.StatusSyncConfig
    const clock = yield* Effect.clock
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const journal = yield* Journal.open({ path, durability })
    const { at, characters, epoch, id, mirror } = yield* Restore.read(journal, settings)
    const revocations = yield* KeptRevocations.make(journal, settings.eventLogTimeout)

    // Never set back or forward while it runs, and never before what was: a correction of the wall clock must neither age anything nor end a lease.
    const begun = Math.max(clock.unsafeCurrentTimeMillis(), at) - monotonicMillis(clock)
    const now = () => begun + monotonicMillis(clock)
    // None could be renewed while there was no gateway.
    mirror.restartLeases(now())
    const replica = yield* Replica.make(settings, mirror, now)
    const sweep = new Sweep(journal, mirror, characters)

    const keyed: KeyedAppends = new KeyedAppends(settings, (key) => appends.forget(key))
    const appends: Appends = new Appends({
      journal,
      mirror,
      epoch,
      keyed,
      now,
      patience: Duration.toMillis(settings.eventLogTimeout),
      announce: replica.announce,
      count: replica.count,
      dueAt: (time) => aging.wake(time),
      written: (millis, size) => {
        Metrics.logAppend.unsafeUpdate(millis / 1000, [])
        sweep.grown(size)
      },
      changed: (failure) => {
        runFork(
          (failure === undefined
            ? Effect.logInfo(`${path} takes events again`)
            : Effect.logError(`${path} takes no events, and is tried again: ${failure.message}`)
          ).pipe(Effect.annotateLogs({ module: "EventLogFile" }))
        )
      }
    })
    const own = new OwnEvents(
      mirror,
      (draft, time) => appends.appendOwn(draft, time),
      () => clock.unsafeCurrentTimeMillis()
    )
    appends.ownEvents = own
    yield* readKeys(journal, keyed)

    let closed = false
    const aging = yield* SleepLoop.make({
      now,
      run: () => {
        if (closed) return Number.POSITIVE_INFINITY
        if (appends.isBusy) own.defer(now())
        else {
          replica.announce(own.due(now()))
          appends.pump()
        }
        return own.nextAt
      }
    })
    yield* Effect.sync(() => appends.look()).pipe(
      Effect.zipRight(Effect.sleep(LOOK)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.addFinalizer(() => {
      closed = true
      return appends.close().pipe(Effect.timeout(CLOSE_WITHIN), Effect.ignore, Effect.interruptible)
    })
    yield* tell(path, journal).pipe(Effect.annotateLogs({ module: "EventLogFile" }))

    return EventLog.of({
      id,
      append: (drafts, options) => appends.append(drafts, options?.idempotencyKey),
      renew: (agentId, tenant) =>
        Effect.suspend(() =>
          closed
            ? Effect.fail(new EventLogError({ reason: "Closed" }))
            : Effect.succeed(mirror.renew(agentKey(agentId, tenant), now()))
        ),
      ...replica.reads,
      reached: () => Exit.void,
      revocations,
      health: () => ({ ...healthy, staleMillis: appends.staleMillis(), failures: appends.failures })
    })
  })

/** What is in the file of a log, or why a gateway would not start on it. For `doctor`. */
export const inspect = (
  url: string
): Effect.Effect<{ readonly path: string; readonly events: number | undefined }, string> =>
  Effect.gen(function* () {
    const address = yield* Address.parse(url)
    const journal = yield* Journal.open(address, { isLook: true })
    if (journal.isNew) return { path: address.path, events: undefined }
    let events = 0
    yield* Restore.eachPage(journal, (page) =>
      Effect.sync(() => {
        events += page.length
      })
    )
    return { path: address.path, events }
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => (typeof error === "string" ? error : error.detail))
  )

/** A log in a file, for one gateway. It needs Node 22.13 or newer, except 23.0 to 23.3. What keeps a gateway from the file until an operator has
 * changed something is an `EventLogStartError`.
 * @since 0.1.0
 * @category layers */
export const layer = (options: Options): Layer.Layer<EventLog, EventLogStartError, StatusSyncConfig.StatusSyncConfig> =>
  Layer.scoped(EventLog, make(options))

/** A log in the file of a URL: `file:PATH`, or `file:PATH?durability=disk`.
 * @since 0.1.0
 * @category layers */
export const layerUrl = (url: string): Layer.Layer<EventLog, EventLogStartError, StatusSyncConfig.StatusSyncConfig> =>
  Layer.unwrapEffect(
    Either.match(Address.parse(url), {
      onLeft: (detail) => new EventLogStartError({ reason: "Refused", detail }),
      onRight: (address) => Effect.succeed(layer(address))
    })
  )
