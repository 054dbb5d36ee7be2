/**
 * The log in the memory of one process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type { Offset } from "../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as SleepLoop from "../runtime/SleepLoop.js"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import { type AppendOptions, type Draft, EventLog, EventLogError, healthy, type LogEntry } from "./EventLog.js"
import { KeyedAppends } from "./Idempotency.js"
import { agentKey } from "./mirror/Leases.js"
import { Mirror } from "./mirror/Mirror.js"
import { OwnEvents } from "./mirror/OwnEvents.js"
import { emptyLog, isKeyless } from "./mirror/Records.js"
import * as Replica from "./Replica.js"

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const clock = yield* Effect.clock
  // Never set back or forward: a correction of the wall clock must neither age anything nor end a lease.
  const begun = clock.unsafeCurrentTimeMillis() - monotonicMillis(clock)
  const now = () => begun + monotonicMillis(clock)
  const epoch =
    (yield* Random.nextIntBetween(0, 36 ** 6)).toString(36).padStart(6, "0") +
    clock.unsafeCurrentTimeMillis().toString(36)
  const keyed = new KeyedAppends(config)
  const mirror = new Mirror(config, emptyLog(epoch))
  const replica = yield* Replica.make(config, mirror, now)

  const appendOne = (draft: Draft, time: number): LogEntry => {
    replica.count(draft.eventType)
    const { keyless, seq } = mirror.place
    return mirror.apply(draft, { epoch, seq: seq + 1, keyless: keyless + (isKeyless(draft) ? 1 : 0) }, time)
  }

  const own = new OwnEvents(mirror, appendOne, () => clock.unsafeCurrentTimeMillis())
  const aging = yield* SleepLoop.make({
    now,
    run: () => {
      replica.announce(own.due(now()))
      return own.nextAt
    }
  })

  let closed = false
  // Before the loop ends, which nothing may wake any more then.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
    })
  )
  const append = (
    drafts: ReadonlyArray<Draft>,
    { idempotencyKey }: AppendOptions = {}
  ): Effect.Effect<ReadonlyArray<Offset>, EventLogError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(new EventLogError({ reason: "Closed" }))
      const time = now()
      const given = idempotencyKey === undefined ? undefined : keyed.find(idempotencyKey, time)
      if (given !== undefined) return Effect.succeed(given)
      const entries = drafts.map((draft) => appendOne(draft, time))
      replica.announce([...entries, ...own.due(time, entries.length)])
      aging.wake(own.nextAt)
      const offsets = entries.map((entry) => entry.offset)
      if (idempotencyKey !== undefined) keyed.add(idempotencyKey, offsets, time)
      return Effect.succeed(offsets)
    })

  return EventLog.of({
    id: epoch,
    append,
    renew: (agentId, tenant) =>
      Effect.suspend(() =>
        closed
          ? Effect.fail(new EventLogError({ reason: "Closed" }))
          : Effect.succeed(mirror.renew(agentKey(agentId, tenant), now()))
      ),
    ...replica.reads,
    reached: () => Exit.void,
    health: () => healthy
  })
})

/** A log in this process's memory: gone when the process ends, and known to be so by its offsets.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<EventLog, never, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(EventLog, make)
