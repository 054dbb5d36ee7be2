/**
 * A screen that shows the truth, becomes true again by itself after it was away, and says so while it is not.
 *
 * For browsers and Node; no dependencies.
 *
 * @since 0.1.0
 */
import { FORBIDDEN, NORMAL, reconnectAction } from "../stratix-core/close-codes.js"
import * as Types from "../stratix-core/event-types.js"
import type { StratixStateSyncEvent } from "../stratix-core/stratix-protocol.js"
import { makeBackOff } from "./BackOff.js"
import { type Environment, platform, type WebSocketConstructor, type WebSocketLike } from "./Environment.js"
import { type EventBuffer, type EventSource, makeEventSource } from "./EventBuffer.js"
import { type Filter, toQuery } from "./Filter.js"
import { makeFollower } from "./Follower.js"
import { CATCHING_UP, type Closed, type Freshness, LIVE } from "./Freshness.js"
import { type Handlers, makeHandlers, type Unsubscribe } from "./Handlers.js"
import { type Link, makeLink, protocolsFor } from "./Link.js"
import { examine, staleAfter } from "./Liveness.js"
import { isOfType, isWellFormed, type Message, messagesIn, type PayloadOf, type Payloads } from "./Message.js"
import { reportToPlatform, StatusClientError } from "./StatusClientError.js"
import type { StatusState } from "./StatusState.js"

export type { Environment, WebSocketConstructor, WebSocketLike } from "./Environment.js"
export type { EventBuffer } from "./EventBuffer.js"
export type { Filter } from "./Filter.js"
export type { Closed, ClosedReason, Freshness } from "./Freshness.js"
export type { Unsubscribe } from "./Handlers.js"
export { isOfType, type Message, type PayloadOf, type Payloads } from "./Message.js"
export { StatusClientError } from "./StatusClientError.js"
export type { StatusState } from "./StatusState.js"

/** An event of the log. `offset` is there unless the connection is a plain one.
 * @since 0.1.0
 * @category models */
export type StatusEvent = Message<StratixStateSyncEvent["eventType"]>

/** How to connect. Everything has a default.
 * @since 0.1.0
 * @category models */
export interface StatusClientOptions {
  /** Which events; all of them by default. Ids and names of 1 to 256 characters. */
  readonly filter?: Filter
  /** A bearer token, or where to get one: asked before every attempt, with `refused` once the gateway refused the last one (4401).
   * It travels as a subprotocol, so it is made of letters, digits and ``!#$%&'*+-.^_`|~`` (every JWT is). */
  readonly token?: string | ((refused: boolean) => string | Promise<string>)
  /** The platform's by default. Node before 22 has none: give the one of `ws`. */
  readonly WebSocket?: WebSocketConstructor
  /** `plain` for a gateway without `stratix.sync.v1`: no offsets, no resume, no word when a catch-up is complete. `sync` by default. */
  readonly mode?: "sync" | "plain"
  /** Longest first pause before coming back; doubles with every attempt that fails. 1,000 ms. */
  readonly backoffBaseMs?: number
  /** Longest pause ever, the gateway's own wish aside. 30,000 ms. */
  readonly backoffCapMs?: number
  /** How long a connection may take until the welcome, and a probe until any sign of life. 10,000 ms. */
  readonly connectTimeoutMs?: number
  /** Finished commands kept in `state`; the oldest leaves above it. 10,000, as the gateway keeps by default. */
  readonly maxFinishedCommands?: number
  /** Hears what went wrong without ending the client; by default the page's `error` event, in Node the process's `warning` event. */
  readonly onError?: (error: StatusClientError) => void
  /** Time, chance and wake-up signs; the platform's by default. */
  readonly environment?: Partial<Environment>
}

/** A client. Handlers are called in the order in which they were added; one that throws is reported to `onError` and stops nothing.
 * @since 0.1.0
 * @category models */
export interface StatusClient extends AsyncIterable<StatusEvent> {
  /** The newest event of each agent, command and agent info. While a snapshot arrives it stays what it was, and is replaced at once when the
   * snapshot is complete. A value that was read never changes: read it when you draw, not for every event. */
  readonly state: StatusState
  /** How true `state` is at this moment. */
  readonly freshness: Freshness
  /** Calls back for every message of a type, the gateway's own (`stratix:sync`, …) included, and for each event in a `stratix:events`, not for
   * that itself. `state` knows of the event already, unless a snapshot is arriving. */
  readonly on: <T extends keyof Payloads | (string & Record<never, never>)>(
    eventType: T,
    handler: (payload: PayloadOf<T>, message: Message<T>) => unknown
  ) => Unsubscribe
  /** Calls back for every event of the log, whatever its type. */
  readonly onEvent: (handler: (event: StatusEvent) => unknown) => Unsubscribe
  /** Calls back after `state` has changed: once for all events that came in one message. */
  readonly onState: (handler: () => unknown) => Unsubscribe
  /** Calls back after `freshness` has changed. */
  readonly onFreshness: (handler: (freshness: Freshness) => unknown) => Unsubscribe
  /** Every event of the log from now on; ends when the client is closed. Above `capacity` untaken events (1,024 by default) the oldest
   * is dropped and counted; `state` misses nothing. Iterating over the client itself is the same. */
  readonly events: (capacity?: number) => EventBuffer<StatusEvent>
  /** Asks for other events from now on, also after reconnects. `state` is replaced when the snapshot for the new filter is complete.
   * Throws a `URIError` for text that has no percent-encoding. */
  readonly subscribe: (filter: Filter) => void
  /** Ends the connection and everything that belongs to it. `state` stays readable. */
  readonly close: () => void
}

const CAPACITY = 1024

/** Connects to a gateway and stays connected until it is closed.
 *
 * Throws only what is wrong from the start: a `TypeError` for an address that is none or a platform without WebSocket, a `URIError` for a filter that cannot be encoded.
 *
 * @example
 * ```ts
 * const client = connect("ws://localhost:3001/")
 * client.onState(() => draw(client.state.agents))
 * client.onFreshness(({ _tag }) => showBadge(_tag))
 * ```
 *
 * @since 0.1.0
 * @category constructors */
export const connect = (url: string | URL, options: StatusClientOptions = {}): StatusClient => {
  const { filter = {}, token, mode, onError = reportToPlatform } = options
  const {
    backoffBaseMs = 1000,
    backoffCapMs = 30_000,
    connectTimeoutMs = 10_000,
    maxFinishedCommands = 10_000
  } = options
  const { now, onWake, random, setTimer } = { ...platform, ...options.environment }
  const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket
  if (typeof WebSocket !== "function") throw new TypeError("there is no WebSocket here: give one in the options")
  const address = new URL(url, typeof location === "undefined" ? undefined : location.href)
  address.protocol = address.protocol.replace("http", "ws")
  address.hash = ""
  toQuery(filter)

  const report = (reason: StatusClientError["reason"], cause: unknown): void => {
    try {
      onError(new StatusClientError(reason, cause))
    } catch {
      // Whoever reports errors has nobody to report to.
    }
  }
  const failed = (cause: unknown) => report("HandlerFailed", cause)
  const byType = new Map<string, Handlers<Message>>()
  const onEvent = makeHandlers<StatusEvent>(failed)
  const onState = makeHandlers<void>(failed)
  const onFreshness = makeHandlers<Freshness>(failed)
  // Bound: one for each iterator that has not ended.
  const sources = new Set<EventSource<StatusEvent>>()

  const follower = makeFollower(filter, maxFinishedCommands)
  let link: Link | undefined
  let closed: Closed | undefined
  let heardAt = now()
  /** The last moment the gateway was heard while nothing was missing. */
  let trueAt = heardAt
  const backOff = makeBackOff(backoffBaseMs, backoffCapMs, random)
  let refused = false
  /** The gateway asked not to come back before this moment. */
  let notBefore = 0
  let cancelTimer: Unsubscribe = () => undefined
  let current: Freshness = CATCHING_UP
  let announced = current
  let announcing = false

  const arm = (millis: number, task: () => void) => {
    cancelTimer()
    cancelTimer = setTimer(task, Math.max(0, millis))
  }

  const settle = () => {
    let next: Freshness
    if (closed !== undefined) next = closed
    else if (link?.welcomedAt === undefined) {
      const attempt = backOff.attempt()
      next = attempt === 0 ? CATCHING_UP : { _tag: "reconnecting", since: trueAt, attempt }
    } else if (now() - heardAt >= staleAfter(link)) next = { _tag: "stale", since: trueAt }
    else next = follower.isCaughtUp() ? LIVE : CATCHING_UP
    if (next === LIVE) trueAt = heardAt
    if (current !== next && JSON.stringify(current) !== JSON.stringify(next)) current = next
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
      if (of?.socket !== undefined) task(of.socket)
    } catch (cause) {
      report("SocketFailed", cause)
    }
  }
  const send = (message: object) => onSocket((socket) => socket.send(JSON.stringify(message)))
  const ping = (to: Link) => {
    to.pinged = true
    send({ type: "ping" })
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
    if (closed !== undefined) return
    closed = { _tag: "closed", reason, detail, ...(code !== undefined && { code }) }
    abandon(NORMAL)
    stopWaking()
    update()
    for (const source of sources) source.end()
    sources.clear()
  }

  const comeBack = () => {
    const old = abandon()
    const time = now()
    const asked = old?.retryAfter ?? 0
    notBefore = time + asked
    arm(asked + backOff.next(old?.welcomedAt === undefined ? 0 : time - old.welcomedAt), open)
    update()
  }

  const onClose = (code: number, detail: string, clean: boolean) => {
    // A close frame is a sign of life.
    if (clean && link?.welcomedAt !== undefined) heardAt = now()
    settle()
    const action = reconnectAction(code)
    refused = action === "token"
    if (refused && typeof token !== "function") end("unauthorized", detail, code)
    else if (action === "stop")
      end(code === NORMAL ? "ended" : code === FORBIDDEN ? "forbidden" : "rejected", detail, code)
    else comeBack()
  }

  /** Looks at how much time has passed, not at how often a timer ran: background tabs are throttled and machines are suspended. */
  const check = (): void => {
    if (link === undefined) return
    const time = now()
    if (link.welcomedAt === undefined) {
      const rest = link.openedAt + connectTimeoutMs - time
      // The clock may have been set back.
      if (rest <= 0 || rest > connectTimeoutMs) comeBack()
      else arm(rest, check)
      return
    }
    if (heardAt > time) heardAt = time
    const verdict = examine(link, heardAt, time, connectTimeoutMs)
    if (verdict.isLost) {
      comeBack()
      return
    }
    if (verdict.needsPing) ping(link)
    arm(verdict.wait, check)
    update()
  }

  const wake = () => {
    check()
    if (closed !== undefined) return
    if (link === undefined) {
      const rest = notBefore - now()
      if (rest > 0) arm(rest, open)
      else open()
    } else if (link.answers && link.probedAt === undefined) {
      link.probedAt = now()
      ping(link)
      check()
    }
  }

  /** What a message means for the client itself; whether the state has changed. */
  const follow = (to: Link, message: Message): boolean => {
    if (isOfType(message, Types.CONNECTED)) {
      const { heartbeat } = message.payload
      refused = false
      to.welcomedAt = heardAt
      to.plain = to.socket?.protocol !== Types.SYNC_PROTOCOL
      to.answers = !to.plain
      if (heartbeat !== undefined) {
        to.interval = heartbeat.intervalMs
        to.timeout = heartbeat.timeoutMs
      }
      const changed = follower.welcome(to.plain)
      const unsent = follower.unsent()
      if (unsent !== undefined) send({ type: "subscribe", ...unsent })
      arm(to.interval, check)
      return changed
    }
    if (isOfType(message, Types.SYNC)) return follower.sync(message.payload)
    if (isOfType(message, Types.HEARTBEAT)) to.answers = true
    else if (isOfType(message, Types.SUBSCRIBED)) follower.subscribed()
    else if (isOfType(message, Types.CLOSING)) to.retryAfter = message.payload.retryAfterMs
    else if (isOfType(message, Types.ERROR)) {
      report("ServerError", `${message.payload.reason}: ${message.payload.detail}`)
      return follower.rejected()
    }
    return false
  }

  /** One message; whether the state has changed. */
  const handle = (to: Link, message: Message | undefined, data: unknown): boolean => {
    const wellFormed = message !== undefined && isWellFormed(message)
    if (!wellFormed) report("MalformedFrame", data)
    if (message === undefined) return false
    // Every event of a sync connection has its offset; what has none is no event of the log.
    const isEvent = (to.plain || message.offset !== undefined) && !Types.CONTROL_TYPES.has(message.eventType)
    const changed = isEvent ? follower.event(message, wellFormed) : wellFormed && follow(to, message)
    if (wellFormed) {
      byType.get(message.eventType)?.call(message)
      if (isEvent) {
        onEvent.call(message)
        for (const source of sources) source.push(message)
      }
    }
    return changed
  }

  const receive = (to: Link, data: unknown) => {
    // What comes in after so long a silence may be from before it: this machine was suspended.
    if (to.welcomedAt !== undefined && to.answers && now() - heardAt >= to.timeout) return comeBack()
    heardAt = now()
    to.pinged = false
    to.probedAt = undefined
    let changed = false
    for (const message of messagesIn(data)) {
      // A handler has ended the connection: what it does not know of it must not hear of any more.
      if (link !== to) break
      changed = handle(to, message, data) || changed
    }
    if (changed) onState.call()
    update()
  }

  const dial = (to: Link, bearer: string | undefined) => {
    try {
      const query = follower.open()
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
    const made = makeLink(now())
    link = made
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
    if (closed === undefined) sources.add(source)
    else source.end()
    return source.buffer
  }

  return {
    get state() {
      return follower.state()
    },
    get freshness() {
      settle()
      // Told in a later turn: whoever looks does not expect to be called back.
      if (announced !== current) arm(0, check)
      return current
    },
    on: (eventType, handler) => {
      const found = byType.get(eventType) ?? makeHandlers<Message>(failed)
      byType.set(eventType, found)
      return found.add((message) => (isOfType(message, eventType) ? handler(message.payload, message) : undefined))
    },
    onEvent: onEvent.add,
    onState: onState.add,
    onFreshness: onFreshness.add,
    events,
    [Symbol.asyncIterator]: () => events(),
    subscribe: (wanted) => {
      toQuery(wanted)
      if (closed !== undefined) return
      const sent = link?.welcomedAt !== undefined && !link.plain
      follower.want(wanted, sent)
      if (sent) send({ type: "subscribe", ...wanted })
      else if (link !== undefined) {
        // A plain server sends no snapshot for a new filter; and one that has not answered yet is asked anew.
        abandon(NORMAL)
        open()
      }
      update()
    },
    close: () => end("asked", "")
  }
}
