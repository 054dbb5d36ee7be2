/** What clients ask for, in steps of a few milliseconds: however many ask in one turn of the event loop, others have theirs. */
import { performance } from "node:perf_hooks"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as EventLoop from "./EventLoop.js"

/** Does one piece of work at once, or in one of the next turns. */
export type TurnQueue<A> = (work: A) => void

/** Gives each work to `handle`, in order, as long as the turn has not taken a step of time yet; the rest waits for the next one. Measured in real time, because it is the processor that others wait for. */
export const make = <A>(
  handle: (work: A) => void,
  now: () => number = () => performance.now()
): Effect.Effect<TurnQueue<A>> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const runFork = Runtime.runFork(runtime)
    const attempt = (work: A) => {
      try {
        handle(work)
      } catch (defect) {
        // It has no caller to fail, and must not stop the work behind it.
        runFork(Effect.logError("what a client asked for could not be handled", Cause.die(defect)))
      }
    }
    // Bound: that of its users, one work for a socket.
    let later: Array<A> = []
    let spent = 0
    let isTurn = false
    const begin = (work: A): void => {
      if (spent >= EventLoop.STEP_MILLIS) later.push(work)
      else {
        const before = now()
        attempt(work)
        spent += now() - before
      }
      if (isTurn) return
      isTurn = true
      // A fiber for it would cost a fifth of accepting a connection.
      setImmediate(nextTurn)
    }
    const nextTurn = () => {
      isTurn = false
      spent = 0
      const due = later
      later = []
      for (const work of due) begin(work)
    }
    return begin
  })
