/**
 * Many equal waits on one fiber.
 *
 * All waits in a queue are equally long, so a queue in insertion order is always sorted: O(1) to add, to take out and to expire,
 * and the fiber sleeps until the nearest front. A sleeping fiber per connection would cost about 13 KB each and make `TestClock` quadratic.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** A place in a queue; belongs to one queue for good, waiting in it or not.
 * @since 0.1.0
 * @category models */
export class Wait<A> {
  /** When it ends, on the monotonic clock, in milliseconds. */
  at = 0
  waiting = false
  before: Wait<A> | undefined = undefined
  behind: Wait<A> | undefined = undefined
  constructor(readonly value: A) {}
}

/** Milliseconds on the clock that is never set back: a heartbeat must not die of a corrected wall clock.
 * @since 0.1.0
 * @category time */
export const unsafeMonotonicMillis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** Waits that are all equally long.
 * @since 0.1.0
 * @category models */
export class WaitQueue<A> {
  private front: Wait<A> | undefined = undefined
  private back: Wait<A> | undefined = undefined
  private readonly millis: number

  constructor(
    duration: Duration.DurationInput,
    private readonly unsafeExpire: (value: A, now: number) => void,
    private readonly now: () => number,
    private readonly wake: (at: number) => void
  ) {
    this.millis = Duration.toMillis(duration)
  }

  /** Starts this wait, or starts it anew. */
  unsafeStart(wait: Wait<A>): void {
    this.unsafeStop(wait)
    this.add(wait, this.now() + this.millis)
  }

  /** Starts this wait anew from when it ended, so that a late sweep does not shift a rhythm. After a pause of more than one wait it is from now: what was missed is not made up for. */
  unsafeRepeat(wait: Wait<A>, now: number): void {
    this.unsafeStop(wait)
    this.add(wait, (wait.at + this.millis > now ? wait.at : now) + this.millis)
  }

  private add(wait: Wait<A>, at: number): void {
    wait.at = at
    wait.waiting = true
    wait.before = this.back
    if (this.back === undefined) this.front = wait
    else this.back.behind = wait
    this.back = wait
    if (this.front === wait) this.wake(at)
  }

  /** Ends this wait without its consequence. */
  unsafeStop(wait: Wait<A>): void {
    if (!wait.waiting) return
    wait.waiting = false
    if (wait.before === undefined) this.front = wait.behind
    else wait.before.behind = wait.behind
    if (wait.behind === undefined) this.back = wait.before
    else wait.behind.before = wait.before
    wait.before = undefined
    wait.behind = undefined
  }

  /** When the nearest wait ends. */
  unsafeNearest(): number {
    return this.front === undefined ? Number.POSITIVE_INFINITY : this.front.at
  }

  /** Ends every wait whose time has come, each with its consequence. */
  unsafeSweep(now: number): void {
    while (this.front !== undefined && this.front.at <= now) {
      const wait = this.front
      this.unsafeStop(wait)
      this.unsafeExpire(wait.value, now)
    }
  }
}

/** One fiber that sweeps any number of queues; at equal times the queue made first goes first.
 * @since 0.1.0
 * @category models */
export interface Deadlines {
  readonly unsafeQueue: <A>(
    duration: Duration.DurationInput,
    unsafeExpire: (value: A, now: number) => void
  ) => WaitQueue<A>
}

interface Sweepable {
  readonly unsafeNearest: () => number
  readonly unsafeSweep: (now: number) => void
}

/** Deadlines until the scope closes.
 * @since 0.1.0
 * @category constructors */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const now = () => unsafeMonotonicMillis(clock)
  const queues: Array<Sweepable> = []
  let latch = yield* Deferred.make<void>()
  let sleepsUntil = Number.NEGATIVE_INFINITY
  const wake = (at: number) => {
    if (at < sleepsUntil) Deferred.unsafeDone(latch, Exit.void)
  }

  yield* Effect.gen(function* () {
    while (true) {
      latch = yield* Deferred.make<void>()
      const time = now()
      for (const queue of queues) queue.unsafeSweep(time)
      sleepsUntil = queues.reduce(
        (nearest, queue) => Math.min(nearest, queue.unsafeNearest()),
        Number.POSITIVE_INFINITY
      )
      const woken = Deferred.await(latch)
      yield* sleepsUntil === Number.POSITIVE_INFINITY
        ? woken
        : Effect.raceFirst(Effect.sleep(Duration.millis(Math.ceil(sleepsUntil - now()))), woken)
      sleepsUntil = Number.NEGATIVE_INFINITY
    }
  }).pipe(Effect.interruptible, Effect.forkScoped)

  return {
    unsafeQueue: (duration, unsafeExpire) => {
      const queue = new WaitQueue(duration, unsafeExpire, now, wake)
      queues.push(queue)
      return queue
    }
  }
})
