/**
 * Many equal timeouts on one fiber.
 *
 * All timeouts in a queue are equally long, so a queue in insertion order is always sorted: O(1) to start, to stop and to expire,
 * and the fiber sleeps until the nearest front. A sleeping fiber per connection would cost about 13 KB each and make `TestClock` quadratic.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SleepLoop from "./SleepLoop.js"

/** An entry of a queue. It belongs to one queue, running or not. */
export class Timeout<A> {
  /** When it expires, in milliseconds on the monotonic clock. */
  at = 0
  running = false
  previous: Timeout<A> | undefined = undefined
  next: Timeout<A> | undefined = undefined
  constructor(readonly value: A) {}
}

/** Milliseconds on the monotonic clock: a correction of the wall clock must not end a connection. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** The `sentAt` of a message sent now: whole milliseconds on the monotonic clock. */
export const sentAt = (clock: Clock.Clock): number => Math.round(monotonicMillis(clock))

/** Timeouts of equal length. */
export class TimeoutQueue<A> {
  private front: Timeout<A> | undefined = undefined
  private back: Timeout<A> | undefined = undefined
  private readonly millis: number
  private restsUntil = Number.NEGATIVE_INFINITY

  /** `rest`: for so many milliseconds after a sweep that came late none is asked for. Timers of a real clock are late, each costs a turn of the event
   * loop, and many share one so; on a virtual clock none is late, and each timeout expires at its own time. */
  constructor(
    duration: Duration.DurationInput,
    private readonly onExpire: (value: A, now: number) => void,
    private readonly now: () => number,
    private readonly wake: (at: number) => void,
    private readonly rest = 0
  ) {
    this.millis = Duration.toMillis(duration)
  }

  /** Starts or restarts a timeout. `now` where the caller has just looked at the clock. */
  start(timeout: Timeout<A>, now = this.now()): void {
    this.stop(timeout)
    this.add(timeout, now + this.millis)
  }

  /** Restarts a timeout from the moment it expired, so that a late sweep does not shift the rhythm. After a pause longer than the timeout it restarts from `now`: missed rounds are skipped. */
  repeat(timeout: Timeout<A>, now: number): void {
    this.stop(timeout)
    this.add(timeout, (timeout.at + this.millis > now ? timeout.at : now) + this.millis)
  }

  private add(timeout: Timeout<A>, at: number): void {
    timeout.at = at
    timeout.running = true
    timeout.previous = this.back
    if (this.back === undefined) this.front = timeout
    else this.back.next = timeout
    this.back = timeout
    if (this.front === timeout) this.wake(this.nearest())
  }

  /** Stops a timeout without running its action. */
  stop(timeout: Timeout<A>): void {
    if (!timeout.running) return
    timeout.running = false
    if (timeout.previous === undefined) this.front = timeout.next
    else timeout.previous.next = timeout.next
    if (timeout.next === undefined) this.back = timeout.previous
    else timeout.next.previous = timeout.previous
    timeout.previous = undefined
    timeout.next = undefined
  }

  /** Milliseconds for which a timeout has been running; 0 if it is not. */
  elapsed(timeout: Timeout<A>): number {
    return timeout.running ? this.now() - timeout.at + this.millis : 0
  }

  /** When to sweep next; infinity if no timeout is running. */
  nearest(): number {
    return this.front === undefined ? Number.POSITIVE_INFINITY : Math.max(this.front.at, this.restsUntil)
  }

  /** Runs the action of every timeout that has expired. */
  sweep(now: number): void {
    if (this.front !== undefined && this.front.at < now) this.restsUntil = now + this.rest
    while (this.front !== undefined && this.front.at <= now) {
      const timeout = this.front
      this.stop(timeout)
      this.onExpire(timeout.value, now)
    }
  }
}

/** One fiber that sweeps any number of queues; at equal times the queue that was made first is swept first. */
export interface TimeoutQueues {
  readonly queue: <A>(
    duration: Duration.DurationInput,
    onExpire: (value: A, now: number) => void,
    rest?: number
  ) => TimeoutQueue<A>
}

interface Sweepable {
  readonly nearest: () => number
  readonly sweep: (now: number) => void
}

/** Timeout queues until the scope closes. */
export const make: Effect.Effect<TimeoutQueues, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const now = () => monotonicMillis(clock)
  const queues: Array<Sweepable> = []
  const loop = yield* SleepLoop.make({
    now,
    run: () => {
      const time = now()
      for (const queue of queues) queue.sweep(time)
      return queues.reduce((nearest, queue) => Math.min(nearest, queue.nearest()), Number.POSITIVE_INFINITY)
    }
  })

  return {
    queue: (duration, onExpire, rest) => {
      const queue = new TimeoutQueue(duration, onExpire, now, loop.wake, rest)
      queues.push(queue)
      return queue
    }
  }
})
