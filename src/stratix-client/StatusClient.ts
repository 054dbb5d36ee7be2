/**
 * A screen that shows the truth, becomes true again by itself after it was away, and says so while it is not.
 *
 * For browsers and Node; no dependencies.
 *
 * @since 0.1.0
 */
import { FORBIDDEN, NORMAL, reconnectAction } from "../stratix-core/close-codes.js"
import * as Types from "../stratix-core/event-types.js"
import { makeBackOff } from "./connection/BackOff.js"
import { type Link, makeLink, protocolsFor } from "./connection/Link.js"
import { examine, staleAfter } from "./connection/Liveness.js"
import { platform, type WebSocketConstructor, type WebSocketLike } from "./Environment.js"
import { type EventSource, makeEventSource } from "./EventBuffer.js"
import { toQuery } from "./Filter.js"
import { makeFollower } from "./Follower.js"
import type { Closed, Freshness } from "./freshness/Freshness.js"
import { makeFreshnessMeter } from "./freshness/FreshnessMeter.js"
import { makeHandlers, type Unsubscribe } from "./Handlers.js"
import { isOfType, isWellFormed, type Message, messagesIn, parse } from "./Message.js"
import { makeStateChanges } from "./StateChanges.js"
import type { StatusClient, StatusClientOptions, StatusEvent } from "./StatusClientApi.js"
import { reportToPlatform, StatusClientError } from "./StatusClientError.js"

export type { Environment, WebSocketConstructor, WebSocketLike } from "./Environment.js"
export type { EventBuffer } from "./EventBuffer.js"
export type { Filter } from "./Filter.js"
export type { Closed, ClosedReason, Freshness } from "./freshness/Freshness.js"
export type { Unsubscribe } from "./Handlers.js"
export { isOfType, type Message, type PayloadOf, type Payloads } from "./Message.js"
export type { StatusClient, StatusClientOptions, StatusEvent } from "./StatusClientApi.js"
export { StatusClientError } from "./StatusClientError.js"
export type { StatusState } from "./StatusState.js"

const CAPACITY = 1024

/** Milliseconds: a lag is told in whole ones of these. */
const LAG_STEP = 1000

/** How often the gateway is told how far the screen is, in milliseconds. Each answer also measures how far the clocks are apart. */
const REPORT_INTERVAL = 10_000

/** Connects to a gateway and stays connected until it is closed.
 *
 * Throws only what is wrong from the start: a `TypeError` for an address that is none or a platform without WebSocket, a `URIError` for a filter that cannot be encoded.
 *
 * @example
 * ```ts
 * const client = connect("ws://localhost:3001/")
 * client.onState((keys) => draw(client.state, keys))
 * client.onFreshness(({ _tag }) => showBadge(_tag))
 * ```
 *
 * @since 0.1.0
 * @category constructors */
export const connect = (url: string | URL, options: StatusClientOptions = {}): StatusClient => {
  const { filter = {}, maxSilenceMs, mode, onError = reportToPlatform, stateIntervalMs, token } = options
  const { backoffBaseMs = 1000, backoffCapMs = 30_000, connectTimeoutMs = 10_000, maxLagMs = 2000 } = options
  const { monotonic, now, onFrame, onWake, random, setTimer } = { ...platform, ...options.environment }
  const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket
  if (!WebSocket) throw new TypeError("there is no WebSocket here")
  const address = new URL(url, globalThis.location?.href)
  address.protocol = address.protocol.replace("http", "ws")
  address.hash = ""
  toQuery(filter)

  const report = (reason: StatusClientError["reason"], cause: unknown): void => {
    try {
      onError(new StatusClientError(reason, cause))
    } catch {
      // An error of the handler of errors has no one left to go to.
    }
  }
  const failed = report.bind(null, "HandlerFailed")
  const onMessage = makeHandlers<Message>(failed)
  const onEvent = makeHandlers<StatusEvent>(failed)
  const onState = makeHandlers<ReadonlySet<string>>(failed)
  const onFreshness = makeHandlers<Freshness>(failed)
  // Bound: one for each iterator that has not ended.
  const sources = new Set<EventSource<StatusEvent>>()

  const changes = makeStateChanges(
    stateIntervalMs === undefined ? onFrame : (task) => setTimer(task, stateIntervalMs),
    onState.call
  )
  const follower = makeFollower(filter, changes.add)
  const makeMeter = () => makeFreshnessMeter(now, monotonic, maxLagMs)
  let meter = makeMeter()
  const backOff = makeBackOff(backoffBaseMs, backoffCapMs, random)
  let link: Link | undefined
  let closed: Closed | undefined
  /** The last moment the gateway was heard while nothing was missing. */
  let trueAt = now()
  let wasConnected = false
  /** The log of the last connection. */
  let knownEpoch: string | undefined
  /** Another log than before, and no event of it came yet. */
  let restarted = false
  let refused = false
  /** The gateway asked not to come back before this moment. */
  let notBefore = 0
  let nextAttemptAt: number | undefined
  let cancelTimer: Unsubscribe = () => undefined
  let current: Freshness = { _tag: "connecting", since: trueAt, attempt: 0 }
  let announced: Freshness = current
  let announcing = false

  const arm = (millis: number, task: () => void) => {
    cancelTimer()
    cancelTimer = setTimer(task, Math.max(0, millis))
  }

  const silenceOf = (of: Link) => maxSilenceMs ?? staleAfter(of)
  /** Whether what is heard may be from before this machine was suspended. A plain gateway need not repeat what it is asked with. */
  const isDoubtful = (of: Link) => !of.plain && meter.isDoubtful()

  const judge = (): Freshness => {
    if (closed) return closed
    if (link?.welcomedAt === undefined) {
      const attempt = backOff.attempt()
      // For another filter a connection may be made anew.
      return wasConnected && attempt === 0
        ? { _tag: "catching-up" }
        : { _tag: wasConnected ? "reconnecting" : "connecting", since: trueAt, attempt }
    }
    if (isDoubtful(link) || meter.silence() >= silenceOf(link)) return { _tag: "stale", since: trueAt }
    if (!follower.isCaughtUp()) return { _tag: "catching-up" }
    if (restarted) return { _tag: "restarted" }
    const ms = meter.lag()
    if (ms > maxLagMs) return { _tag: "behind", ms: Math.round(ms / LAG_STEP) * LAG_STEP }
    trueAt = now() - meter.silence()
    return follower.isEmpty() ? { _tag: "live", empty: true } : { _tag: "live" }
  }
  const settle = () => {
    const next = judge()
    if (JSON.stringify(current) !== JSON.stringify(next)) current = next
  }
  const update = () => {
    settle()
    // A handler may change it again: that is told after everybody has heard of this, so that the last word is the newest.
    if (announcing) return
    announcing = true
    while (announced !== current) {
      announced = current
      onFreshness.call(current)
    }
    announcing = false
  }

  const onSocket = (task: (socket: WebSocketLike) => void, of = link) => {
    try {
      if (of?.socket) task(of.socket)
    } catch (cause) {
      report("SocketFailed", cause)
    }
  }
  const send = (message: object) => onSocket((socket) => socket.send(JSON.stringify(message)))
  const ping = (to: Link) => {
    to.pingedAt = monotonic()
    send({ type: "ping", at: to.pingedAt, cursor: follower.processed() })
  }
  const probe = (to: Link) => {
    to.probedAt = monotonic()
    ping(to)
  }

  /** Lets go of the connection without waiting for it: a dead one takes minutes to close. */
  const abandon = (code?: number): Link | undefined => {
    const old = link
    link = undefined
    cancelTimer()
    onSocket((socket) => socket.close(code), old)
    return old
  }

  const end = (reason: Closed["reason"], detail: string, code?: number) => {
    if (closed) return
    closed = { _tag: "closed", reason, detail, ...(code !== undefined && { code }) }
    abandon(NORMAL)
    nextAttemptAt = undefined
    stopWaking()
    if (reason === "asked") changes.cancel()
    update()
    for (const source of sources) source.end()
    sources.clear()
  }

  const wait = (millis: number) => {
    nextAttemptAt = now() + millis
    arm(millis, open)
  }
  const comeBack = () => {
    const old = abandon()
    const time = monotonic()
    const asked = old?.retryAfter ?? 0
    notBefore = time + asked
    wait(asked + backOff.next(old?.welcomedAt === undefined ? 0 : time - old.welcomedAt))
    update()
  }

  const onClose = (code: number, detail: string, clean: boolean) => {
    // A close frame is a sign of life.
    if (clean && link?.welcomedAt !== undefined) meter.heard()
    settle()
    const action = reconnectAction(code)
    refused = action === "token"
    if (refused && typeof token !== "function") end("unauthorized", detail, code)
    else if (action === "stop")
      end(code === NORMAL ? "ended" : code === FORBIDDEN ? "forbidden" : "rejected", detail, code)
    else comeBack()
  }

  const check = (): void => {
    if (!link) return
    const time = monotonic()
    if (link.welcomedAt === undefined) {
      const rest = link.openedAt + connectTimeoutMs - time
      if (rest <= 0) comeBack()
      else arm(rest, check)
      return
    }
    if (isDoubtful(link) && link.probedAt === undefined) probe(link)
    const { needsPing, wait } = examine(link, meter.heardAt(), time, silenceOf(link), connectTimeoutMs)
    if (wait === undefined) return comeBack()
    if (needsPing) ping(link)
    arm(wait, check)
    update()
  }

  const wake = () => {
    check()
    if (closed) return
    if (!link) {
      const rest = notBefore - monotonic()
      if (rest > 0) wait(rest)
      else open()
    } else if (link.answers && link.probedAt === undefined) {
      probe(link)
      check()
    }
  }

  /** What a message means for the client itself. */
  const follow = (to: Link, message: Message) => {
    if (isOfType(message, Types.CONNECTED)) {
      const { epoch, heartbeat } = message.payload
      refused = false
      wasConnected = true
      to.welcomedAt = monotonic()
      to.plain = to.socket?.protocol !== Types.SYNC_PROTOCOL
      to.answers = !to.plain
      if (knownEpoch && epoch !== knownEpoch) restarted = true
      knownEpoch = epoch
      if (heartbeat) {
        to.heartbeat = heartbeat
      }
      // Its gateway may have another clock.
      meter = makeMeter()
      meter.answered(to.dialedAt, message.sentAt)
      follower.welcome(to.plain)
      const unsent = follower.unsent()
      if (unsent) send({ type: "subscribe", ...unsent })
      arm(Math.min(to.heartbeat.intervalMs, silenceOf(to)), check)
    } else if (isOfType(message, Types.SYNC)) follower.sync(message.payload)
    else if (isOfType(message, Types.HEARTBEAT)) {
      const { at, head } = message.payload
      to.answers = true
      follower.heartbeat(head)
      if (at !== undefined) meter.answered(at, message.sentAt)
    } else if (isOfType(message, Types.SUBSCRIBED)) follower.subscribed()
    else if (isOfType(message, Types.CLOSING)) to.retryAfter = message.payload.retryAfterMs
    else if (isOfType(message, Types.ERROR)) {
      report("ServerError", `${message.payload.reason}: ${message.payload.detail}`)
      follower.rejected()
    }
  }

  const take = (to: Link, message: Message | undefined, data: unknown) => {
    const wellFormed = !!message && isWellFormed(message)
    if (!wellFormed) report("MalformedFrame", data)
    if (!message) return
    // Every event of a sync connection has its offset; what has none is no event of the log.
    const isEvent = (to.plain || message.offset !== undefined) && !Types.CONTROL_TYPES.has(message.eventType)
    if (isEvent) {
      restarted = false
      follower.event(message, wellFormed)
    } else if (wellFormed) follow(to, message)
    if (!wellFormed) return
    onMessage.call(message)
    if (!isEvent) return
    onEvent.call(message)
    for (const source of sources) source.push(message)
  }

  const receive = (to: Link, data: unknown) => {
    // What comes in after so long a silence may be from before it: this machine was suspended.
    if (to.welcomedAt !== undefined && to.answers && monotonic() - meter.heardAt() >= to.heartbeat.timeoutMs)
      return comeBack()
    const frame = parse(data)
    meter.heard(frame?.sentAt)
    for (const message of messagesIn(frame)) {
      // A handler may have ended the connection: what the client does not hear any more it must not tell.
      if (link !== to) return
      take(to, message, data)
    }
    if (link !== to) return
    if (isDoubtful(to)) {
      if (to.probedAt === undefined) probe(to)
    } else {
      to.probedAt = undefined
      const pause = meter.lag() > maxLagMs ? maxLagMs : REPORT_INTERVAL
      if (!to.plain && monotonic() - to.pingedAt >= pause) ping(to)
    }
    update()
  }

  const dial = (to: Link, bearer: string | undefined) => {
    try {
      const query = follower.open()
      to.dialedAt = monotonic()
      const socket = new WebSocket(`${address}${address.search ? "&" : "?"}${query}`, protocolsFor(mode, bearer))
      to.socket = socket
      socket.addEventListener("message", ({ data }) => {
        if (link === to) receive(to, data)
      })
      socket.addEventListener("close", ({ code, reason, wasClean }) => {
        if (link === to) onClose(code, reason, wasClean)
      })
      // A close follows; without a listener `ws` would throw.
      socket.addEventListener("error", () => undefined)
    } catch (cause) {
      report("SocketFailed", cause)
      end("failed", String(cause))
    }
  }

  const open = () => {
    const made = makeLink(monotonic())
    link = made
    nextAttemptAt = undefined
    arm(connectTimeoutMs, check)
    if (typeof token !== "function") return dial(made, token)
    // The function is asked in a later turn, so that one that throws or closes the client finds everything in order.
    Promise.resolve(refused)
      .then(token)
      .then(
        (bearer) => {
          if (link === made) dial(made, bearer)
        },
        (cause) => {
          report("TokenFailed", cause)
          if (link === made) comeBack()
        }
      )
  }

  const stopWaking = onWake(wake)
  open()

  const events = (capacity = CAPACITY) => {
    const source = makeEventSource<StatusEvent>(capacity, () => sources.delete(source))
    if (closed) source.end()
    else sources.add(source)
    return source.buffer
  }

  return {
    get state() {
      return follower.state()
    },
    get freshness() {
      settle()
      // Told in a later turn: who looks does not expect to be called back.
      if (announced !== current) arm(0, check)
      return current
    },
    get nextAttemptAt() {
      return nextAttemptAt
    },
    on: (eventType, handler) =>
      onMessage.add((message) => (isOfType(message, eventType) ? handler(message.payload, message) : undefined)),
    onEvent: onEvent.add,
    onState: onState.add,
    onFreshness: onFreshness.add,
    events,
    [Symbol.asyncIterator]: () => events(),
    subscribe: (wanted) => {
      toQuery(wanted)
      if (closed) return
      const sent = link?.welcomedAt !== undefined && !link.plain
      follower.want(wanted, sent)
      if (sent) send({ type: "subscribe", ...wanted })
      else if (link) {
        // A plain server sends no snapshot for a new filter; and one that has not answered yet is asked anew.
        abandon(NORMAL)
        open()
      }
      update()
    },
    retryNow: wake,
    close: () => end("asked", "")
  }
}
