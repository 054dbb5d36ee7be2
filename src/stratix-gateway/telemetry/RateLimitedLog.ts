/**
 * Lines in the log about what can happen thousands of times a second: the first at once, the rest as a number.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"

/** Between two lines about one subject: often enough to follow an attack, rare enough not to fill a disk. */
const QUIET = "10 seconds"

/** Logs `first` at once, unless a line about this subject was logged within the last ten seconds; then it is counted only. */
export type Say = (first: Effect.Effect<void>) => void

export interface RateLimitedLog {
  /** `more` is the line for those that were counted only. */
  readonly subject: (more: (count: number) => Effect.Effect<void>) => Say
}

class Subject {
  readonly quiet: TimeoutQueues.Timeout<Subject>
  unsaid = 0
  constructor(readonly more: (count: number) => Effect.Effect<void>) {
    this.quiet = new TimeoutQueues.Timeout<Subject>(this)
  }
}

export const make: Effect.Effect<RateLimitedLog, never, Scope.Scope> = Effect.gen(function* () {
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const queues = yield* TimeoutQueues.make
  const silences = queues.queue(QUIET, (subject: Subject) => {
    if (subject.unsaid === 0) return
    runFork(subject.more(subject.unsaid))
    subject.unsaid = 0
    silences.start(subject.quiet)
  })
  return {
    subject: (more) => {
      const subject = new Subject(more)
      return (first) => {
        if (subject.quiet.running) {
          subject.unsaid++
          return
        }
        silences.start(subject.quiet)
        runFork(first)
      }
    }
  }
})
