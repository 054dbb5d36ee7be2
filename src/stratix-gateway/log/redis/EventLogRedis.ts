/**
 * The log in Redis: one truth for many gateways, and across restarts.
 *
 * Each gateway is a replica: it reads the log's tail into its mirror and serves everything from there. Clients never cause a read of Redis.
 *
 * @since 0.1.0
 */

import { randomBytes } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { COMMAND_REMOVE } from "../../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import * as Metrics from "../../telemetry/Metrics.js"
import { EventLog, EventLogStartError } from "../EventLog.js"
import { placeOf } from "../mirror/Epochs.js"
import { agentKey } from "../mirror/Leases.js"
import type { Mirror } from "../mirror/Mirror.js"
import * as Replica from "../Replica.js"
import * as Address from "./Address.js"
import * as Checks from "./Checks.js"
import * as Commands from "./Commands.js"
import * as Connection from "./Connection.js"
import { GroupCommit } from "./GroupCommit.js"
import * as Session from "./Session.js"
import { SharedRevocations } from "./SharedRevocations.js"

/** Milliseconds between two attempts to reach Redis: doubled each time, up to the second. */
const BACK_OFF = { first: 50, most: 1000 } as const

/** Milliseconds between two lines in the log while Redis is away. */
const SAY_EVERY = 10_000

/** Time for a place that another gateway gave to arrive by the tail: it takes milliseconds. */
const REACH: Duration.DurationInput = "1 second"

/** Where the log is.
 * @since 0.1.0
 * @category models */
export interface Options {
  /** `redis://…`, `rediss://…` or `redis+sentinel://…`. */
  readonly url: Redacted.Redacted
  /** Deployments of different namespaces share nothing but the Redis. */
  readonly namespace?: string
  /** Milliseconds, in place of Redis' own clock: for tests in virtual time. */
  readonly time?: () => number
}

/** A name that no other epoch or gateway has: drawn by the system, as gateways may have equal clocks and seeds. */
const newName = (): string => randomBytes(8).toString("hex")

const make = ({ namespace = "default", time, url }: Options) =>
  Effect.gen(function* () {
    const settings = yield* StatusSyncConfig.StatusSyncConfig
    const parsed = Address.parse(Redacted.value(url))
    if (Either.isLeft(parsed)) return yield* new EventLogStartError({ reason: "Refused", detail: parsed.left })
    const address = parsed.right
    const where = Address.describe(address)
    const clock = yield* Effect.clock
    const now = () => monotonicMillis(clock)
    const commands = Commands.make(namespace, newName(), settings)
    const commit = new GroupCommit(now, Duration.toMillis(settings.eventLogTimeout))
    yield* Effect.addFinalizer(() => Effect.sync(() => commit.close()))
    const astray = Effect.unsafeMakeLatch(false)
    yield* commit.watch(() => {
      astray.unsafeOpen()
      astray.unsafeClose()
    })

    const revocations = new SharedRevocations(commit, clock, settings.eventLogTimeout)
    const started = yield* Deferred.make<Mirror, EventLogStartError>()
    let mirror: Mirror | undefined
    let replica: Replica.Replica | undefined
    let id = ""
    let contactAt = now()
    let isThere = false
    let epochChanges = 0
    let knownSeq = 0
    let rebuilds = 0
    const drops = { finished: 0, keys: 0, leases: 0 }
    commit.arrived = (place) => mirror !== undefined && place.seq <= mirror.place.seq && mirror.epochs.gave(place)

    const context: Session.Context = {
      address,
      settings,
      commands,
      commit,
      revocations,
      now,
      time: () => time?.(),
      newEpoch: newName,
      mirror: () => mirror,
      rebuilt: (next, name) => {
        if (mirror !== undefined) rebuilds++
        mirror = next
        id = name
        replica?.replace(next)
      },
      apply: (entries) => {
        const into = mirror
        if (into === undefined) return
        replica?.announce(entries.map(({ draft, effects, now: at, place }) => into.apply(draft, place, at, effects)))
      },
      heard: (answer) => {
        contactAt = now()
        // What age ends here, Redis has ended already: this only lets go of what waits for it.
        mirror?.nextDue()
        if (answer === undefined) return
        knownSeq = answer.seq
        drops.finished += answer.finishedDropped
        drops.keys += answer.keysDropped
        drops.leases += answer.leasesExpired
        replica?.count(COMMAND_REMOVE, answer.own)
      },
      epochBegan: () => {
        epochChanges++
      },
      observe: (millis) => Metrics.logAppend.unsafeUpdate(millis / 1000, []),
      ready: Effect.suspend(() => {
        isThere = true
        if (mirror !== undefined) Deferred.unsafeDone(started, Effect.succeed(mirror))
        return Effect.logInfo(`the log is in ${where}, namespace ${namespace}`)
      }),
      astray: astray.await
    }

    let failures = 0
    let saidAt = Number.NEGATIVE_INFINITY
    const session = Effect.scoped(
      Session.run({
        ...context,
        ready: Effect.zipRight(
          Effect.sync(() => {
            failures = 0
          }),
          context.ready
        )
      })
    ).pipe(
      // Without this the log would stand still without a word.
      Effect.catchAllDefect((defect) => new Connection.RedisFailure({ reason: "Replied", detail: String(defect) })),
      Effect.catchAll((error) =>
        Effect.gen(function* () {
          const wasThere = isThere
          isThere = false
          if (error._tag === "EventLogStartError") Deferred.unsafeDone(started, Effect.fail(error))
          // Before the gateway has started it ends of that, and says so itself.
          const isEnd = error._tag === "EventLogStartError" && replica === undefined
          if (!isEnd && (wasThere || now() - saidAt >= SAY_EVERY)) {
            saidAt = now()
            const hasAnswered = error._tag === "EventLogStartError" || error.reason === "Replied"
            yield* Effect.logWarning(
              `${where} ${hasAnswered ? "cannot be used yet" : "does not answer"}, and is tried again: ${error.message}`
            )
          }
          yield* Effect.sleep(Duration.millis(Math.min(BACK_OFF.most, BACK_OFF.first * 2 ** failures++)))
        })
      )
    )
    yield* Effect.forever(session).pipe(
      Effect.annotateLogs({ module: "EventLogRedis" }),
      Effect.interruptible,
      Effect.forkScoped
    )

    yield* revocations.sharing

    const first = yield* Deferred.await(started)
    const served = yield* Replica.make(settings, mirror ?? first, now)
    replica = served
    return EventLog.of({
      get id() {
        return id
      },
      revocations,
      append: (drafts, options) => commit.append(drafts, options?.idempotencyKey),
      renew: (agentId, tenant) => commit.renew(agentKey(agentId, tenant)),
      ...served.reads,
      reached: (offset) => {
        const place = placeOf(offset)
        const isAhead =
          place !== undefined && place.epoch === mirror?.epochs.current && place.seq > (mirror?.place.seq ?? 0)
        return isAhead ? Effect.ignore(Effect.timeout(commit.arrival(place), REACH)) : Exit.void
      },
      stats: () => ({
        ...served.reads.stats(),
        finishedDropped: drops.finished,
        keysDropped: drops.keys,
        leasesExpired: drops.leases
      }),
      health: () => ({
        staleMillis: isThere ? 0 : now() - contactAt,
        epochChanges,
        rebuilds,
        unread: Math.max(0, knownSeq - (mirror?.place.seq ?? 0)),
        failures: commit.failures
      })
    })
  })

/** What a Redis is like, and whether it can hold a log; or why it cannot be asked. For `doctor`. */
export const inspect = (url: Redacted.Redacted): Effect.Effect<Checks.Findings & { readonly where: string }, string> =>
  Effect.gen(function* () {
    const address = yield* Address.parse(Redacted.value(url))
    const where = Address.describe(address)
    return yield* Connection.find(address).pipe(
      Effect.flatMap(({ connect }) => connect),
      Effect.flatMap(Checks.look),
      Effect.scoped,
      Effect.mapBoth({
        onFailure: ({ message }) => `${where} does not answer: ${message}`,
        onSuccess: (findings) => ({ ...findings, where })
      })
    )
  })

/** A log in Redis 7 or newer, or Valkey. It needs the package `@redis/client`. While the layer is built it waits for Redis; what keeps a gateway
 * from the log until an operator has changed something is an `EventLogStartError`.
 * @since 0.1.0
 * @category layers */
export const layer = (options: Options): Layer.Layer<EventLog, EventLogStartError, StatusSyncConfig.StatusSyncConfig> =>
  Layer.scoped(EventLog, make(options))
