/**
 * What a log remembers beside its events: the names that were revoked, for every process that has the log and for those that have it later.
 *
 * No event, and nothing that a client is told: only who may stay follows from it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

/** A name whose tokens were revoked.
 * @since 0.1.0
 * @category models */
export interface Revocation {
  readonly name: string
  /** What was issued until then is revoked: milliseconds, by the wall clock of this process. */
  readonly at: number
}

/** Revoked names that are remembered: with names of 256 characters, 5 MB. Above it the oldest revocation is forgotten.
 * @since 0.1.0
 * @category constants */
export const MAX_REVOKED = 10_000

/** What a log does with revocations.
 * @since 0.1.0
 * @category models */
export interface Revocations {
  /** Completes once the log remembers it. Where its engine is away, after a while without that, and the log gets it when it is back. */
  readonly share: (revocation: Revocation) => Effect.Effect<void>
  /** All that the log remembers, already there to be taken, and from then on each that it hears of. */
  readonly subscribe: Effect.Effect<Queue.Dequeue<Revocation>, never, Scope.Scope>
}
