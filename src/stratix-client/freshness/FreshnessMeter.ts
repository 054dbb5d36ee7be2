/**
 * How fresh what is shown is, measured on what was processed here: how old the last message was (lag), and how long ago that is (silence).
 *
 * @since 0.1.0
 */
import { makeAgeMeter } from "./AgeMeter.js"

/** Measures on one connection, in milliseconds.
 * @since 0.1.0
 * @category models */
export interface FreshnessMeter {
  /** When the gateway was last heard, on the monotonic clock. */
  readonly heardAt: () => number
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
 * machine was suspended, or that its clock was set: the two cannot be told apart.
 * @since 0.1.0
 * @category constructors */
export const makeFreshnessMeter = (now: () => number, monotonic: () => number, tolerance: number): FreshnessMeter => {
  const ages = makeAgeMeter()
  let heardAt = monotonic()
  let heardAtTime = now()
  let lag = 0
  let ahead = heardAtTime - heardAt
  // When the wall clock was seen to run ahead.
  let doubtedAt: number | undefined

  const isDoubtful = () => {
    const time = monotonic()
    const difference = now() - time
    if (difference - ahead > tolerance) doubtedAt = time
    ahead = difference
    return doubtedAt !== undefined
  }

  return {
    heardAt: () => heardAt,
    lag: () => lag,
    // A monotonic clock may stand still while the machine is suspended; a wall clock does not.
    silence: () => Math.max(monotonic() - heardAt, now() - heardAtTime),
    heard: (sentAt) => {
      isDoubtful()
      heardAt = monotonic()
      heardAtTime = now()
      lag = sentAt === undefined ? 0 : ages.age(sentAt, heardAt)
    },
    answered: (askedAt, sentAt) => {
      if (doubtedAt !== undefined && askedAt >= doubtedAt) doubtedAt = undefined
      if (sentAt === undefined) return
      ages.answered(askedAt, sentAt)
      lag = ages.age(sentAt, heardAt)
    },
    isDoubtful
  }
}
