/**
 * A number of the whole gateway: where it has workers, the sum of theirs.
 */
import * as Effect from "effect/Effect"
import type { Worker } from "./Primary.js"

/** Answers for this process, and adds up what all of them answer. Without an answer from the primary it is the number of this process. */
export const make = (
  worker: Pick<Worker, "reports"> | undefined,
  question: string,
  here: (of: string) => number
): ((of: string) => Effect.Effect<number>) => {
  if (worker === undefined) return (of) => Effect.sync(() => here(of))
  worker.reports.on(question, ([of = ""], reply) => reply([String(here(of))]))
  return (of) =>
    Effect.map(worker.reports.ask(question, of), (counts) =>
      counts.length === 0 ? here(of) : counts.reduce((sum, count) => sum + Number(count), 0)
    )
}
