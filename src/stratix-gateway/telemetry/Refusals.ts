/**
 * Refusals: counted, and logged without flooding the log.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Metrics from "./Metrics.js"
import * as RateLimitedLog from "./RateLimitedLog.js"

/** Counts refusals by reason in `stratix_refusals_total`, and logs the first of each reason at once. Those that follow within ten seconds share one more line with their number.
 * @since 0.1.0
 * @category tags */
export class Refusals extends Context.Tag("stratix/Refusals")<
  Refusals,
  {
    /** `detail` says what happened, `address` to which client; neither may contain a secret. */
    readonly recordRefusal: (reason: Metrics.RefusalReason, detail: string, address?: string) => void
  }
>() {}

/** Characters of a detail in the log: it can be as long as a header. */
const MAX_DETAIL = 200

/** A detail that is safe to log: no line breaks, no escape sequences for a terminal. */
const printable = (detail: string): string =>
  (detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL)}…` : detail).replace(/\p{Cc}/gu, "?")

const make = Effect.map(RateLimitedLog.make, (log) => {
  const annotated = (reason: Metrics.RefusalReason, address?: string) =>
    Effect.annotateLogs({ module: "Refusals", reason, ...(address !== undefined && { remoteAddress: address }) })
  const subjects = new Map(
    Metrics.refusalReasons.map((reason) => {
      const metric = Metric.tagged(Metrics.refusals, "reason", reason)
      const say = log.subject((count) =>
        annotated(reason)(Effect.logWarning(`refused ${count} more for the same reason`))
      )
      return [reason, { metric, say }]
    })
  )
  return Refusals.of({
    recordRefusal: (reason, detail, address) => {
      const subject = subjects.get(reason)
      subject?.metric.unsafeUpdate(1, [])
      subject?.say(Effect.suspend(() => annotated(reason, address)(Effect.logWarning(`refused: ${printable(detail)}`))))
    }
  })
})

/** Counts and logs.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Refusals> = Layer.scoped(Refusals, make)
