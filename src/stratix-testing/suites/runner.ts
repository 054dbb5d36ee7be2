/** What the suites need of a test runner. They are given one, so that the kit loads without any. */
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as TestContext from "effect/TestContext"

/** What the suites need of `@effect/vitest`, which is given as a whole: `import * as Vitest from "@effect/vitest"`.
 * @since 0.1.0
 * @category models */
export interface Runner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: {
    /** A test in virtual time. */
    readonly effect: (name: string, body: () => Effect.Effect<unknown, unknown>, timeout?: number) => unknown
    /** A test in real time. */
    readonly live: (name: string, body: () => Effect.Effect<unknown, unknown>, timeout?: number) => unknown
  }
}

/** A property of thousands of events takes seconds; this is for one that hangs. */
const PROPERTY_TIMEOUT_MS = 120_000

/** A property as one test, each run of it in a virtual time of its own. */
export const property = <A>(
  { it }: Runner,
  runs: number,
  name: string,
  arbitrary: FastCheck.Arbitrary<A>,
  body: (value: A) => Effect.Effect<void, unknown>
): void => {
  const holds = (value: A) =>
    Effect.runPromise(
      Effect.suspend(() => body(value)).pipe(
        Effect.provide(TestContext.TestContext),
        Effect.provide(Logger.remove(Logger.defaultLogger))
      )
    )
  const check = () => FastCheck.assert(FastCheck.asyncProperty(arbitrary, holds), { numRuns: runs })
  it.live(name, () => Effect.promise(async () => check()), PROPERTY_TIMEOUT_MS)
}
