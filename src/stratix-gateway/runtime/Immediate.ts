/**
 * Effects whose result is already known, so that they need no fiber. An `Exit` is an Effect; `Effect.succeed` and `Effect.fail` make one.
 *
 * A fiber is a third of the cost of a handshake, and nearly every authenticator decides at once.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Whether the result is known. */
export const isImmediate = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)
