/** Waiting for what is observable, turn by turn of the event loop, instead of for a time. */
import * as Effect from "effect/Effect"
import { StatusSync } from "../../stratix-gateway/api/websocket/StatusSync.js"
import { nextTurn } from "../../stratix-gateway/runtime/EventLoop.js"

export { nextTurn }

/** Asks once a turn until the answer is as wanted; that answer. */
export const untilAnswer = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  isWanted: (answer: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    while (true) {
      const answer = yield* ask
      if (isWanted(answer)) return answer
      yield* nextTurn
    }
  })

/** Waits until something is so. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.asVoid(untilAnswer(Effect.sync(isSo), (answer) => answer))

/** Waits until the pool has this many connections; over real sockets a leave is seen a little after it happened. */
export const untilCount = (count: number): Effect.Effect<void, never, StatusSync> =>
  Effect.flatMap(StatusSync, ({ clientCount }) => Effect.asVoid(untilAnswer(clientCount, (answer) => answer === count)))
