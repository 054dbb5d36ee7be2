/** Loaded before the gateway: its wall clock is right, an hour ahead and an hour behind by turns, each for a second. What measures time by it goes wrong; the monotonic clock goes on. */
const HOUR = 3_600_000
const offsets = [0, HOUR, 0, -HOUR]
const now = Date.now
const begun = performance.now()
Date.now = () => now() + (offsets[Math.floor((performance.now() - begun) / 1000) % offsets.length] ?? 0)
