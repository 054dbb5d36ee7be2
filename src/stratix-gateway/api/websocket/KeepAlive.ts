/**
 * A word to every sync client often enough for it to tell a quiet gateway from a dead one.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SleepLoop from "../../runtime/SleepLoop.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import type { Form } from "../../transport/Form.js"
import type { TransportSocket } from "../../transport/Transport.js"

/** What is kept alive. */
export interface Kept {
  readonly socket: TransportSocket
  /** Whether it has been given everything, so that a word is all there is to say. */
  readonly isAtHead: () => boolean
}

/** Connections that are kept alive. */
export interface KeepAlive {
  readonly add: (kept: Kept) => void
  readonly remove: (kept: Kept) => void
}

interface Quiet {
  writes: number
  /** Half intervals without a write before the next word. */
  left: number
}

/** Writes one shared message to each connection to which nothing else was written, so that none is left without a word for longer than `interval`.
 * Looks at them every half interval, in O(connections), and not at all while there are none. */
export const make = (
  interval: Duration.DurationInput,
  message: (form: Form) => Uint8Array,
  highWaterMark: number
): Effect.Effect<KeepAlive, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const half = Duration.toMillis(interval) / 2
    // Bound: one for each sync connection.
    const all = new Map<Kept, Quiet>()
    const now = () => monotonicMillis(clock)
    let nextAt = Number.POSITIVE_INFINITY

    const look = () => {
      const shared = new Map<Form, Uint8Array>()
      for (const [kept, quiet] of all) {
        const { socket } = kept
        if (socket.writes() !== quiet.writes) quiet.left = 1
        else if (--quiet.left <= 0 && kept.isAtHead() && socket.unsentBytes() <= highWaterMark) {
          const bytes = shared.get(socket.form) ?? message(socket.form)
          shared.set(socket.form, bytes)
          socket.write(bytes)
          quiet.left = 2
        }
        quiet.writes = socket.writes()
      }
    }
    const loop = yield* SleepLoop.make({
      now,
      run: () => {
        const time = now()
        if (all.size === 0) nextAt = Number.POSITIVE_INFINITY
        else if (time >= nextAt) {
          look()
          nextAt = time + half
        }
        return nextAt
      }
    })
    return {
      add: (kept) => {
        all.set(kept, { writes: kept.socket.writes(), left: 1 })
        if (nextAt !== Number.POSITIVE_INFINITY) return
        nextAt = now() + half
        loop.wake(nextAt)
      },
      remove: (kept) => {
        all.delete(kept)
      }
    }
  })
