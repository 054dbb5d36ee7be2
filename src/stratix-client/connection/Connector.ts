/**
 * Keeps a connection to a gateway: one link at a time, a pause before the next one, and not for longer than it shows signs of life.
 *
 * It knows neither messages nor state. What a link means for those is told by what it calls.
 */
import { FORBIDDEN, NORMAL, reconnectAction } from "../../stratix-core/close-codes.js"
import type { Environment, WebSocketConstructor, WebSocketLike } from "../Environment.js"
import type { Closed } from "../freshness/Freshness.js"
import type { FreshnessMeter } from "../freshness/FreshnessMeter.js"
import type { Unsubscribe } from "../Handlers.js"
import type { StatusClientOptions } from "../StatusClientApi.js"
import type { StatusClientError } from "../StatusClientError.js"
import type { BackOff } from "./BackOff.js"
import { type Link, makeLink, protocolsFor } from "./Link.js"
import { examine, staleAfter } from "./Liveness.js"

/** Whom a connector asks and tells. */
export interface ConnectorOwner {
  /** What a new link asks for. */
  readonly query: () => string
  /** Up to where everything has been processed. */
  readonly cursor: () => string | undefined
  /** A frame came in. */
  readonly receive: (link: Link, data: unknown) => void
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

/** Without a link. */
export const makeConnector = (
  { connectTimeoutMs: patience = 10_000, maxSilenceMs, mode, token }: StatusClientOptions,
  maxLagMs: number,
  { monotonic, now, onWake, setTimer }: Environment,
  WebSocket: WebSocketConstructor,
  address: URL,
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
  let cancelTimer: Unsubscribe = () => undefined

  const arm = (millis: number, task: () => void) => {
    cancelTimer()
    cancelTimer = setTimer(task, millis)
  }

  const onSocket = (task: (socket: WebSocketLike) => void, of = link) => {
    try {
      if (of?.socket) task(of.socket)
    } catch (cause) {
      report("SocketFailed", cause)
    }
  }

  const letGo = (code?: number) => {
    const old = link
    link = undefined
    cancelTimer()
    onSocket((socket) => socket.close(code), old)
  }

  const wait = (millis: number) => {
    opensAt = now() + millis
    arm(millis, open)
  }

  const comeBack = () => {
    const time = monotonic()
    const asked = link?.retryAfterMs ?? 0
    const lasted = time - (link?.welcomedAt ?? time)
    letGo()
    notBefore = time + asked
    wait(asked + backOff.next(lasted))
    update()
  }

  const send = (message: object) => onSocket((socket) => socket.send(JSON.stringify(message)))
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
  const check = (): void => {
    if (!link) return
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

  const onFrame = (from: Link, data: unknown) => {
    // What comes in after so long a silence may be from before it: this machine was suspended.
    if (from.answers && monotonic() - meter.heardAt() >= from.heartbeat.timeoutMs) return comeBack()
    receive(from, data)
    // A handler may have ended it.
    if (link !== from) return
    if (isDoubtful(from)) probe(from)
    else {
      from.probedAt = undefined
      // Where the lag seems too large, perhaps only because the clocks are not known well, it is measured again.
      const pause = meter.lag() > maxLagMs ? maxLagMs : REPORT_INTERVAL
      if (!from.plain && monotonic() - from.pingedAt >= pause) ping(from)
    }
    update()
  }

  const dial = (to: Link, bearer: string | undefined) => {
    try {
      to.dialedAt = monotonic()
      const socket = new WebSocket(`${address}${address.search ? "&" : "?"}${query()}`, protocolsFor(mode, bearer))
      to.socket = socket
      socket.addEventListener("message", ({ data }) => {
        if (link === to) onFrame(to, data)
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
    letGo(NORMAL)
    const made = makeLink(monotonic())
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
