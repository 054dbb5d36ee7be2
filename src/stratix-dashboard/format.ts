/** Numbers and times as the page writes them. */

/** Between a number and its unit no line ends. */
const NBSP = "\u00a0"

/** A duration: `350 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`. */
export const duration = (millis: number): string => {
  if (millis < 1000) return `${Math.max(0, Math.round(millis))}${NBSP}ms`
  const seconds = millis / 1000
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${NBSP}s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes}${NBSP}min ${Math.round(seconds % 60)}${NBSP}s`
    : `${Math.floor(minutes / 60)}${NBSP}h ${minutes % 60}${NBSP}min`
}

/** A moment, as a time of day. */
export const time = (millis: number): string => new Date(millis).toLocaleTimeString()

/** A moment, with its day where that is not today. */
export const moment = (millis: number): string => {
  const at = new Date(millis)
  return at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString()
}

/** Any JSON, on as many lines as it needs. */
export const json = (value: unknown): string => JSON.stringify(value, null, 2)
