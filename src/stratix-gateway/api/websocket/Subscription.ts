/**
 * The log as a stream in this process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Offset, StratixStateSyncEvent } from "../../../stratix-core/stratix-protocol.js"
import type * as EventLog from "../../log/EventLog.js"

/** An event as it is on the wire, its place in the log, and what was missed before it.
 * @since 0.1.0
 * @category models */
export type SubscribedEvent = StratixStateSyncEvent & {
  readonly offset: Offset
  /** Events between the one before and this one that the subscriber was too slow for; 0 for one that keeps up. Those of other tenants count. */
  readonly lost: number
}

// With the fields that the protocol does not name.
const decode = Schema.decodeUnknown(Schema.parseJson(StratixStateSyncEvent), { onExcessProperty: "preserve" })

/** Subscribes to the events of a tenant. Bound: the subscription keeps a history's worth of events and drops the oldest above that. */
export const make = (
  log: typeof EventLog.EventLog.Service,
  tenant: string
): Effect.Effect<Stream.Stream<SubscribedEvent>, never, Scope.Scope> =>
  Effect.map(log.subscribe, (subscription) => {
    let expected = log.head().index + 1
    let lost = 0
    const told = ({ index, json, offset, tenant: of }: EventLog.LogEntry) => {
      lost += Math.max(0, index - expected)
      expected = index + 1
      if (of !== tenant) return Effect.succeedNone
      return Effect.matchEffect(decode(json), {
        onFailure: (error) =>
          Effect.as(
            Effect.logError(`a subscription skips the event at offset ${offset}, which is none: ${error.message}`),
            Option.none<SubscribedEvent>()
          ),
        onSuccess: (event) =>
          Effect.sync(() => {
            const before = lost
            lost = 0
            return Option.some({ ...event, offset, lost: before })
          })
      })
    }
    return Stream.fromQueue(subscription).pipe(
      Stream.mapEffect(told),
      Stream.filterMap((event) => event)
    )
  })
