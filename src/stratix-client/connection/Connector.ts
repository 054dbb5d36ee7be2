/**
 * Keeps a connection to a gateway: one link at a time, a pause before the next one, and not for longer than it shows signs of life.
 *
 * It knows neither messages nor state. What a link means for those is told by what it calls.
 */
import { FORBIDDEN, NORMAL, reconnectAction } from "../../stratix-core/close-codes.js"
import type { Environment, Fetch, WebSocketConstructor, WebSocketLike } from "../Environment.js"
import { NOTHING } from "../Filter.js"
import type { Closed } from "../freshness/Freshness.js"
import type { FreshnessMeter } from "../freshness/FreshnessMeter.js"
import type { Unsubscribe } from "../Handlers.js"
import type { StatusClientOptions, Transport } from "../StatusClientApi.js"
import type { StatusClientError } from "../StatusClientError.js"
import type { BackOff } from "./BackOff.js"
import { openEventStream } from "./EventStream.js"
import { type Carrier, type Link, makeLink, protocolsFor } from "./Link.js"
import { examine, staleAfter } from "./Liveness.js"

/** Whom a connector asks and tells. */
export interface ConnectorOwner {
  /** What a new link asks for. */
  readonly query: (isStream: boolean) => string
  /** Up to where everything has been processed. */
  readonly cursor: () => string | undefined
  /** A frame came in. `sentAt` is for one that does not say itself when it was sent. */
  readonly receive: (link: Link, data: unknown, sentAt: number | undefined) => void
  /** The other side ended the link; what was known at that moment is still to be said. */
  readonly settle: () => void
  /** There is another link, or none any more; or it was looked at. */
  readonly update: () => void
  /** No link will follow. */
  readonly end: (reason: Closed["reason"], detail: string, code?: number) => void
  readonly report: (reason: StatusClientError["reason"], cause: unknown) => void
}

/** A connection that comes and goes. */
export interface Connector {
  readonly link: () => Link | undefined
  /** What carries the link, or the next one. */
  readonly transport: () => Transport
  /** When the next link is opened, in milliseconds since the epoch. */
  readonly opensAt: () => number | undefined
  /** Opens a link in place of the one there is. */
  readonly open: () => void
  /** Lets go of the link, and opens no other. */
  readonly stop: () => void
  /** Looks at the link in a later turn. */
  readonly checkSoon: () => void
  /** The network or the page may be back: does not wait, and asks for a sign of life. */
  readonly wake: () => void
  /** Whether what the link shows may not be the truth any more. */
  readonly isStale: (link: Link) => boolean
  readonly send: (message: object) => void
}

/** How often the gateway is told how far the screen is, in milliseconds. Each answer also measures how far the clocks are apart. */
const REPORT_INTERVAL = 10_000

/** How often a WebSocket is tried beside an event stream, in milliseconds: one small request, and a line in the console of a page where it fails. */
const SCOUT_INTERVAL = 300_000

/** Without a link. */
export const makeConnector = (
  { connectTimeoutMs: patience = 10_000, maxSilenceMs, mode, token, transport }: StatusClientOptions,
  maxLagMs: number,
  { monotonic, now, onWake, setTimer }: Environment,
  WebSocket: WebSocketConstructor | undefined,
  fetch: Fetch | undefined,
  address: URL,
  streamAddress: URL,
  backOff: BackOff,
  meter: FreshnessMeter,
  { cursor, end, query, receive, report, settle, update }: ConnectorOwner
): Connector => {
  let link: Link | undefined
  let stopped = false
  /** The gateway ended the last link because of its token. */
  let refused = false
  /** The gateway asked not to come back before this moment. */
  let notBefore = 0
  let opensAt: number | undefined
  let cancelTimer: Unsubscribe | undefined
  const isForced = !WebSocket || (transport === "event-stream" && fetch !== undefined)
  const mayFallBack = !isForced && fetch !== undefined && transport !== "websocket"
  let streams = isForced
  let cancelScout: Unsubscribe | undefined
  let scoutSocket: WebSocketLike | undefined

  const arm = (millis: number, task: () => void) => {
    cancelTimer?.()
    cancelTimer = setTimer(task, millis)
  }

  const onCarrier = (task: (carrier: Carrier) => void, of = link) => {
    try {
      if (of?.carrier) task(of.carrier)
    } catch (cause) {
      report("SocketFailed", cause)
    }
  }

  const letGo = (code?: number) => {
    const old = link
    link = undefined
    cancelTimer?.()
    cancelScout?.()
    scoutSocket?.close()
    onCarrier((carrier) => carrier.close(code), old)
  }

  const wait = (millis: number) => {
    opensAt = now() + millis
    arm(millis, open)
  }

  const comeBack = () => {
    if (mayFallBack && link?.carrier && link.welcomedAt === undefined) {
      // A gateway that is down takes neither: the next attempt begins with a WebSocket again.
      streams = !streams
      if (streams) return open()
    }
    const time = monotonic()
    const asked = link?.retryAfterMs ?? 0
    const lasted = time - (link?.welcomedAt ?? time)
    letGo()
    notBefore = time + asked
    wait(asked + backOff.next(lasted))
    update()
  }

  const send = (message: object) => onCarrier((carrier) => carrier.send(JSON.stringify(message)))
  const ping = (to: Link) => {
    to.pingedAt = monotonic()
    send({ type: "ping", at: to.pingedAt, cursor: cursor() })
  }
  const probe = (to: Link) => {
    if (to.probedAt !== undefined) return
    to.probedAt = monotonic()
    ping(to)
  }

  const silenceOf = (of: Link) => maxSilenceMs ?? staleAfter(of)
  /** Whether what is heard may be from before this machine was suspended. A plain gateway need not repeat what it is asked with. */
  const isDoubtful = (of: Link) => !of.plain && meter.isDoubtful()

  const look = (at: Link): number => {
    const time = monotonic()
    if (at.welcomedAt === undefined) return at.openedAt + patience - time
    if (isDoubtful(at)) probe(at)
    return examine(at, meter.heardAt(), time, silenceOf(at), patience, () => ping(at))
  }
  /** What a WebSocket's gateway would be asked, that of a stream answers with another stream: how far the clocks are apart, and whether what is
   * heard is from before this machine was suspended. */
  const mustRedial = (of: Link) =>
    of.isStream &&
    of.welcomedAt !== undefined &&
    (isDoubtful(of) || (meter.lag() > maxLagMs && monotonic() - of.dialedAt >= REPORT_INTERVAL))
  const redial = () => {
    open()
    update()
  }
  const check = (): void => {
    if (!link) return
    if (mustRedial(link)) return redial()
    const rest = look(link)
    if (rest <= 0) return comeBack()
    arm(rest, check)
    update()
  }

  const onClose = (code: number, detail: string, wasClean: boolean) => {
    // A close frame is a sign of life.
    if (wasClean) meter.heard()
    settle()
    const action = reconnectAction(code)
    refused = action === "token"
    if (refused && typeof token !== "function") end("unauthorized", detail, code)
    else if (action === "stop")
      end(code === NORMAL ? "ended" : code === FORBIDDEN ? "forbidden" : "rejected", detail, code)
    else comeBack()
  }

  const onFrame = (from: Link, data: unknown, sentAt?: number) => {
    // What comes in after so long a silence may be from before it: this machine was suspended.
    if (from.answers && monotonic() - meter.heardAt() >= from.heartbeat.timeoutMs) return comeBack()
    receive(from, data, sentAt)
    // A handler may have ended it.
    if (link !== from) return
    if (mustRedial(from)) return redial()
    if (isDoubtful(from)) probe(from)
    else {
      from.probedAt = undefined
      // Where the lag seems too large, perhaps only because the clocks are not known well, it is measured again.
      const pause = meter.lag() > maxLagMs ? maxLagMs : REPORT_INTERVAL
      if (!from.plain && monotonic() - from.pingedAt >= pause) ping(from)
    }
    update()
  }

  const openWebSocket = (
    query: string,
    bearer: string | undefined,
    onMessage: (data: unknown) => void,
    onEnd: typeof onClose
  ): WebSocketLike | undefined => {
    const socket =
      WebSocket && new WebSocket(`${address}${address.search ? "&" : "?"}${query}`, protocolsFor(mode, bearer))
    socket?.addEventListener("message", ({ data }) => onMessage(data))
    socket?.addEventListener("close", ({ code, reason, wasClean }) => onEnd(code, reason, wasClean))
    // A close follows; without a listener `ws` would throw.
    socket?.addEventListener("error", () => undefined)
    return socket
  }

  /** Tries now and then whether WebSockets get through again, beside the stream: the first word says so. */
  const scout = (bearer: string | undefined) => {
    cancelScout = setTimer(() => {
      scoutSocket?.close()
      const onWelcome = () => {
        if (!link?.isStream) return
        streams = false
        redial()
      }
      scoutSocket = openWebSocket(NOTHING, bearer, onWelcome, () => undefined)
      scout(bearer)
    }, SCOUT_INTERVAL)
  }

  const dial = (to: Link, bearer: string | undefined) => {
    try {
      to.dialedAt = monotonic()
      const wanted = query(to.isStream)
      const onMessage = (data: unknown, sentAt?: number) => {
        if (link === to) onFrame(to, data, sentAt)
      }
      const onEnd = (code: number, detail: string, wasClean = false) => {
        if (link === to) onClose(code, detail, wasClean)
      }
      if (to.isStream && fetch) {
        to.carrier = openEventStream(fetch, `${streamAddress}${streamAddress.search ? "&" : "?"}${wanted}`, bearer, {
          onMessage,
          onEnd,
          onRetryAfter: (millis) => {
            to.retryAfterMs = millis
          },
          onRefused: (detail) => report("ServerError", detail)
        })
        if (!isForced) scout(bearer)
      } else to.carrier = openWebSocket(wanted, bearer, onMessage, onEnd)
    } catch (cause) {
      report("SocketFailed", cause)
      end("failed", String(cause))
    }
  }

  const open = () => {
    letGo(NORMAL)
    const made = makeLink(monotonic(), streams)
    link = made
    opensAt = undefined
    arm(patience, check)
    if (typeof token !== "function") return dial(made, token)
    // The function is asked in a later turn, so that one that throws or closes the client finds everything in order.
    Promise.resolve(refused)
      .then(token)
      .then(
        (bearer) => {
          refused = false
          if (link === made) dial(made, bearer)
        },
        (cause) => {
          report("TokenFailed", cause)
          if (link === made) comeBack()
        }
      )
  }

  const wake = () => {
    check()
    if (stopped) return
    if (!link) {
      const rest = notBefore - monotonic()
      if (rest > 0) wait(rest)
      else open()
    } else if (link.answers) {
      probe(link)
      check()
    }
  }
  const stopWaking = onWake(wake)

  return {
    link: () => link,
    transport: () => (streams ? "event-stream" : "websocket"),
    opensAt: () => opensAt,
    open,
    stop: () => {
      stopped = true
      letGo(NORMAL)
      opensAt = undefined
      stopWaking()
    },
    checkSoon: () => arm(0, check),
    wake,
    isStale: (of) => isDoubtful(of) || meter.silence() >= silenceOf(of),
    send
  }
}
