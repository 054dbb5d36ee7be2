/** What runs in the page of the browser tests: a dashboard of one agent that notes what it shows, and when. */
import { connect, type StatusClient, type StatusClientOptions } from "../../../src/stratix-client/StatusClient.js"

/** What the screen said at a moment. */
export interface Look {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly visibility: string
  readonly freshness: string
  readonly status: string | undefined
  readonly agents: number
}

export interface Dashboard {
  /** Connects, and shows the status of `agent-001` from now on. */
  readonly start: (url: string, options?: StatusClientOptions) => void
  /** `start`, with pauses a hundredth as long. */
  readonly startHastily: (url: string, options?: StatusClientOptions) => void
  /** A bare WebSocket, without any library. */
  readonly startPlain: (url: string, protocols?: Array<string>) => void
  readonly now: () => Look
  /** Every time it changed, and the first look after the page came back. */
  readonly looks: ReadonlyArray<Look>
  /** What the bare WebSocket was given, to the letter. */
  readonly frames: ReadonlyArray<string>
  /** Types of the events that the client has handed over. */
  readonly received: ReadonlyArray<string>
  /** Keeps the page busy for so many milliseconds with each event from now on. */
  readonly worksFor: (millis: number) => void
  /** Turns of the event loop in which the client was catching up. */
  readonly turnsWhileCatchingUp: () => number
  /** When a timer that should run every 10 ms did not run for five times as long. */
  readonly pauses: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

declare global {
  var dashboard: Dashboard
}

let client: StatusClient | undefined
const looks: Array<Look> = []
const frames: Array<string> = []
const received: Array<string> = []
const pauses: Array<{ readonly from: number; readonly to: number }> = []

const now = (): Look => ({
  at: Date.now(),
  visibility: document.visibilityState,
  freshness: client?.freshness._tag ?? "none",
  status: client?.state.agents.get("agent-001")?.payload.status,
  agents: client?.state.agents.size ?? 0
})
const look = () => {
  const next = now()
  const last = looks.at(-1)
  if (next.visibility !== last?.visibility || next.freshness !== last.freshness || next.status !== last.status)
    looks.push(next)
}
const everyFrame = () => {
  look()
  requestAnimationFrame(everyFrame)
}

let ranAt = Date.now()
setInterval(() => {
  const time = Date.now()
  if (time - ranAt >= 50) pauses.push({ from: ranAt, to: time })
  ranAt = time
}, 10)

let workMillis = 0
const work = () => {
  const end = performance.now() + workMillis
  while (performance.now() < end);
}

let turns = 0
const turn = new MessageChannel()
turn.port1.onmessage = () => {
  if (client?.freshness._tag === "catching-up") turns++
  turn.port2.postMessage(0)
}

const start = (url: string, options: StatusClientOptions = {}) => {
  // Before the client's own listeners: nobody can look earlier.
  for (const type of ["visibilitychange", "resume"]) document.addEventListener(type, look)
  // These pages tell of their WebSockets. The event stream has tests of its own.
  client = connect(url, { transport: "websocket", ...options })
  client.onEvent(({ eventType }) => received.push(eventType))
  client.onEvent(work)
  client.onState(look)
  client.onFreshness(look)
  everyFrame()
  turn.port2.postMessage(0)
}

globalThis.dashboard = {
  start,
  startHastily: (url, options) =>
    start(url, {
      ...options,
      environment: {
        setTimer: (task, millis) => {
          const handle = setTimeout(task, millis / 100)
          return () => clearTimeout(handle)
        }
      }
    }),
  startPlain: (url, protocols) => {
    const socket = protocols === undefined ? new WebSocket(url) : new WebSocket(url, protocols)
    socket.onmessage = ({ data }) => frames.push(data)
  },
  now,
  looks,
  frames,
  received,
  worksFor: (millis) => {
    workMillis = millis
  },
  turnsWhileCatchingUp: () => turns,
  pauses
}
