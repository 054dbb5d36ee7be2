/**
 * Refusals: counted, and logged without flooding the log.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Runtime from "effect/Runtime"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import * as Metrics from "./Metrics.js"

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

/** Pause between two lines about one reason. */
const QUIET = "10 seconds"

/** Characters of a detail in the log: it can be as long as a header. */
const MAX_DETAIL = 200

/** A detail that is safe to log: no line breaks, no escape sequences for a terminal. */
const printable = (detail: string): string =>
  (detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL)}…` : detail).replace(/\p{Cc}/gu, "?")

class Subject {
  readonly metric: Metric.Metric.Counter<number>
  readonly quiet: TimeoutQueues.Timeout<Subject>
  unsaid = 0
  constructor(readonly reason: Metrics.RefusalReason) {
    this.metric = Metric.tagged(Metrics.refusals, "reason", reason)
    this.quiet = new TimeoutQueues.Timeout<Subject>(this)
  }
}

const make = Effect.gen(function* () {
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const deadlines = yield* TimeoutQueues.make
  const subjects = new Map(Metrics.refusalReasons.map((reason) => [reason, new Subject(reason)]))

  const say = (reason: Metrics.RefusalReason, message: string, address?: string) => {
    runFork(
      Effect.logWarning(message).pipe(
        Effect.annotateLogs({ module: "Refusals", reason, ...(address !== undefined && { remoteAddress: address }) })
      )
    )
  }
  const silences = deadlines.queue(QUIET, (subject: Subject) => {
    if (subject.unsaid === 0) return
    say(subject.reason, `refused ${subject.unsaid} more for the same reason`)
    subject.unsaid = 0
    silences.start(subject.quiet)
  })

  return Refusals.of({
    recordRefusal: (reason, detail, address) => {
      const subject = subjects.get(reason)
      if (subject === undefined) return
      subject.metric.unsafeUpdate(1, [])
      if (subject.quiet.running) {
        subject.unsaid++
        return
      }
      silences.start(subject.quiet)
      say(reason, `refused: ${printable(detail)}`, address)
    }
  })
})

/** Counts and logs.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Refusals> = Layer.scoped(Refusals, make)
