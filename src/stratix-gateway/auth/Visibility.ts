/**
 * What a principal may see, where that can change while it is connected.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Filter from "../log/Filter.js"

/** What a principal may see now, and a call whenever that is something else.
 * @since 0.1.0
 * @category models */
export interface Visibility {
  /** Read when a client connects, at every request and after every change. Where it throws, nothing is seen: a connection is closed with 1013. */
  readonly current: () => Filter.Filter
  /**
   * Adds a listener, and returns what removes it. A listener that is called in the same step as the change sees to it that nothing published
   * afterwards is delivered by the old filter. One connection has one listener, until it ends.
   */
  readonly onChange: (listener: () => void) => () => void
}

/** A visibility that is set.
 * @since 0.1.0
 * @category models */
export interface Changeable extends Visibility {
  /** Once this is done, every connection that has it sees what this filter lets through and nothing else. */
  readonly set: (filter: Filter.Filter) => Effect.Effect<void>
}

/**
 * A visibility that begins with this filter and is set from then on. Many principals may share one.
 *
 * @example
 * ```ts
 * const team = Visibility.make(Filter.fromFields({ agents: ["a"] }))
 * const principal = { ...known, visibility: team }
 * yield* team.set(Filter.fromFields({ agents: ["a", "b"] }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (initial: Filter.Filter): Changeable => {
  let filter = initial
  // Bound: the connections of the principals that have it.
  const listeners = new Set<() => void>()
  return {
    current: () => filter,
    onChange: (listener) => {
      // A function that is added twice must not be removed twice by one.
      const own = () => listener()
      listeners.add(own)
      return () => {
        listeners.delete(own)
      }
    },
    set: (next) =>
      Effect.sync(() => {
        filter = next
        const faults: Array<unknown> = []
        for (const listener of [...listeners]) {
          try {
            listener()
          } catch (defect) {
            // The others must hear of it all the same.
            faults.push(defect)
          }
        }
        if (faults.length > 0) throw faults[0]
      })
  }
}

/** A visibility that follows a stream until the scope closes. A stream that fails, and a scope that closes, leave nothing to see; one that ends well leaves its last filter.
 * @since 0.1.0
 * @category constructors */
export const fromStream = <E, R>(
  initial: Filter.Filter,
  changes: Stream.Stream<Filter.Filter, E, R>
): Effect.Effect<Visibility, never, R | Scope.Scope> => {
  const visibility = make(initial)
  return changes.pipe(
    Stream.runForEach(visibility.set),
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : visibility.set(Filter.none))),
    Effect.catchAllCause((cause) => Effect.logWarning("what a principal may see is not known any more", cause)),
    Effect.interruptible,
    Effect.forkScoped,
    Effect.as(visibility)
  )
}
