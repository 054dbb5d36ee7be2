/** Reads the catch-up of a `stratix.sync.v1` client: `stratix:sync` messages, each followed by `count` events, until one has no `more`. */
const SYNC = '{"eventType":"stratix:sync"'

/** `onLive(modes)` is told how the client was brought to the head. */
export const followSync = (connection, onLive) => {
  const modes = new Set()
  let left = 0
  let more = true
  connection.onText = (payload) => {
    if (left > 0) {
      left--
    } else {
      if (payload.toString("latin1", 0, SYNC.length) !== SYNC) throw new Error(`expected stratix:sync, got ${payload}`)
      const sync = JSON.parse(payload.toString()).payload
      modes.add(sync.mode)
      left = sync.count
      more = sync.more === true
    }
    if (left > 0 || more) return
    connection.onText = undefined
    onLive(modes)
  }
}
