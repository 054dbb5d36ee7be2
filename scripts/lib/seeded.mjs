/** mulberry32: small, and the same seed gives the same numbers everywhere. */
export const seeded = (seed) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  /** From `min` to `max`, both possible. */
  const between = (min, max) => min + Math.floor(next() * (max - min + 1))
  return {
    next,
    between,
    chance: (p) => next() < p,
    pick: (list) => list[Math.floor(next() * list.length)]
  }
}
