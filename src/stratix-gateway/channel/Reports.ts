/**
 * What one worker is asked on behalf of the whole gateway, and how it asks all of them.
 */
import * as Effect from "effect/Effect"
import { type Link, Topic } from "./Link.js"

/** Time for the primary to answer: it waits less for the other workers. */
const PATIENCE = "5 seconds"

/** Answers a question. */
export type Reporter = (args: ReadonlyArray<string>, reply: (texts: ReadonlyArray<string>) => void) => void

/** The questions of a gateway to its workers. */
export class Reports {
  private readonly reporters = new Map<string, Reporter>()

  constructor(private readonly link: Link) {
    link.answer(Topic.report, ([what = "", ...args], reply) => {
      const reporter = this.reporters.get(what)
      if (reporter === undefined) reply([])
      else reporter(args, reply)
    })
  }

  /** Answers this question from now on. */
  on(what: string, reporter: Reporter): void {
    this.reporters.set(what, reporter)
  }

  /** What all workers answer, this one included. */
  ask(what: string, ...args: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> {
    return this.link
      .ask(Topic.askAll, [what, ...args])
      .pipe(Effect.timeoutTo({ duration: PATIENCE, onSuccess: (texts) => texts ?? [], onTimeout: () => [] }))
  }
}
