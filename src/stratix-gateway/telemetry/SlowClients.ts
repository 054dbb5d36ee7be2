/**
 * Clients that do not keep up: counted, and said in the log without filling it.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Metrics from "./Metrics.js"
import * as RateLimitedLog from "./RateLimitedLog.js"

/** Longer than a healthy network or page stands still, and half of the silence after which a screen calls itself stale. */
export const SLOW_AFTER = "5 seconds"

/** Counts slow clients for one reason in `stratix_slow_clients_total`, and logs the first at once; those of the next ten seconds are one more line, with their number. `how` follows "a client does not keep up". */
export const make = (
  reason: Metrics.SlowReason,
  how: string
): Effect.Effect<(connection: Record<string, unknown>) => void, never, Scope.Scope> =>
  Effect.map(RateLimitedLog.make, (log) => {
    const metric = Metric.tagged(Metrics.slowClients, "reason", reason)
    const annotated = Effect.annotateLogs({ module: "SlowClients", reason })
    const say = log.subject((count) => annotated(Effect.logInfo(`${count} more clients do not keep up: ${how}`)))
    return (connection) => {
      metric.unsafeUpdate(1, [])
      say(Effect.logInfo(`a client does not keep up: ${how}`).pipe(Effect.annotateLogs(connection), annotated))
    }
  })
