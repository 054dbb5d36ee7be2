/**
 * One client's socket, with its filter, its heartbeat and its subscription.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as CloseCodes from "../../../stratix-core/close-codes.js"
import {
  ERROR,
  HEARTBEAT,
  type Offset,
  PingMessage,
  SUBSCRIBED,
  SubscribeMessage
} from "../../../stratix-core/stratix-protocol.js"
import * as Admission from "../../admission/Admission.js"
import type { TokenBucket } from "../../admission/TokenBucket.js"
import type { Settings } from "../../config/StatusSyncConfig.js"
import type { Broadcast } from "../../fanout/Broadcast.js"
import type { Subscriber } from "../../fanout/Subscribers.js"
import type { Withdraw } from "../../fanout/Withdrawals.js"
import * as Filter from "../../log/Filter.js"
import type { Stamps } from "../../log/Stamps.js"
import type { ExpiryTimer } from "../../runtime/ExpiryTimers.js"
import * as ParseIssue from "../../runtime/ParseIssue.js"
import { monotonicMillis, sentAt } from "../../runtime/TimeoutQueues.js"
import * as Metrics from "../../telemetry/Metrics.js"
import type { Refusals } from "../../telemetry/Refusals.js"
import { SLOW_AFTER } from "../../telemetry/SlowClients.js"
import type { SocketHandlers, TransportSocket } from "../../transport/Transport.js"
import type { LivenessWatch } from "./Heartbeat.js"

/** What a connection is, for logs, metrics and operators.
 * @since 0.1.0
 * @category models */
export interface ConnectionInfo {
  readonly id: string
  readonly remoteAddress: string
  readonly protocol: Admission.Protocol
  readonly principal: string
  /** Whose events it sees. */
  readonly tenant: string
  /** Milliseconds since the Unix epoch. */
  readonly openedAt: number
}

/** How far behind a screen was when it last said up to where it has processed everything.
 * @since 0.1.0
 * @category models */
export interface ScreenReport {
  /** Milliseconds on the monotonic clock. */
  readonly at: number
  /** Age of the oldest event it had not processed, in milliseconds. */
  readonly lagMillis: number
}

/** What every connection of a gateway works with.
 * @since 0.1.0
 * @category models */
export interface ConnectionContext {
  readonly config: Settings
  readonly clock: Clock.Clock
  readonly stamps: typeof Stamps.Service
  readonly broadcast: typeof Broadcast.Service
  /** The field that says how long the log has been out of reach. */
  readonly staleness: () => { readonly staleMs?: number }
  /** Age of the oldest event after an offset, in milliseconds. */
  readonly ageAfter: (offset: Offset) => number
  /** What is wrong with the names in a filter. */
  readonly problemIn: (filter: Filter.Filter) => string | undefined
  /** Limits the frames a client sends. */
  readonly inbound: TokenBucket
  /** Of the changes of filter it asks for. */
  readonly filterChanges: TokenBucket
  /** What a plain connection is told of what it may not see any more. */
  readonly withdraw: Withdraw
  readonly recordRefusal: (typeof Refusals.Service)["recordRefusal"]
  readonly onOpened: (connection: Connection) => void
  /** Its screen is found slow by its own report. */
  readonly onSlowScreen: (connection: Connection) => void
  /** No sign of life for the whole heartbeat timeout: it is terminated next. */
  readonly onSilent: (connection: Connection) => void
  readonly onFailed: (connection: Connection, error: Error) => void
  /** Handling a message threw: a fault of the gateway. */
  readonly onDefect: (connection: Connection, defect: unknown) => void
  readonly onClosed: (connection: Connection, code: number, reason: string) => void
}

const SLOW_MILLIS = Duration.toMillis(SLOW_AFTER)

/** Malformed messages, within this many milliseconds, that close the connection (PROTOCOL.md §4). */
const STRIKES = 10
const STRIKE_WINDOW = 10_000

/** Values of a filter that count as one more change of it: what they cost is of the same order. */
const VALUES_PER_CHANGE = 100

const decodeSubscribe = Schema.decodeUnknownEither(SubscribeMessage, { onExcessProperty: "error" })
const decodePing = Schema.decodeUnknownEither(PingMessage, { onExcessProperty: "error" })

const typeOf = (message: unknown): unknown =>
  typeof message === "object" && message !== null && "type" in message ? message.type : undefined

/** Whether a message says what it is: then it is of another protocol, or of a later version of this one, and not malformed. */
const isTyped = (message: unknown): boolean =>
  typeof typeOf(message) === "string" ||
  (typeof message === "object" && message !== null && "eventType" in message && typeof message.eventType === "string")

const UNKNOWN = "unknown message"
const UNKNOWN_DETAIL = 'the type of a message is "subscribe" or "ping"'

/** Values in all lists of a message, whatever they are. */
const valuesIn = (message: unknown): number =>
  typeof message === "object" && message !== null
    ? Object.values(message).reduce<number>((sum, field) => sum + (Array.isArray(field) ? field.length : 0), 0)
    : 0

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A connection in the pool. The transport calls its handlers, the heartbeat its ping and timeout.
 * @since 0.1.0
 * @category models */
export class Connection implements SocketHandlers {
  readonly openedAt: number
  /** Set in `onOpen`, before any other handler is called. */
  subscriber: Subscriber | undefined = undefined
  liveness: LivenessWatch | undefined = undefined
  /** Ends the connection when its principal expires. */
  expiry: ExpiryTimer | undefined = undefined
  /** Time from the last answered ping to its pong. */
  roundTripMillis: number | undefined = undefined
  filter: Filter.Filter
  /** Ends listening to changes of what it may see. */
  unwatch: (() => void) | undefined = undefined
  /** What it last asked for. */
  private asked: Filter.Filter
  /** The last report of its screen, if it sends any. */
  screen: ScreenReport | undefined = undefined
  /** When its last frame came in. */
  private heardAt = 0
  /** When the unanswered ping was sent. */
  private pingedAt: number | undefined = undefined
  private strikes: Array<number> | undefined = undefined
  /** When its bucket of inbound frames is full again: see `TokenBucket`. */
  private allowedAt = 0
  /** The same of its changes of filter. */
  private filterAllowedAt = 0
  private ending = false

  constructor(
    readonly id: string,
    readonly socket: TransportSocket,
    readonly admission: Admission.Admission,
    private readonly context: ConnectionContext
  ) {
    this.openedAt = context.clock.unsafeCurrentTimeMillis()
    this.asked = admission.filter
    this.filter = this.within(this.asked)
  }

  get info(): ConnectionInfo {
    return {
      id: this.id,
      remoteAddress: this.socket.remoteAddress,
      protocol: this.admission.protocol,
      principal: this.admission.principal.name,
      tenant: this.admission.tenant,
      openedAt: this.openedAt
    }
  }

  isAtHead(): boolean {
    return this.subscriber?.state === "live"
  }

  onOpen(): void {
    this.context.onOpened(this)
  }

  onSignOfLife(): void {
    const { clock, inbound } = this.context
    const now = monotonicMillis(clock)
    this.heardAt = now
    this.liveness?.signOfLife(now)
    this.allowedAt = inbound.take(this.allowedAt, now, 1)
    const excess = inbound.excess(this.allowedAt, now)
    if (excess <= 0) return
    // A client that keeps sending after the close frame is not waited for.
    if (this.ending && excess > inbound.window) this.socket.terminate()
    else this.violation("message_rate", "too many messages")
  }

  onTaken(): void {
    this.liveness?.signOfLife(monotonicMillis(this.context.clock))
  }

  onPong(): void {
    // A client may send unsolicited pongs.
    if (this.pingedAt === undefined) return
    this.roundTripMillis = this.heardAt - this.pingedAt
    this.pingedAt = undefined
    Metrics.roundTrip.unsafeUpdate(this.roundTripMillis / 1000, [])
  }

  onDrain(): void {
    if (this.subscriber !== undefined) this.context.broadcast.drained(this.subscriber)
  }

  onError(error: Error): void {
    this.context.onFailed(this, error)
  }

  onClose(code: number, reason: string): void {
    this.context.onClosed(this, code, reason)
  }

  onBinary(): void {
    this.end(CloseCodes.UNSUPPORTED_DATA, "only text frames are understood")
  }

  onText(text: string): void {
    if (this.ending) return
    try {
      this.understand(text)
    } catch (defect) {
      // Thrown in a listener, it would end the process. A message may cost its client the connection, and nothing more.
      this.context.onDefect(this, defect)
      this.end(CloseCodes.TRY_AGAIN_LATER, "the message could not be handled")
    }
  }

  private understand(text: string): void {
    const message = parse(text)
    switch (typeOf(message)) {
      case "subscribe":
        if (!this.mayChangeFilter(message)) break
        this.understood(decodeSubscribe(message), (fields) => this.subscribe(Filter.fromFields(fields)))
        break
      case "ping":
        this.understood(decodePing(message), ({ at, cursor }) => {
          if (cursor !== undefined) this.screenReports(cursor)
          this.heartbeat(at)
        })
        break
      default:
        if (message === undefined) this.strike("not JSON", 'a message is one JSON object, like {"type":"ping"}')
        else if (isTyped(message)) this.reply(ERROR, { reason: UNKNOWN, detail: UNKNOWN_DETAIL })
        else this.strike(UNKNOWN, UNKNOWN_DETAIL)
    }
  }

  private screenReports(cursor: Offset): void {
    const wasSlow = this.isScreenSlow()
    const { ageAfter, clock } = this.context
    this.screen = { at: monotonicMillis(clock), lagMillis: ageAfter(cursor) }
    if (this.isScreenSlow() && !wasSlow) this.context.onSlowScreen(this)
  }

  private isScreenSlow(): boolean {
    return this.screen !== undefined && this.screen.lagMillis > SLOW_MILLIS
  }

  /** Called by the heartbeat: sends a ping, and to sync clients, which may not see pings, the head. */
  ping(now: number): void {
    this.pingedAt = now
    this.socket.ping()
    if (this.admission.sync) this.heartbeat()
  }

  /** Called by the heartbeat: no sign of life for the whole timeout. */
  onTimeout(): void {
    this.context.onSilent(this)
    this.socket.terminate()
  }

  /** Closes the connection and ignores further messages. Returns `false` if it was already closing. */
  end(code: number, reason: string): boolean {
    if (this.ending) return false
    this.ending = true
    this.socket.end(code, reason)
    return true
  }

  /** Sends a message without an offset, unless too much is unsent: a client that lets answers pile up is not reading them. Returns whether it was sent. */
  reply(eventType: string, payload: unknown): boolean {
    if (this.socket.unsentBytes() > this.context.config.highWaterMark) return false
    this.send(eventType, payload)
    return true
  }

  /** Sends a message without an offset, however much is unsent. */
  send(eventType: string, payload: unknown): void {
    this.sendJson(eventType, JSON.stringify(payload))
  }

  /** The same with a payload that is JSON already. */
  sendJson(eventType: string, payload: string): void {
    const { clock, stamps } = this.context
    const { requestId, timestamp } = stamps.next()
    // Names and ids of the gateway's own hold nothing that JSON escapes.
    const last = this.admission.sync ? `,"sentAt":${sentAt(clock)}}` : "}"
    const json = `{"eventType":"${eventType}","payload":${payload},"timestamp":${timestamp},"requestId":"${requestId}"${last}`
    // Under another filter the snapshot that follows is where it begins.
    this.socket.write(this.socket.form.message(eventType, json, eventType === SUBSCRIBED))
  }

  private heartbeat(at?: number): void {
    const { broadcast, staleness } = this.context
    this.reply(HEARTBEAT, { head: broadcast.head(), ...(at !== undefined && { at }), ...staleness() })
  }

  /** Whether a `subscribe` is looked at: it is weighed before it is decoded, because to decode is most of its work, and each change is a catch-up. */
  private mayChangeFilter(message: unknown): boolean {
    const { clock, config, filterChanges, recordRefusal } = this.context
    const now = monotonicMillis(clock)
    const size = valuesIn(message)
    // The largest may change once a second, whatever the limits are.
    const cost = Math.max(1, Math.min(1 + size / VALUES_PER_CHANGE, config.filterRate))
    this.filterAllowedAt = filterChanges.take(this.filterAllowedAt, now, cost)
    if (filterChanges.excess(this.filterAllowedAt, now) > 0) {
      recordRefusal("filter_rate", "too many changes of filter", this.socket.remoteAddress)
      this.strike("too many changes of filter", `a filter may change ${config.filterRate} times per second`)
      return false
    }
    if (size <= config.maxFilterValues) return true
    recordRefusal("filter_size", `a filter of ${size} values`, this.socket.remoteAddress)
    this.strike("filter too large", `the filter has ${size} values, more than the ${config.maxFilterValues} allowed`)
    return false
  }

  /** What it may see of what it asks for. */
  private within(asked: Filter.Filter): Filter.Filter {
    return Filter.intersect(Filter.inTenant(asked, this.admission.tenant), Admission.visible(this.admission))
  }

  /** What it may see is something else, or may be. A fault here closes the connection: it must not see more than it may. */
  visibleChanged(): void {
    if (this.ending) return
    try {
      this.narrowOrWiden(this.within(this.asked))
    } catch (defect) {
      this.context.onDefect(this, defect)
      this.end(CloseCodes.TRY_AGAIN_LATER, "what it may see is not known")
    }
  }

  private narrowOrWiden(next: Filter.Filter): void {
    const { broadcast, config, withdraw } = this.context
    const before = this.filter
    if (next.key === before.key) return
    this.filter = next
    const { subscriber } = this
    if (subscriber === undefined) return
    // What was published before was seen by the old filter.
    broadcast.flushNow()
    const gone = this.admission.sync ? [] : withdraw(before, next, subscriber)
    const bytes = Buffer.concat(gone.map((json) => this.socket.form.message("", json)))
    if (bytes.length <= config.highWaterMark && this.reply(SUBSCRIBED, Filter.toFields(next))) {
      if (bytes.length > 0) this.socket.write(bytes)
      broadcast.setFilter(subscriber, next)
    } else this.end(CloseCodes.TRY_AGAIN_LATER, "what it may see has changed too much")
  }

  private subscribe(asked: Filter.Filter): void {
    this.asked = asked
    this.filter = this.within(asked)
    // Flush what was published under the old filter: after the answer, nothing arrives that the new filter keeps out.
    this.context.broadcast.flushNow()
    // A filter must not change silently: the client comes back with it when it can read.
    if (this.reply(SUBSCRIBED, Filter.toFields(this.filter))) {
      this.tellWrongNames()
      if (this.subscriber !== undefined) this.context.broadcast.setFilter(this.subscriber, this.filter)
    } else this.end(CloseCodes.TRY_AGAIN_LATER, "too slow to change its filter")
  }

  /** Tells of event types in the filter that nothing has: the client would wait for them without a word. */
  tellWrongNames(): void {
    const detail = this.context.problemIn(this.filter)
    if (detail !== undefined) this.reply(ERROR, { reason: "unknown event type", detail })
  }

  private understood<A>(decoded: Either.Either<A, ParseResult.ParseError>, then: (message: A) => void): void {
    if (Either.isRight(decoded)) {
      then(decoded.right)
      return
    }
    const { message, path } = ParseIssue.first(decoded.left)
    this.strike("malformed message", `${path}: ${message}`)
  }

  private strike(reason: string, detail: string): void {
    const now = monotonicMillis(this.context.clock)
    this.strikes = (this.strikes ?? []).filter((at) => at > now - STRIKE_WINDOW)
    this.strikes.push(now)
    this.reply(ERROR, { reason, detail })
    if (this.strikes.length >= STRIKES) this.violation("malformed_messages", "too many malformed messages")
  }

  private violation(why: Metrics.RefusalReason, reason: string): void {
    if (!this.end(CloseCodes.POLICY_VIOLATION, reason)) return
    this.context.recordRefusal(why, `${reason} from ${this.admission.principal.name}`, this.socket.remoteAddress)
  }
}
