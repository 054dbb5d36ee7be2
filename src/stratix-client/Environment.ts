/**
 * What the client takes from where it runs. Everything can be injected, so that tests are deterministic.
 *
 * @since 0.1.0
 */

/** The part of a WebSocket that is used: the browser's own, Node's (22 and later) and the one of `ws` have it.
 * @since 0.1.0
 * @category models */
export interface WebSocketLike {
  readonly protocol: string
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string; readonly wasClean: boolean }) => void
  ): void
  addEventListener(type: "error", listener: () => void): void
  send(data: string): void
  close(code?: number): void
}

/** @since 0.1.0
 * @category models */
export type WebSocketConstructor = new (url: string, protocols: Array<string>) => WebSocketLike

/** The part of `fetch` that is used.
 * @since 0.1.0
 * @category models */
export type Fetch = (
  url: string,
  init: { readonly headers: Headers; readonly signal: AbortSignal }
) => Promise<Pick<Response, "ok" | "status" | "headers" | "body" | "text">>

/** Time, chance and the signs that the machine is back.
 * @since 0.1.0
 * @category models */
export interface Environment {
  /** Milliseconds since the Unix epoch. It goes on while the machine is suspended, and can be set. */
  readonly now: () => number
  /** Milliseconds on a clock that is never set; only differences matter. It may stand still while the machine is suspended. */
  readonly monotonic: () => number
  /** At least 0, below 1. */
  readonly random: () => number
  /** Runs the task once, not before the milliseconds have passed and never within the call; returns how to cancel it. */
  readonly setTimer: (task: () => void, millis: number) => () => void
  /** Runs the task once, before the next frame is drawn and never within the call; returns how to cancel it. */
  readonly onFrame: (task: () => void) => () => void
  /** Calls back whenever the network or the page may be back, or the network gone; returns how to stop. */
  readonly onWake: (wake: () => void) => () => void
}

/** The longest time `setTimeout` can wait; beyond it, it fires at once. */
const MAX_TIMER = 2 ** 31 - 1

/** A page that is hidden draws no frames. It is given what changed as often as its timers run: about once a second. */
const HIDDEN_FRAME = 1000

/** The platform's own.
 * @since 0.1.0
 * @category constants */
export const platform: Environment = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  setTimer: (task, millis) => {
    const handle = setTimeout(task, Math.min(millis, MAX_TIMER))
    return () => clearTimeout(handle)
  },
  onFrame: (task) => {
    const run = () => {
      cancel()
      task()
    }
    const frame = globalThis.requestAnimationFrame?.(run)
    const stopTimer = platform.setTimer(run, frame ? HIDDEN_FRAME : 0)
    const cancel = () => {
      globalThis.cancelAnimationFrame?.(frame)
      stopTimer()
    }
    return cancel
  },
  onWake: (wake) => {
    const listening = new AbortController()
    // Node has neither this nor `addEventListener`; a worker has no document.
    const page = globalThis.document
    const visible = () => {
      if (page.visibilityState === "visible") wake()
    }
    for (const type of ["online", "offline", "pageshow"]) globalThis.addEventListener?.(type, wake, listening)
    for (const type of ["visibilitychange", "resume"]) page?.addEventListener(type, visible, listening)
    return () => listening.abort()
  }
}
