/**
 * The end of a turn of the event loop, and work that is cut into turns.
 */
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"

/** Yields to the event loop until everything that waits for it has run once. */
export const nextTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Milliseconds of work for clients in one turn of the event loop; then others have theirs. */
export const STEP_MILLIS = 5

/** When the first step of this turn was taken. */
let begun: number | undefined

/** Those who wait for a turn of their own, in order. Bound: one for each work that is under way. */
const waiting = new Set<() => void>()

const beginTurn = (): number => {
  setImmediate(endTurn)
  begun = performance.now()
  return begun
}

const endTurn = () => {
  begun = undefined
  for (const resume of waiting) {
    waiting.delete(resume)
    beginTurn()
    resume()
    return
  }
}

const ownTurn = Effect.async<void>((resume) => {
  const begin = () => resume(Effect.void)
  waiting.add(begin)
  return Effect.sync(() => waiting.delete(begin))
})

/**
 * To be run between two parts of a long work: waits for a later turn when the steps of this one, of all works together, have taken their time.
 * However many clients ask for long works at once, a turn has one step's worth of them. Measured in real time, because it is the processor that
 * others wait for.
 */
export const step: Effect.Effect<void> = Effect.suspend(() => {
  const now = performance.now()
  return now - (begun ?? beginTurn()) < STEP_MILLIS ? Effect.void : ownTurn
})
