/**
 * What the publisher takes from where it runs. Everything can be injected, so that tests are deterministic.
 *
 * @since 0.1.0
 */

/** A request as the publisher makes it.
 * @since 0.1.0
 * @category models */
export interface PublishRequest {
  readonly method: "POST"
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
}

/** The part of a response that is used.
 * @since 0.1.0
 * @category models */
export interface PublishResponse {
  readonly status: number
  readonly headers: { readonly get: (name: string) => string | null }
  readonly text: () => Promise<string>
}

/** Requests, time and chance.
 * @since 0.1.0
 * @category models */
export interface Environment {
  readonly fetch: (url: string, request: PublishRequest) => Promise<PublishResponse>
  /** At least 0, below 1. */
  readonly random: () => number
  /** A key that no other publication has. */
  readonly newKey: () => string
  /** Runs the task once, not before the milliseconds have passed and never within the call; returns how to cancel it. Unless it `holds`, a process may end without it. */
  readonly setTimer: (task: () => void, millis: number, holds: boolean) => () => void
}

/** Bytes of a key: as many as a UUID has, so that no two are ever equal. */
const KEY_BYTES = 16

/** The longest time `setTimeout` can wait; beyond it, it fires at once. */
const MAX_TIMER = 2 ** 31 - 1

/** The platform's own.
 * @since 0.1.0
 * @category constants */
export const platform: Environment = {
  fetch: (url, request) => fetch(url, request),
  random: () => Math.random(),
  newKey: () =>
    Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join(
      ""
    ),
  setTimer: (task, millis, holds) => {
    const timer = setTimeout(task, Math.min(millis, MAX_TIMER))
    // In browsers it is a number.
    if (!holds && typeof timer === "object") timer.unref()
    return () => clearTimeout(timer)
  }
}
