/**
 * Effects that have their result already, and so need no fiber. An `Exit` is an Effect; `Effect.succeed` and `Effect.fail` make one.
 *
 * A fiber for each handshake is a third of its cost, and in nearly all of them the authenticator knows at once.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Whether the result is there.
 * @since 0.1.0
 * @category predicates */
export const isImmediate = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)
