import type * as Effect from "effect/Effect"
import { void as nothing, scoped } from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import { afterAll, beforeAll, describe, it } from "vitest"

/** A test that runs in real time with the shared layer, in a scope of its own. */
export type SharedTest<R> = (name: string, test: () => Effect.Effect<void, unknown, R | Scope.Scope>) => void

/** Describes tests that share one layer: built before the first, released after the last. `layer` of @effect/vitest does not serve: it
 * changes `it` for every other file of the same process. */
export const describeWith =
  <R>(layer: Layer.Layer<R>, timeoutMs: number) =>
  (name: string, tests: (test: SharedTest<R>) => void): void => {
    describe(name, () => {
      const runtime = ManagedRuntime.make(layer)
      beforeAll(() => runtime.runPromise(nothing), timeoutMs)
      afterAll(() => runtime.dispose(), timeoutMs)
      tests((title, test) => it(title, () => runtime.runPromise(scoped(test()))))
    })
  }
