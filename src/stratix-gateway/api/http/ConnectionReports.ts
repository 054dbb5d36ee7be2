/** Every connection and how far behind it is, for operators. */
import * as Effect from "effect/Effect"
import * as Broadcast from "../../fanout/Broadcast.js"
import type { SubscriberStatus } from "../../fanout/Subscribers.js"
import * as EventLog from "../../log/EventLog.js"
import * as Filter from "../../log/Filter.js"
import { nextTurn } from "../../runtime/EventLoop.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import type { Connection } from "../websocket/Connection.js"
import * as Connections from "../websocket/Connections.js"
import type { ConnectionReport } from "./StratixApi.js"

/** Connections reported between two turns of the event loop, so that a report on thousands does not delay events. */
const BATCH = 256

const reportOf = (
  connection: Connection,
  broadcast: typeof Broadcast.Broadcast.Service,
  log: typeof EventLog.EventLog.Service,
  now: number,
  monotonic: number
): ConnectionReport => {
  const { id, openedAt, principal, protocol } = connection.info
  const { screen } = connection
  const { catchUps, cursor, lost, stalledMillis, state, unsentBytes } =
    connection.subscriber === undefined ? NOT_SUBSCRIBED : broadcast.status(connection.subscriber)
  const lag = log.lag(cursor)
  return {
    id,
    address: connection.admission.address,
    principal,
    protocol,
    filter: Filter.toFields(connection.filter),
    state,
    openedAt,
    ageMs: Math.max(0, now - openedAt),
    // What is flushed at the end of this turn does not make a connection slow.
    lagEvents: state === "live" ? 0 : lag.events,
    lagMs: state === "live" ? 0 : lag.millis,
    unsentBytes,
    stalledMs: stalledMillis,
    ...(screen !== undefined && {
      screenLagMs: screen.lagMillis,
      screenReportedMs: Math.max(0, monotonic - screen.at)
    }),
    ...(connection.roundTripMillis !== undefined && { roundTripMs: connection.roundTripMillis }),
    catchUps,
    lost
  }
}

/** The status of a connection that is still being opened. */
const NOT_SUBSCRIBED: SubscriberStatus = {
  state: "behind",
  cursor: undefined,
  unsentBytes: 0,
  stalledMillis: 0,
  lost: 0,
  catchUps: 0
}

/** A `ConnectionReports` of the connections that see a tenant, encoded. */
export const json = (
  tenant: string
): Effect.Effect<string, never, Connections.Connections | EventLog.EventLog | Broadcast.Broadcast> =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const broadcast = yield* Broadcast.Broadcast
    const clock = yield* Effect.clock
    const all = yield* Effect.flatMap(Connections.Connections, (connections) => connections.all)
    const head = broadcast.head()
    const texts: Array<string> = []
    for (const connection of all) {
      if (connection.admission.tenant !== tenant) continue
      const report = reportOf(connection, broadcast, log, clock.unsafeCurrentTimeMillis(), monotonicMillis(clock))
      texts.push(JSON.stringify(report))
      if (texts.length % BATCH === 0) yield* nextTurn
    }
    return `{"head":${JSON.stringify(head)},"connections":[${texts.join(",")}]}`
  })
