/** Every connection and how far behind it is, for operators. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import type { Worker } from "../../../channel/Primary.js"
import * as Broadcast from "../../../fanout/Broadcast.js"
import type { SubscriberStatus } from "../../../fanout/Subscribers.js"
import * as EventLog from "../../../log/EventLog.js"
import * as Filter from "../../../log/Filter.js"
import * as EventLoop from "../../../runtime/EventLoop.js"
import { monotonicMillis } from "../../../runtime/TimeoutQueues.js"
import type { Connection } from "../../websocket/Connection.js"
import * as Connections from "../../websocket/Connections.js"
import type { ConnectionReport } from "../StratixApi.js"

/** Connections reported at a time, between two looks at the time that it takes: made in about 1 ms. */
const BATCH = 64

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

type Services = Connections.Connections | EventLog.EventLog | Broadcast.Broadcast

/** The connections of this process that see a tenant, with commas between them and `opening` and `closing` around them: in pieces, made while they are read. */
const pieces = (
  tenant: string,
  opening: string,
  closing: string
): Effect.Effect<Stream.Stream<string>, never, Services> =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const broadcast = yield* Broadcast.Broadcast
    const clock = yield* Effect.clock
    const all = yield* Effect.flatMap(Connections.Connections, (connections) => connections.all)
    const own = all.filter(({ admission }) => admission.tenant === tenant)
    return Stream.unfoldEffect(0, (from) => {
      if (from > own.length) return Effect.succeedNone
      const now = clock.unsafeCurrentTimeMillis()
      const texts = own
        .slice(from, from + BATCH)
        .map((connection) => JSON.stringify(reportOf(connection, broadcast, log, now, monotonicMillis(clock))))
      const next = from + BATCH
      const text = `${from === 0 ? opening : ","}${texts.join()}${next >= own.length ? closing : ""}`
      return Effect.as(EventLoop.step, Option.some([text, next >= own.length ? own.length + 1 : next] as const))
    })
  })

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

/** What a worker is asked for. */
const QUESTION = "connections"

/** A `ConnectionReports` of the connections that see a tenant, encoded in pieces while it is read: of all workers, where there are any. */
export const stream = (tenant: string, worker?: Worker): Effect.Effect<Stream.Stream<Uint8Array>, never, Services> =>
  Effect.gen(function* () {
    const { head } = yield* Broadcast.Broadcast
    const opening = `{"head":${JSON.stringify(head())},"connections":[`
    if (worker === undefined) return Stream.map(yield* pieces(tenant, opening, "]}"), bytesOf)
    const parts = Stream.fromIterable(yield* worker.reports.ask(QUESTION, tenant)).pipe(
      Stream.filter((part) => part !== ""),
      Stream.intersperse(",")
    )
    return Stream.map(Stream.concat(Stream.make(opening), Stream.concat(parts, Stream.make("]}"))), bytesOf)
  })

/** Answers for the connections of this worker. */
export const answer = (worker: Worker): Effect.Effect<void, never, Services> =>
  Effect.map(Effect.runtime<Services>(), (runtime) => {
    worker.reports.on(QUESTION, ([tenant = ""], reply) => {
      Runtime.runFork(runtime)(
        pieces(tenant, "", "").pipe(
          Effect.flatMap(Stream.runCollect),
          Effect.map((parts) => reply([[...parts].join("")]))
        )
      )
    })
  })
