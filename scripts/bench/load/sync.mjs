/** Reads the catch-up of a `stratix.sync.v1` client: `stratix:sync` messages, each followed by `count` events, until one has no `more`. */

/** `onLive(modes)` is told how the client was brought to the head. */
export const followSync = (connection, onLive) => {
  const modes = new Set()
  let left = 0
  let more = true
  connection.onText = (text) => {
    const { eventType, payload } = JSON.parse(text.toString())
    const expected = left > 0 ? "stratix:events" : "stratix:sync"
    if (eventType !== expected) throw new Error(`expected ${expected}, got ${text}`)
    if (left > 0) {
      left -= payload.events.length
    } else {
      modes.add(payload.mode)
      left = payload.count
      more = payload.more === true
    }
    if (left > 0 || more) return
    connection.onText = undefined
    onLive(modes)
  }
}
