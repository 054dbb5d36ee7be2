/**
 * How fresh what is shown is, measured on what was processed here: how old the last message was (lag), and how long ago that is (silence).
 *
 * A gateway says when it sent a message on its own monotonic clock. How far that clock is from this one is bounded by what was asked and
 * answered: the gateway sent the answer after the question was put. The quickest question of late bounds it best, and by no more than its way
 * to the gateway. Wall clocks play no part in the lag.
 */

/** Clocks drift apart by up to 100 parts in a million each: what is known of them loses so much of a millisecond in each. */
const DRIFT = 2e-4

/** Measures on one connection after the other, in milliseconds. */
export interface FreshnessMeter {
  /** Forgets what it measured: another connection's gateway may have another clock. As if it had been heard now. */
  readonly begin: () => void
  /** When the gateway was last heard, on the monotonic clock. */
  readonly heardAt: () => number
  /** How old the last message was at the most when it was processed. */
  readonly lag: () => number
  readonly silence: () => number
  /** A message of the gateway is processed now. `sentAt` where the gateway says it. */
  readonly heard: (sentAt?: number) => void
  /** The last message answers what was asked at `askedAt`. */
  readonly answered: (askedAt: number, sentAt: number | undefined) => void
  /** Whether what is heard may be from before this machine was suspended. It is until something is answered that was asked after that was seen. */
  readonly isDoubtful: () => boolean
}

/** Begins as if the gateway had been heard now. The wall clock running ahead of the monotonic one by more than `tolerance` means that this
 * machine was suspended, or that its clock was set: the two cannot be told apart. */
export const makeFreshnessMeter = (now: () => number, monotonic: () => number, tolerance: number): FreshnessMeter => {
  let heardAt: number
  let heardAtTime: number
  let lag: number
  let ahead: number
  // When the wall clock was seen to run ahead.
  let doubtedAt: number | undefined
  // At `boundAt`, this clock less the gateway's was at least so much. Before the first answer as good as nothing is known.
  let bound: number
  let boundAt: number

  const begin = () => {
    heardAt = monotonic()
    heardAtTime = now()
    lag = 0
    ahead = heardAtTime - heardAt
    doubtedAt = undefined
    bound = -1e15
    boundAt = 0
  }
  begin()

  const boundFor = (time: number) => bound - (time - boundAt) * DRIFT
  const measure = (sentAt: number | undefined) => {
    lag = 0
    if (sentAt === undefined) return
    lag = heardAt - sentAt - boundFor(heardAt)
    if (lag >= 0) return
    // Sent in the future: this clock stood still while the machine was suspended.
    bound = heardAt - sentAt
    boundAt = heardAt
    lag = 0
  }

  const isDoubtful = () => {
    const time = monotonic()
    const difference = now() - time
    if (difference - ahead > tolerance) doubtedAt = time
    ahead = difference
    return doubtedAt !== undefined
  }

  return {
    begin,
    heardAt: () => heardAt,
    lag: () => lag,
    // A monotonic clock may stand still while the machine is suspended; a wall clock does not.
    silence: () => Math.max(monotonic() - heardAt, now() - heardAtTime),
    heard: (sentAt) => {
      isDoubtful()
      heardAt = monotonic()
      heardAtTime = now()
      measure(sentAt)
    },
    answered: (askedAt, sentAt) => {
      if (doubtedAt !== undefined && askedAt >= doubtedAt) doubtedAt = undefined
      if (sentAt === undefined) return
      bound = Math.max(boundFor(askedAt), askedAt - sentAt)
      boundAt = askedAt
      measure(sentAt)
    },
    isDoubtful
  }
}
