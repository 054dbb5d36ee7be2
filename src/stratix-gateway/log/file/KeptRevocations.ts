/**
 * Revocations in the file of a log: they outlive the gateway.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { EventLogStartError } from "../EventLog.js"
import { MAX_REVOKED, type Revocation, type Revocations } from "../Revocations.js"
import { ask, askAtStart, type Journal } from "./Journal.js"

/** Reads them. The file has one gateway, so there is nothing to hear later. `patience`: time for the disk. */
export const make = (
  journal: Journal,
  patience: Duration.DurationInput
): Effect.Effect<Revocations, EventLogStartError> =>
  Effect.map(askAtStart(journal, "revoked", undefined), (values) => {
    const kept = values.map((value): Revocation => {
      const [name, at]: ReadonlyArray<unknown> = JSON.parse(value)
      return { name: String(name), at: Number(at) }
    })
    return {
      share: ({ at, name }) =>
        ask(journal, "revoke", { name, value: JSON.stringify([name, at]), most: MAX_REVOKED }).pipe(
          Effect.timeoutFail({ duration: patience, onTimeout: () => ({ message: "the disk is slow" }) }),
          Effect.catchAll(({ message }) =>
            Effect.logError(
              `${name} is revoked, but that may end with this gateway, as the file has not taken it: ${message}`
            )
          ),
          Effect.annotateLogs({ module: "EventLogFile" })
        ),
      subscribe: Effect.tap(Queue.sliding<Revocation>(MAX_REVOKED), (queue) => Queue.offerAll(queue, kept))
    }
  })
