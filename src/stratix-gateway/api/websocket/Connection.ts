/**
 * One client's socket, with its filter, its pulse and its part in the fan-out.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as CloseCodes from "../../../stratix-core/close-codes.js"
import { ERROR, HEARTBEAT, PingMessage, SUBSCRIBED, SubscribeMessage } from "../../../stratix-core/stratix-protocol.js"
import * as Metrics from "../../Metrics.js"
import type { Settings } from "../../StatusSyncConfig.js"
import type { Alarm } from "./Alarms.js"
import type { Broadcast, Membership } from "./Broadcast.js"
import { unsafeMonotonicMillis } from "./Deadlines.js"
import * as Filter from "./Filter.js"
import * as Frame from "./Frame.js"
import type { Admission } from "./Handshake.js"
import type { Pulse } from "./Heartbeat.js"
import type { Rate } from "./Rate.js"
import type { Refusals } from "./Refusals.js"
import type { Stamp } from "./Stamp.js"
import type { SocketHandlers, TransportSocket } from "./Transport.js"

/** What a connection is, for logs, metrics and operators.
 * @since 0.1.0
 * @category models */
export interface ConnectionInfo {
  readonly id: string
  readonly remoteAddress: string
  readonly protocol: "plain" | "sync"
  readonly principal: string
  /** Milliseconds since the Unix epoch. */
  readonly openedAt: number
}

/** What every connection of a gateway works with.
 * @since 0.1.0
 * @category models */
export interface Surroundings {
  readonly config: Settings
  readonly clock: Clock.Clock
  readonly stamp: typeof Stamp.Service
  readonly broadcast: typeof Broadcast.Service
  /** Of the frames a client sends. */
  readonly inbound: Rate
  readonly unsafeRefused: (typeof Refusals.Service)["unsafeRefused"]
  readonly unsafeOpened: (connection: Connection) => void
  readonly unsafeFailed: (connection: Connection, error: Error) => void
  /** A message of its client made the gateway throw: a fault of the gateway's own. */
  readonly unsafeDefect: (connection: Connection, defect: unknown) => void
  readonly unsafeClosed: (connection: Connection, code: number, reason: string) => void
}

/** Client messages that are not understood: so many within so many milliseconds, and the connection is closed (PROTOCOL.md §4). */
const STRIKES = 10
const STRIKE_WINDOW = 10_000

const decodeSubscribe = Schema.decodeUnknownEither(SubscribeMessage, { onExcessProperty: "error" })
const decodePing = Schema.decodeUnknownEither(PingMessage, { onExcessProperty: "error" })

const terminations = Metric.tagged(Metrics.terminations, "reason", "silent" satisfies Metrics.TerminationReason)

const typeOf = (message: unknown): unknown =>
  typeof message === "object" && message !== null && "type" in message ? message.type : undefined

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
  membership: Membership | undefined = undefined
  pulse: Pulse | undefined = undefined
  /** When its principal's time has come. */
  expiry: Alarm | undefined = undefined
  /** The last time from ping to pong. */
  roundTripMillis: number | undefined = undefined
  filter: Filter.Filter
  /** When the ping that is not answered yet was sent. */
  private pingedAt: number | undefined = undefined
  private strikes: Array<number> | undefined = undefined
  /** When it may send as many frames at once as anybody; see `Rate`. */
  private allowedAt = 0
  private ending = false

  constructor(
    readonly id: string,
    readonly socket: TransportSocket,
    readonly admission: Admission,
    private readonly around: Surroundings
  ) {
    this.openedAt = around.clock.unsafeCurrentTimeMillis()
    this.filter = Filter.intersect(admission.filter, admission.principal.visible)
  }

  get info(): ConnectionInfo {
    return {
      id: this.id,
      remoteAddress: this.socket.remoteAddress,
      protocol: this.admission.sync ? "sync" : "plain",
      principal: this.admission.principal.name,
      openedAt: this.openedAt
    }
  }

  onOpen(): void {
    this.around.unsafeOpened(this)
  }

  onSignOfLife(): void {
    this.pulse?.unsafeSignOfLife()
    const { clock, inbound } = this.around
    const now = unsafeMonotonicMillis(clock)
    this.allowedAt = inbound.take(this.allowedAt, now, 1)
    const excess = inbound.excess(this.allowedAt, now)
    if (excess <= 0) return
    // One who goes on after the close frame is not waited for.
    if (this.ending && excess > inbound.window) this.socket.unsafeTerminate()
    else this.violation("message_rate", "too many messages")
  }

  onPong(): void {
    // A client may send pongs that nobody asked for.
    if (this.pingedAt === undefined) return
    this.roundTripMillis = unsafeMonotonicMillis(this.around.clock) - this.pingedAt
    this.pingedAt = undefined
    Metrics.roundTrip.unsafeUpdate(this.roundTripMillis / 1000, [])
  }

  onDrain(): void {
    this.membership?.unsafeDrained()
  }

  onError(error: Error): void {
    this.around.unsafeFailed(this, error)
  }

  onClose(code: number, reason: string): void {
    this.around.unsafeClosed(this, code, reason)
  }

  onBinary(): void {
    this.unsafeEnd(CloseCodes.UNSUPPORTED_DATA, "only text frames are understood")
  }

  onText(text: string): void {
    if (this.ending) return
    try {
      this.understand(text)
    } catch (defect) {
      // Thrown in a listener, it would end the process. A message of one client may cost this client its connection, and nothing more.
      this.around.unsafeDefect(this, defect)
      this.unsafeEnd(CloseCodes.TRY_AGAIN_LATER, "the message could not be handled")
    }
  }

  private understand(text: string): void {
    const message = parse(text)
    switch (typeOf(message)) {
      case "subscribe":
        this.understood(decodeSubscribe(message), (fields) => this.subscribe(Filter.fromFields(fields)))
        break
      case "ping":
        this.understood(decodePing(message), () => this.heartbeat())
        break
      default:
        this.strike(
          message === undefined ? "not JSON" : "unknown message",
          message === undefined
            ? 'a message is one JSON object, like {"type":"ping"}'
            : 'the type of a message is "subscribe" or "ping"'
        )
    }
  }

  /** From the heartbeat: a ping, and for those who cannot see pings, the head. */
  unsafePing(now: number): void {
    this.pingedAt = now
    this.socket.unsafeWrite(Frame.ping)
    if (this.admission.sync) this.heartbeat()
  }

  /** From the heartbeat: no sign of life for the whole timeout. */
  unsafeTimeout(): void {
    terminations.unsafeUpdate(1, [])
    this.socket.unsafeTerminate()
  }

  /** Closes, and listens to the client no more; `false` if it does so already. */
  unsafeEnd(code: number, reason: string): boolean {
    if (this.ending) return false
    this.ending = true
    this.socket.unsafeClose(code, reason)
    return true
  }

  /** Sends a message that belongs to no key, unless too much is unsent already: who lets answers pile up is not reading them. Answers whether it was sent. */
  unsafeReply(eventType: string, payload: unknown): boolean {
    if (this.socket.unsafeUnsent() > this.around.config.highWaterMark) return false
    this.unsafeSend(eventType, payload)
    return true
  }

  /** Sends a message that belongs to no key, whatever is unsent. */
  unsafeSend(eventType: string, payload: unknown): void {
    this.socket.unsafeWrite(Frame.text(JSON.stringify({ eventType, payload, ...this.around.stamp.unsafeNext() })))
  }

  private heartbeat(): void {
    this.unsafeReply(HEARTBEAT, { head: this.around.broadcast.unsafeHead() })
  }

  private subscribe(asked: Filter.Filter): void {
    const size = Filter.size(asked)
    const { maxFilterValues } = this.around.config
    if (size > maxFilterValues) {
      this.around.unsafeRefused("filter_size", `a filter of ${size} values`, this.socket.remoteAddress)
      this.strike("filter too large", `the filter has ${size} values, more than the ${maxFilterValues} allowed`)
      return
    }
    this.filter = Filter.intersect(asked, this.admission.principal.visible)
    // What was published until now is for the filter until now: behind the answer nothing comes that the new one keeps out.
    this.around.broadcast.unsafeFlush()
    // A filter must not change in silence: the client comes back with it when it can read.
    if (this.unsafeReply(SUBSCRIBED, Filter.toFields(this.filter))) this.membership?.unsafeSetFilter(this.filter)
    else this.unsafeEnd(CloseCodes.TRY_AGAIN_LATER, "too slow to change its filter")
  }

  private understood<A>(decoded: Either.Either<A, ParseResult.ParseError>, then: (message: A) => void): void {
    if (Either.isRight(decoded)) {
      then(decoded.right)
      return
    }
    const issue = ParseResult.ArrayFormatter.formatErrorSync(decoded.left)[0]
    this.strike("malformed message", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`)
  }

  private strike(reason: string, detail: string): void {
    const now = unsafeMonotonicMillis(this.around.clock)
    this.strikes = (this.strikes ?? []).filter((at) => at > now - STRIKE_WINDOW)
    this.strikes.push(now)
    this.unsafeReply(ERROR, { reason, detail })
    if (this.strikes.length >= STRIKES) this.violation("malformed_messages", "too many malformed messages")
  }

  private violation(why: Metrics.RefusalReason, reason: string): void {
    if (!this.unsafeEnd(CloseCodes.POLICY_VIOLATION, reason)) return
    this.around.unsafeRefused(why, `${reason} from ${this.admission.principal.name}`, this.socket.remoteAddress)
  }
}
