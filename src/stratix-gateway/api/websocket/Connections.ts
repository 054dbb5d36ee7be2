/**
 * The pool: every connection is a scoped resource, from its welcome to its end.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as CloseCodes from "../../../stratix-core/close-codes.js"
import { CLOSING, CONNECTED, HEARTBEAT, WELCOME_MESSAGE } from "../../../stratix-core/stratix-protocol.js"
import type { Admission } from "../../admission/Admission.js"
import * as Handshake from "../../admission/Handshake.js"
import { TokenBucket } from "../../admission/TokenBucket.js"
import * as Authenticator from "../../auth/Authenticator.js"
import * as Primary from "../../channel/Primary.js"
import * as Tally from "../../channel/Tally.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as Broadcast from "../../fanout/Broadcast.js"
import * as Withdrawals from "../../fanout/Withdrawals.js"
import * as DeclaredEvents from "../../log/DeclaredEvents.js"
import * as EventLog from "../../log/EventLog.js"
import * as Stamps from "../../log/Stamps.js"
import { nextTurn } from "../../runtime/EventLoop.js"
import * as ExpiryTimers from "../../runtime/ExpiryTimers.js"
import { isImmediate } from "../../runtime/Immediate.js"
import * as NodeError from "../../runtime/NodeError.js"
import { monotonicMillis, sentAt } from "../../runtime/TimeoutQueues.js"
import * as TurnQueue from "../../runtime/TurnQueue.js"
import * as Metrics from "../../telemetry/Metrics.js"
import * as Refusals from "../../telemetry/Refusals.js"
import * as SlowClients from "../../telemetry/SlowClients.js"
import * as Terminations from "../../telemetry/Terminations.js"
import { type Refusal, refuse } from "../../transport/Refusal.js"
import * as Transport from "../../transport/Transport.js"
import { Connection, type ConnectionContext, type ConnectionInfo } from "./Connection.js"
import * as Heartbeat from "./Heartbeat.js"
import * as KeepAlive from "./KeepAlive.js"
import * as WrongNames from "./WrongNames.js"

/** What happens in the pool. A client that dies is not an error of the gateway: it is one of these, with its code.
 * @since 0.1.0
 * @category models */
export type ConnectionEvent =
  | { readonly _tag: "Joined"; readonly connection: ConnectionInfo }
  | { readonly _tag: "Left"; readonly connection: ConnectionInfo; readonly code: number; readonly reason: string }
  | { readonly _tag: "Failed"; readonly connection: ConnectionInfo; readonly error: Error }

/** The pool of connections.
 * @since 0.1.0
 * @category tags */
export class Connections extends Context.Tag("stratix/Connections")<
  Connections,
  {
    /** How many connections the gateway has, in all its processes. */
    readonly count: Effect.Effect<number>
    /** Those that see this tenant. */
    readonly countOf: (tenant: string) => Effect.Effect<number>
    /** Whether it accepts connections: `false` from the start of the drain. */
    readonly accepting: Effect.Effect<boolean>
    /** Those of this process. */
    readonly all: Effect.Effect<ReadonlyArray<Connection>>
    /** Joins, leaves and errors from now on. A consumer more than 1,024 behind loses the oldest. */
    readonly changes: Stream.Stream<ConnectionEvent>
    /** Decides on an upgrade; those that a host application routed come with what the host decided. */
    readonly decide: (
      request: Transport.UpgradeRequest,
      host?: Handshake.HostDecision
    ) => Effect.Effect<Admission, Refusal>
    /** Takes the socket of an admitted client. */
    readonly accept: (socket: Transport.TransportSocket, admission: Admission) => Transport.SocketHandlers
    /** Refuses new connections, delivers what is pending, closes with 1001, and terminates after `drainTimeout` the connections that remain. Runs when the layer is released. */
    readonly drain: Effect.Effect<void>
  }
>() {}

/** Unread joins, leaves and errors kept for a consumer of `changes`; the oldest are dropped. */
const CHANGES_CAPACITY = 1024

/** Clients closed between two turns of the event loop during a drain. */
const DRAIN_BATCH = 256

/** Waits at most this long. Interruptible even in a finalizer, where the loser of a race would otherwise be awaited. */
const atMost = (effect: Effect.Effect<void>, duration: Duration.DurationInput) =>
  Effect.timeoutOption(Effect.interruptible(effect), duration)

/** Burst, in seconds of `messageRate`: a client library may have queued a few messages. */
const MESSAGES_AT_ONCE = 2

/** Error codes of `ws` for the limits it enforces. */
const limitsOfWs: { readonly [code: string]: Metrics.RefusalReason } = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: "message_size",
  WS_ERR_TOO_MANY_BUFFERED_PARTS: "fragments"
}

const joins = {
  plain: Metric.tagged(Metrics.joins, "protocol", "plain"),
  sync: Metric.tagged(Metrics.joins, "protocol", "sync"),
  stream: Metric.tagged(Metrics.joins, "protocol", "stream")
} as const

// Made once: to tag a metric costs more than to give back all that a connection holds.
const leaves = new Map(Metrics.leaveCodes.map((code) => [code, Metric.tagged(Metrics.leaves, "code", code)] as const))

/** The range, in milliseconds, over which clients are asked to spread their return. */
const RETRY_SPREAD = { min: 500, max: 5000 }

/** The payload that welcomes a plain client, the same for all. */
const PLAIN_WELCOME = JSON.stringify({ message: WELCOME_MESSAGE })

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const transport = yield* Transport.Transport
  const handshake = yield* Handshake.Handshake
  const heartbeat = yield* Heartbeat.Heartbeat
  const broadcast = yield* Broadcast.Broadcast
  const stamps = yield* Stamps.Stamps
  const log = yield* EventLog.EventLog
  const declared = yield* DeclaredEvents.DeclaredEvents
  const authenticator = yield* Authenticator.Authenticator
  const { recordRefusal } = yield* Refusals.Refusals
  const silent = yield* Terminations.make(
    "silent",
    `no sign of life for ${Duration.format(config.heartbeatTimeout)} (STRATIX_HEARTBEAT_TIMEOUT)`
  )
  const slow = yield* SlowClients.make(
    "screen",
    `what its screen shows is more than ${SlowClients.SLOW_AFTER} old, by its own report`
  )
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const runFork = Runtime.runFork(runtime)
  const runSync = Runtime.runSync(runtime)

  const changes = yield* Effect.acquireRelease(PubSub.sliding<ConnectionEvent>(CHANGES_CAPACITY), PubSub.shutdown)
  const pool = new Set<Connection>()
  // Bound: one for each tenant that has a connection.
  const byTenant = new Map<string, number>()
  // Bound: one for each connection.
  const expiryTimers = yield* ExpiryTimers.make
  const staleness = () => EventLog.staleness(log.health())
  const keepAlive = yield* KeepAlive.make(
    config.keepAliveInterval,
    (form) =>
      form.message(
        HEARTBEAT,
        JSON.stringify({
          eventType: HEARTBEAT,
          payload: { head: broadcast.head(), ...staleness() },
          ...stamps.next(),
          sentAt: sentAt(clock)
        })
      ),
    config.highWaterMark
  )
  const emptied = yield* Deferred.make<void>()
  let draining = false
  const worker = yield* Primary.Primary
  const prefix = worker === undefined ? "conn-" : `conn-w${worker.number}-`
  let opened = 0

  // Joins, leaves and errors are logged at debug level: a thousand dashboards that reconnect at once must not cost a thousand lines,
  // which cost more than their handshakes. Where they are not logged, not even their annotations are made.
  const logsDebug = LogLevel.lessThanEqual(yield* FiberRef.get(FiberRef.currentMinimumLogLevel), LogLevel.Debug)
  const debug = (connection: Connection, message: string, more: Record<string, unknown> = {}) => {
    if (!logsDebug) return
    runFork(
      Effect.logDebug(message).pipe(
        Effect.annotateLogs({
          module: "Connections",
          connectionId: connection.id,
          remoteAddress: connection.socket.remoteAddress,
          protocol: connection.admission.protocol,
          ...more
        })
      )
    )
  }

  const unauthorize = (connection: Connection, why: "expired" | "revoked") => {
    const { address, principal } = connection.admission
    const reason = why === "expired" ? "the token has expired" : "the token was revoked"
    if (connection.end(CloseCodes.UNAUTHORIZED, reason)) recordRefusal(why, `${reason}: ${principal.name}`, address)
  }
  const expire = (connection: Connection, expiresAt: DateTime.Utc): ExpiryTimers.ExpiryTimer => {
    const timer = new ExpiryTimers.ExpiryTimer(DateTime.toEpochMillis(expiresAt), () =>
      unauthorize(connection, "expired")
    )
    expiryTimers.set(timer)
    return timer
  }

  const heartbeatTimes = {
    intervalMs: Duration.toMillis(config.heartbeatInterval),
    timeoutMs: Duration.toMillis(config.heartbeatTimeout),
    keepAliveMs: Duration.toMillis(config.keepAliveInterval)
  }
  const retryAfter = Random.nextIntBetween(RETRY_SPREAD.min, RETRY_SPREAD.max)

  const welcome = (connection: Connection) => {
    broadcast.flushNow()
    const { opening } = connection.socket.form
    if (opening !== undefined) connection.socket.write(opening(runSync(retryAfter)))
    if (connection.admission.sync) {
      const own = { message: WELCOME_MESSAGE, connectionId: connection.id, head: broadcast.head(), epoch: log.id }
      connection.send(CONNECTED, { ...own, heartbeat: heartbeatTimes, ...staleness() })
    } else connection.sendJson(CONNECTED, PLAIN_WELCOME)
    connection.tellWrongNames()
    return broadcast.subscribe({
      socket: connection.socket,
      sync: connection.admission.sync,
      filter: connection.filter,
      start: connection.admission.start
    })
  }

  const countTenant = ({ admission: { tenant } }: Connection, by: 1 | -1) => {
    const count = (byTenant.get(tenant) ?? 0) + by
    if (count === 0) byTenant.delete(tenant)
    else byTenant.set(tenant, count)
  }

  // A filter has up to a thousand places in the index, and many clients may end at the same moment. What is written to them until then goes nowhere.
  const unsubscribe = yield* TurnQueue.make(broadcast.unsubscribe)

  /** Gives back everything that opening the connection acquired, however it ends. Nothing of it waits, so a connection needs no scope of its own. */
  const release = (connection: Connection) => {
    pool.delete(connection)
    countTenant(connection, -1)
    connection.admission.permit.release()
    if (draining && pool.size === 0) Deferred.unsafeDone(emptied, Exit.void)
    if (connection.subscriber !== undefined) unsubscribe(connection.subscriber)
    connection.unwatch?.()
    connection.liveness?.stop()
    keepAlive.remove(connection)
    if (connection.expiry !== undefined) expiryTimers.cancel(connection.expiry)
  }

  const changed = (event: ConnectionEvent) => {
    // Full: a consumer is as far behind as it may be, and now loses the oldest.
    if (!changes.unsafeOffer(event)) runFork(PubSub.publish(changes, event))
  }

  const onOpened = (connection: Connection) => {
    pool.add(connection)
    countTenant(connection, 1)
    const { expiresAt, visibility } = connection.admission.principal
    connection.unwatch = visibility?.onChange(() => connection.visibleChanged())
    // It may have changed since the client was admitted.
    connection.visibleChanged()
    if (expiresAt !== undefined) connection.expiry = expire(connection, expiresAt)
    connection.liveness = heartbeat.watch(connection)
    connection.subscriber = welcome(connection)
    if (connection.admission.sync) keepAlive.add(connection)
    joins[connection.admission.protocol].unsafeUpdate(1, [])
    changed({ _tag: "Joined", connection: connection.info })
    debug(connection, "client joined")
    // It may have been revoked since the authenticator decided.
    if (!authenticator.isStillValid(connection.admission.principal)) unauthorize(connection, "revoked")
  }

  const context: ConnectionContext = {
    config,
    clock,
    stamps,
    broadcast,
    problemIn: (filter) => WrongNames.problemIn(filter, log, declared),
    staleness,
    ageAfter: (offset) => log.lag(offset).millis,
    inbound: new TokenBucket(config.messageRate, MESSAGES_AT_ONCE),
    filterChanges: new TokenBucket(config.filterRate, MESSAGES_AT_ONCE),
    withdraw: Withdrawals.make(log, stamps.next),
    recordRefusal,
    onOpened,
    onFailed: (connection, error) => {
      const limit = limitsOfWs[NodeError.codeOf(error)]
      if (limit !== undefined) recordRefusal(limit, error.message, connection.admission.address)
      changed({ _tag: "Failed", connection: connection.info, error })
      debug(connection, `client failed: ${error.message}`)
    },
    onSlowScreen: (connection) => slow({ connectionId: connection.id, remoteAddress: connection.socket.remoteAddress }),
    onSilent: (connection) => silent({ connectionId: connection.id, remoteAddress: connection.socket.remoteAddress }),
    onDefect: (connection, defect) => {
      runFork(
        Effect.logError("a message could not be handled", Cause.die(defect)).pipe(
          Effect.annotateLogs({ module: "Connections", connectionId: connection.id })
        )
      )
    },
    onClosed: (connection, code, reason) => {
      if (!pool.has(connection)) return
      leaves.get(Metrics.leaveCode(code))?.unsafeUpdate(1, [])
      release(connection)
      changed({ _tag: "Left", connection: connection.info, code, reason })
      debug(connection, "client left", { code, reason })
    }
  }

  const lateRefusal = (address: string): Refusal => {
    const refusal = refuse("closing", 503, "the gateway is going away", { "retry-after": "1" })
    recordRefusal("closing", refusal.message, address)
    return refusal
  }

  const closeAll = Effect.gen(function* () {
    let sent = 0
    for (const connection of [...pool]) {
      if (connection.admission.sync) {
        const retryAfterMs = yield* retryAfter
        connection.reply(CLOSING, { reason: "the gateway is going away", retryAfterMs })
      }
      connection.socket.end(CloseCodes.GOING_AWAY, "the gateway is going away")
      if (++sent % DRAIN_BATCH === 0) yield* nextTurn
    }
  })

  const drain = yield* Effect.cached(
    Effect.gen(function* () {
      draining = true
      if (pool.size === 0) return
      const before = pool.size
      yield* Effect.logInfo(`draining ${before} clients`).pipe(Effect.annotateLogs("module", "Connections"))
      yield* broadcast.flush
      const budget = Duration.decode(config.drainTimeout)
      const deadline = monotonicMillis(clock) + Duration.toMillis(budget)
      // At most half of the time for connections that are catching up; the rest for clients to read on and to answer the close.
      yield* atMost(broadcast.caughtUp, Duration.times(budget, 0.5))
      yield* closeAll
      yield* atMost(Deferred.await(emptied), Math.max(0, deadline - monotonicMillis(clock)))
      const left = pool.size
      for (const connection of [...pool]) connection.socket.terminate()
      // A terminated socket reports its end in a later turn, which closes its connection's scope.
      yield* atMost(Deferred.await(emptied), "1 second")
      yield* Effect.logInfo(
        `drained: ${before - left} clients closed, ${left} terminated after ${Duration.format(budget)} (STRATIX_DRAIN_TIMEOUT)`
      ).pipe(Effect.annotateLogs("module", "Connections"))
    })
  )

  const revocations = yield* authenticator.revocations
  yield* Queue.take(revocations).pipe(
    Effect.zipRight(
      Effect.sync(() => {
        for (const connection of [...pool]) {
          if (!authenticator.isStillValid(connection.admission.principal)) unauthorize(connection, "revoked")
        }
      })
    ),
    Effect.forever,
    Effect.forkScoped,
    Effect.interruptible
  )

  // Released in reverse order: the transport first, then the pool.
  yield* Effect.addFinalizer(() => drain)
  const decide = (request: Transport.UpgradeRequest, host?: Handshake.HostDecision) => {
    if (draining) return Exit.fail(lateRefusal(handshake.addressOf(request)))
    const decision = handshake.decide(request, host)
    if (isImmediate(decision)) return decision
    // The drain may have begun, and even ended, while the authenticator was deciding.
    return Effect.flatMap(decision, (admission) => {
      if (!draining) return Exit.succeed(admission)
      admission.permit.release()
      return Exit.fail(lateRefusal(admission.address))
    })
  }
  const accept = (socket: Transport.TransportSocket, admission: Admission) =>
    new Connection(`${prefix}${++opened}`, socket, admission, context)
  yield* transport.serve({ decide: (request) => decide(request), accept })

  const count = Tally.make(worker, "connected", () => pool.size)
  return Connections.of({
    count: count(""),
    countOf: Tally.make(worker, "clients", (tenant) => byTenant.get(tenant) ?? 0),
    accepting: Effect.sync(() => !draining),
    all: Effect.sync(() => [...pool]),
    changes: Stream.fromPubSub(changes),
    decide,
    accept,
    drain
  })
})

/** The pool on its transport.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<
  Connections,
  never,
  | StatusSyncConfig.StatusSyncConfig
  | Transport.Transport
  | Handshake.Handshake
  | Heartbeat.Heartbeat
  | Broadcast.Broadcast
  | EventLog.EventLog
  | Stamps.Stamps
  | Authenticator.Authenticator
  | Refusals.Refusals
> = Layer.scoped(Connections, make)
