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

/** Time, chance and the signs that the machine is back.
 * @since 0.1.0
 * @category models */
export interface Environment {
  /** Milliseconds since the Unix epoch. It must go on while the machine is suspended, as `Date.now` does and `performance.now` need not. */
  readonly now: () => number
  /** At least 0, below 1. */
  readonly random: () => number
  /** Runs the task once, not before the milliseconds have passed and never within the call; returns how to cancel it. */
  readonly setTimer: (task: () => void, millis: number) => () => void
  /** Calls back whenever the network or the page may be back, or the network gone; returns how to stop. */
  readonly onWake: (wake: () => void) => () => void
}

/** The longest time `setTimeout` can wait; beyond it, it fires at once. */
const MAX_TIMER = 2 ** 31 - 1

/** The platform's own.
 * @since 0.1.0
 * @category constants */
export const platform: Environment = {
  now: () => Date.now(),
  random: () => Math.random(),
  setTimer: (task, millis) => {
    const handle = setTimeout(task, Math.min(millis, MAX_TIMER))
    return () => clearTimeout(handle)
  },
  onWake: (wake) => {
    const listening = new AbortController()
    const page = typeof document === "undefined" ? undefined : document
    const visible = () => {
      if (page?.visibilityState === "visible") wake()
    }
    // Node has neither; a worker has no document.
    const window = typeof addEventListener === "undefined" ? undefined : globalThis
    for (const type of ["online", "offline", "pageshow"]) window?.addEventListener(type, wake, listening)
    for (const type of ["visibilitychange", "resume"]) page?.addEventListener(type, visible, listening)
    return () => listening.abort()
  }
}
