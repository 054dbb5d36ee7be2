/**
 * A screen that shows the truth, becomes true again by itself after it was away, and says so while it is not.
 *
 * For browsers and Node; no dependencies.
 *
 * @since 0.1.0
 */
import * as Types from "../stratix-core/event-types.js"
import { makeBackOff } from "./connection/BackOff.js"
import { makeConnector } from "./connection/Connector.js"
import type { Link } from "./connection/Link.js"
import { type Fetch, platform, type WebSocketConstructor } from "./Environment.js"
import { type EventSource, makeEventSource } from "./EventBuffer.js"
import { toQuery } from "./Filter.js"
import { makeFollower } from "./Follower.js"
import type { Closed, Freshness } from "./freshness/Freshness.js"
import { makeFreshnessMeter } from "./freshness/FreshnessMeter.js"
import { makeHandlers } from "./Handlers.js"
import { isOfType, isWellFormed, type Message, messagesIn, parse } from "./Message.js"
import { makeStateChanges } from "./StateChanges.js"
import type { StatusClient, StatusClientOptions, StatusEvent } from "./StatusClientApi.js"
import { reportToPlatform, StatusClientError } from "./StatusClientError.js"

export type { EventReference } from "../stratix-core/event-types.js"
export type { Environment, Fetch, WebSocketConstructor, WebSocketLike } from "./Environment.js"
export type { EventBuffer } from "./EventBuffer.js"
export type { Filter } from "./Filter.js"
export type { Closed, ClosedReason, Freshness } from "./freshness/Freshness.js"
export type { Unsubscribe } from "./Handlers.js"
export { isOfType, type Message, type PayloadOf, type Payloads } from "./Message.js"
export type { On, StatusClient, StatusClientOptions, StatusEvent, Transport } from "./StatusClientApi.js"
export { StatusClientError } from "./StatusClientError.js"
export type { StatusState } from "./StatusState.js"

const CAPACITY = 1024

/** Milliseconds: a lag is told in whole ones of these. */
const LAG_STEP = 1000

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
  const {
    backoffBaseMs = 1000,
    backoffCapMs = 30_000,
    filter = {},
    maxLagMs = 2000,
    onError = reportToPlatform,
    stateIntervalMs
  } = options
  const environment = { ...platform, ...options.environment }
  const { monotonic, now } = environment
  const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket
  const fetch: Fetch | undefined = options.mode === "plain" ? undefined : (options.fetch ?? globalThis.fetch)
  if (!(WebSocket || (fetch && options.transport !== "websocket"))) throw new TypeError("no WebSocket here")
  const address = new URL(url, globalThis.location?.href)
  address.hash = ""
  const stream = new URL(options.streamUrl ?? "api/stratix/stream", address)
  stream.search ||= address.search
  stream.protocol = stream.protocol.replace("ws", "http")
  address.protocol = address.protocol.replace("http", "ws")
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
    stateIntervalMs === undefined ? environment.onFrame : (task) => environment.setTimer(task, stateIntervalMs),
    onState.call
  )
  const follower = makeFollower(filter, changes)
  const backOff = makeBackOff(backoffBaseMs, backoffCapMs, environment.random)
  const meter = makeFreshnessMeter(now, monotonic, maxLagMs)
  let closed: Closed | undefined
  /** The last moment the gateway was heard while nothing was missing. */
  let trueAt = now()
  let wasConnected = false
  /** The log of the last connection. */
  let knownEpoch: string | undefined
  /** Another log than before, and no event of it came yet. */
  let restarted = false
  let announcing = false
  /** How long ago the gateway last had contact with its log, in milliseconds. */
  let logAge = 0

  const judge = (): Freshness => {
    if (closed) return closed
    const link = connector.link()
    if (link?.welcomedAt === undefined) {
      const attempt = backOff.attempt()
      // For another filter a connection may be made anew.
      return wasConnected && !attempt
        ? { _tag: "catching-up" }
        : { _tag: wasConnected ? "reconnecting" : "connecting", since: trueAt, attempt }
    }
    if (connector.isStale(link)) return { _tag: "stale", since: trueAt }
    if (!follower.isCaughtUp()) return { _tag: "catching-up" }
    if (restarted) return { _tag: "restarted" }
    if (logAge > maxLagMs) return { _tag: "cut-off", since: trueAt }
    const ms = meter.lag()
    if (ms > maxLagMs) return { _tag: "behind", ms: Math.round(ms / LAG_STEP) * LAG_STEP }
    trueAt = now() - meter.silence()
    return { _tag: "live", ...(follower.isEmpty() && { empty: true }) }
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

  const end = (reason: Closed["reason"], detail: string, code?: number) => {
    if (closed) return
    closed = { _tag: "closed", reason, detail, code }
    connector.stop()
    if (reason === "asked") changes.cancel()
    update()
    for (const source of sources) source.end()
    sources.clear()
  }

  /** What a message of the gateway's own means for the client. Returns whether it is one. */
  const follow = (link: Link, message: Message): boolean => {
    if (isOfType(message, Types.CONNECTED)) {
      const { epoch, heartbeat } = message.payload
      wasConnected = true
      link.welcomedAt = monotonic()
      link.plain = link.carrier?.protocol !== Types.SYNC_PROTOCOL
      logAge = message.payload.staleMs ?? 0
      link.answers = !link.plain
      if (heartbeat) link.heartbeat = heartbeat
      if (knownEpoch && epoch !== knownEpoch) restarted = true
      knownEpoch = epoch
      const unsent = follower.welcome(link.plain)
      if (unsent) connector.send({ type: "subscribe", ...unsent })
      meter.begin()
      meter.answered(link.dialedAt, message.sentAt)
      connector.checkSoon()
    } else if (isOfType(message, Types.SYNC)) follower.sync(message.payload)
    else if (isOfType(message, Types.HEARTBEAT)) {
      const { at, head } = message.payload
      link.answers = true
      logAge = message.payload.staleMs ?? 0
      follower.heartbeat(head)
      if (at !== undefined) meter.answered(at, message.sentAt)
    } else if (isOfType(message, Types.SUBSCRIBED)) follower.subscribed()
    else if (isOfType(message, Types.CLOSING)) link.retryAfterMs = message.payload.retryAfterMs
    else if (isOfType(message, Types.ERROR)) {
      report("ServerError", `${message.payload.reason}: ${message.payload.detail}`)
      follower.rejected()
    } else return false
    return true
  }

  const take = (link: Link, message: Message | undefined, data: unknown) => {
    const wellFormed = !!message && isWellFormed(message)
    if (!wellFormed) report("MalformedFrame", data)
    if (!message) return
    // Every event of a sync connection has its offset; what has none is no event of the log.
    const isEvent = !(wellFormed && follow(link, message)) && (link.plain || message.offset !== undefined)
    if (isEvent) {
      restarted = false
      // What is published comes from the log; what a catch-up brings, the gateway may have known before.
      if (follower.isCaughtUp()) logAge = 0
      follower.event(message, wellFormed)
    }
    if (!wellFormed) return
    onMessage.call(message)
    if (!isEvent) return
    onEvent.call(message)
    for (const source of sources) source.push(message)
  }

  const connector = makeConnector(options, maxLagMs, environment, WebSocket, fetch, address, stream, backOff, meter, {
    query: follower.open,
    cursor: follower.processed,
    receive: (link, data, sentAt) => {
      const frame = parse(data)
      meter.heard(frame?.sentAt ?? sentAt)
      for (const message of messagesIn(frame)) {
        // A handler may have ended the connection: what the client does not hear any more it must not tell.
        if (connector.link() === link) take(link, message, data)
      }
    },
    settle,
    update,
    end,
    report
  })
  let current = judge()
  let announced = current
  connector.open()

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
      if (announced !== current) connector.checkSoon()
      return current
    },
    get transport() {
      return connector.transport()
    },
    get nextAttemptAt() {
      return connector.opensAt()
    },
    on: <T extends string, P>(
      event: T | Types.EventReference<T, P>,
      handler: (payload: P, message: Message<T, P>) => unknown
    ) => onMessage.add((message) => (isOfType<T, P>(message, event) ? handler(message.payload, message) : undefined)),
    onEvent: onEvent.add,
    onState: onState.add,
    onFreshness: onFreshness.add,
    events,
    [Symbol.asyncIterator]: () => events(),
    subscribe: (wanted) => {
      toQuery(wanted)
      if (closed) return
      const link = connector.link()
      const sent = link?.welcomedAt !== undefined && !link.plain && !link.isStream
      follower.want(wanted, sent)
      if (sent) connector.send({ type: "subscribe", ...wanted })
      // A plain server sends no snapshot for a new filter, a stream takes no message; and one that has not answered yet is asked anew.
      else if (link) connector.open()
      update()
    },
    retryNow: connector.wake,
    close: () => end("asked", "")
  }
}
