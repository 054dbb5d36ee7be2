/**
 * What the workers of a gateway find, as one list.
 */
import * as Schema from "effect/Schema"
import { type Finding, ok, warning } from "./Finding.js"

const Found = Schema.parseJson(
  Schema.Struct({
    worker: Schema.Number,
    findings: Schema.Array(
      Schema.Struct({
        level: Schema.Literal("ok", "warning", "problem"),
        about: Schema.String,
        what: Schema.String,
        instead: Schema.optionalWith(Schema.String, { exact: true })
      })
    )
  })
)

/** What one worker finds. */
export type Found = typeof Found.Type

/** Writes what a worker finds. */
export const encode: (found: Found) => string = Schema.encodeSync(Found)

/** Reads it. */
export const decode: (text: string) => Found = Schema.decodeSync(Found)

/** What all find, once; the rest with the worker that finds it. One of so many that does not answer is a finding as well. */
export const merged = (all: ReadonlyArray<Found>, workers: number): ReadonlyArray<Finding> => {
  const answered =
    all.length >= workers
      ? ok("workers", `${all.length} of ${workers} answer`)
      : warning(
          "workers",
          `${all.length} of ${workers} answer: the others have ended, hang, or are starting`,
          "the gateway's log says which have ended and why"
        )
  const byText = new Map<string, { readonly finding: Finding; readonly by: Array<number> }>()
  for (const { findings, worker } of all) {
    for (const finding of findings) {
      const text = JSON.stringify([finding.level, finding.about, finding.what])
      const same = byText.get(text)
      if (same === undefined) byText.set(text, { finding, by: [worker] })
      else if (!same.by.includes(worker)) same.by.push(worker)
    }
  }
  return [
    answered,
    ...[...byText.values()].map(({ by, finding }) =>
      by.length === all.length
        ? finding
        : { ...finding, what: `${by.length === 1 ? "worker" : "workers"} ${by.join(", ")}: ${finding.what}` }
    )
  ]
}
