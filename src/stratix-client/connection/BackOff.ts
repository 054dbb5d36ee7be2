/**
 * How long to wait before the next attempt to connect.
 */

/** A connection that did not last this long says nothing of the gateway being well: the pauses go on growing. */
const STABLE = 5000

/** Counts attempts. */
export interface BackOff {
  /** Attempts since the last connection that lasted; 0 while there has been no failure. */
  readonly attempt: () => number
  /** A connection ended that was open for `lasted` milliseconds (0: it was never welcomed). Returns the next pause. */
  readonly next: (lasted: number) => number
}

/** Pauses chosen evenly between 0 and a ceiling, which doubles with every attempt from `base` up to `cap` milliseconds. */
export const makeBackOff = (base: number, cap: number, random: () => number): BackOff => {
  let attempt = 0
  return {
    attempt: () => attempt,
    next: (lasted) => {
      if (lasted >= STABLE) attempt = 0
      // The cap comes before the jitter, else half of all pauses would be the cap itself.
      return random() * Math.min(cap, base * 2 ** attempt++)
    }
  }
}
