/**
 * Every connection and how far behind it is, for operators.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Broadcast from "../websocket/Broadcast.js"
import type { Connection } from "../websocket/Connection.js"
import * as Connections from "../websocket/Connections.js"
import { endOfTurn } from "../websocket/EndOfTurn.js"
import * as EventLog from "../websocket/EventLog.js"
import * as Filter from "../websocket/Filter.js"
import type { ConnectionReport } from "./StratixApi.js"

/** Connections told of between two turns of the event loop: an operator who asks about thousands must not make events wait. */
const BATCH = 256

const reportOf = (connection: Connection, log: typeof EventLog.EventLog.Service, now: number): ConnectionReport => {
  const { id, openedAt, principal, protocol } = connection.info
  const { catchUps, cursor, lost, state, unsentBytes } = connection.membership?.unsafeLag() ?? NOT_JOINED
  const distance = log.unsafeDistance(cursor)
  return {
    id,
    address: connection.admission.address,
    principal,
    protocol,
    filter: Filter.toFields(connection.filter),
    state,
    openedAt,
    ageMs: Math.max(0, now - openedAt),
    // What the end of this turn will flush does not make a connection slow.
    lagEvents: state === "live" ? 0 : distance.events,
    lagMs: state === "live" ? 0 : distance.millis,
    unsentBytes,
    ...(connection.roundTripMillis !== undefined && { roundTripMs: connection.roundTripMillis }),
    catchUps,
    lost
  }
}

/** Of a connection that is still being opened. */
const NOT_JOINED: Broadcast.Lag = { state: "behind", cursor: undefined, unsentBytes: 0, lost: 0, catchUps: 0 }

/** A `ConnectionReports`, encoded.
 * @since 0.1.0
 * @category accessors */
export const json: Effect.Effect<string, never, Connections.Connections | EventLog.EventLog | Broadcast.Broadcast> =
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const broadcast = yield* Broadcast.Broadcast
    const clock = yield* Effect.clock
    const all = yield* Effect.flatMap(Connections.Connections, (connections) => connections.all)
    const head = broadcast.unsafeHead()
    const texts: Array<string> = []
    for (const connection of all) {
      texts.push(JSON.stringify(reportOf(connection, log, clock.unsafeCurrentTimeMillis())))
      if (texts.length % BATCH === 0) yield* endOfTurn
    }
    return `{"head":${JSON.stringify(head)},"connections":[${texts.join(",")}]}`
  })
