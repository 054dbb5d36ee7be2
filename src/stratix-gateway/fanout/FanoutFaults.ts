/**
 * Faults of the gateway's own while events are written: counted, logged, and known to `GET /healthz` where they repeat.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import * as Metrics from "../telemetry/Metrics.js"

/** So many within so many milliseconds are no accident any more. */
const REPEATED = 3
const WINDOW = 60_000

/** Records faults; never throws. */
export interface FanoutFaults {
  readonly record: (defect: unknown) => void
  /** Whether three happened within the last minute. */
  readonly isFailing: () => boolean
}

/** No fault yet. */
export const make: Effect.Effect<FanoutFaults> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  // Bound: REPEATED, the newest.
  let recent: ReadonlyArray<number> = []
  const isFailing = () => recent.length === REPEATED && (recent[0] ?? 0) > monotonicMillis(clock) - WINDOW

  return {
    isFailing,
    record: (defect) => {
      try {
        Metrics.fanoutFaults.unsafeUpdate(1, [])
        const known = isFailing()
        recent = [...recent, monotonicMillis(clock)].slice(-REPEATED)
        // One that repeats is counted and not said each time.
        if (!known) runFork(Effect.logError("a fault while events were written; its connections are caught up", defect))
      } catch {
        // Where not even this can be said, the fault must not spread.
      }
    }
  }
})
