/**
 * Connections that the gateway ended without a close frame: counted, and said in the log without filling it.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Metrics from "./Metrics.js"
import * as RateLimitedLog from "./RateLimitedLog.js"

/** Counts terminations for one reason in `stratix_terminations_total`, and logs the first at once; those of the next ten seconds are one more line, with their number. `why` follows "terminated a connection". */
export const make = (
  reason: Metrics.TerminationReason,
  why: string
): Effect.Effect<(connection: Record<string, unknown>) => void, never, Scope.Scope> =>
  Effect.map(RateLimitedLog.make, (log) => {
    const metric = Metric.tagged(Metrics.terminations, "reason", reason)
    const annotated = Effect.annotateLogs({ module: "Terminations", reason })
    const say = log.subject((count) =>
      annotated(Effect.logInfo(`terminated ${count} more connections for the same reason: ${why}`))
    )
    return (connection) => {
      metric.unsafeUpdate(1, [])
      say(Effect.logInfo(`terminated a connection: ${why}`).pipe(Effect.annotateLogs(connection), annotated))
    }
  })
