/**
 * How old a message is when it is processed here.
 *
 * A gateway says when it sent a message on its own monotonic clock. How far that clock is from this one is bounded by what was asked and
 * answered: the gateway sent the answer after the question was put. The quickest question of late bounds it best, and by no more than its way
 * to the gateway. Wall clocks play no part.
 *
 * @since 0.1.0
 */

/** Clocks drift apart by up to 100 parts in a million each: what is known of them loses so much of a millisecond in each. */
const DRIFT = 2e-4

/** Measures the age of the messages of one connection, in milliseconds.
 * @since 0.1.0
 * @category models */
export interface AgeMeter {
  /** A message that was sent at `sentAt` answers what was asked here at `askedAt`. */
  readonly answered: (askedAt: number, sentAt: number) => void
  /** How old a message is at the most that was sent at `sentAt` and is processed here at `time`. */
  readonly age: (sentAt: number, time: number) => number
}

/** Knows nothing of the other clock yet.
 * @since 0.1.0
 * @category constructors */
export const makeAgeMeter = (): AgeMeter => {
  // At that time, this clock less the gateway's was at least so much.
  let bound = Number.NEGATIVE_INFINITY
  let at = 0
  const atLeast = (time: number) => bound - (time - at) * DRIFT
  return {
    answered: (askedAt, sentAt) => {
      bound = Math.max(atLeast(askedAt), askedAt - sentAt)
      at = askedAt
    },
    age: (sentAt, time) => {
      const age = time - sentAt - atLeast(time)
      if (age >= 0) return age
      // Sent in the future: this clock stood still while the machine was suspended.
      bound = time - sentAt
      at = time
      return 0
    }
  }
}
