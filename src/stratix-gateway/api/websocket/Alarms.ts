/**
 * Many unequal waits on one fiber: each rings at its own moment of the wall clock.
 *
 * A binary heap: O(log n) to set and to cancel. `Deadlines` is for waits that are all equally long.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** A moment something waits for.
 * @since 0.1.0
 * @category models */
export class Alarm {
  /** Where it is in the heap; -1: it is not set. */
  place = -1
  constructor(
    /** Milliseconds since the Unix epoch. */
    readonly at: number,
    readonly unsafeRing: () => void
  ) {}
}

/** Alarms that are set.
 * @since 0.1.0
 * @category models */
export interface Alarms {
  /** One whose moment has passed rings as soon as the fiber runs. */
  readonly unsafeSet: (alarm: Alarm) => void
  readonly unsafeCancel: (alarm: Alarm) => void
  readonly unsafeSize: () => number
}

/**
 * The longest sleep. A JavaScript timer of more than 24.8 days overflows, and Effect's clock never wakes from one; and while the
 * fiber sleeps the wall clock may be set forward, which it then notices within this time.
 */
const LONGEST_SLEEP = Duration.toMillis("6 hours")

class Heap {
  private readonly alarms: Array<Alarm> = []

  get size(): number {
    return this.alarms.length
  }

  nearest(): Alarm | undefined {
    return this.alarms[0]
  }

  unsafeAdd(alarm: Alarm): void {
    this.rise(alarm, this.alarms.length)
  }

  unsafeRemove(alarm: Alarm): void {
    const { place } = alarm
    if (place === -1) return
    alarm.place = -1
    const last = this.alarms.pop()
    if (last === undefined || last === alarm) return
    // The last one takes the free place, and may belong above or below it.
    this.rise(last, place)
    this.sink(last)
  }

  private put(alarm: Alarm, place: number): void {
    this.alarms[place] = alarm
    alarm.place = place
  }

  private rise(alarm: Alarm, from: number): void {
    let place = from
    while (place > 0) {
      const above = this.alarms[(place - 1) >> 1]
      if (above === undefined || above.at <= alarm.at) break
      this.put(above, place)
      place = (place - 1) >> 1
    }
    this.put(alarm, place)
  }

  private sink(alarm: Alarm): void {
    let { place } = alarm
    while (true) {
      const left = this.alarms[2 * place + 1]
      const right = this.alarms[2 * place + 2]
      const nearer = left !== undefined && right !== undefined && right.at < left.at ? right : left
      if (nearer === undefined || nearer.at >= alarm.at) break
      const free = nearer.place
      this.put(nearer, place)
      place = free
    }
    this.put(alarm, place)
  }
}

/** Alarms until the scope closes.
 * @since 0.1.0
 * @category constructors */
export const make: Effect.Effect<Alarms, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const heap = new Heap()
  let latch = yield* Deferred.make<void>()
  let sleepsUntil = Number.NEGATIVE_INFINITY

  yield* Effect.gen(function* () {
    while (true) {
      latch = yield* Deferred.make<void>()
      const now = clock.unsafeCurrentTimeMillis()
      for (let next = heap.nearest(); next !== undefined && next.at <= now; next = heap.nearest()) {
        heap.unsafeRemove(next)
        next.unsafeRing()
      }
      sleepsUntil = heap.nearest()?.at ?? Number.POSITIVE_INFINITY
      const woken = Deferred.await(latch)
      yield* sleepsUntil === Number.POSITIVE_INFINITY
        ? woken
        : Effect.raceFirst(Effect.sleep(Duration.millis(Math.min(sleepsUntil - now, LONGEST_SLEEP))), woken)
      sleepsUntil = Number.NEGATIVE_INFINITY
    }
  }).pipe(Effect.interruptible, Effect.forkScoped)

  return {
    unsafeSet: (alarm) => {
      if (alarm.place !== -1) return
      heap.unsafeAdd(alarm)
      if (alarm.at < sleepsUntil) Deferred.unsafeDone(latch, Exit.void)
    },
    unsafeCancel: (alarm) => heap.unsafeRemove(alarm),
    unsafeSize: () => heap.size
  }
})
