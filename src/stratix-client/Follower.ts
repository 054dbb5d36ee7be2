/**
 * Follows the log over connections that come and go: what is known, up to which offset, and whether that is all.
 *
 * It knows the protocol only, neither time nor sockets. Its law: the cursor is always an offset up to which everything that the
 * filter lets through is in the state being built, so a connection may end after any message.
 */
import type { Offset, SyncMessage } from "../stratix-core/stratix-protocol.js"
import { encode, type Filter, NOTHING, toQuery } from "./Filter.js"
import type { Message } from "./Message.js"
import type { StateChanges } from "./StateChanges.js"
import { type Fold, makeFold, type StatusState } from "./StatusState.js"

/** Characters of filter that go into a URL: servers and proxies allow about 8 KiB for a request line. A longer one is sent as a message. */
const MAX_QUERY = 4096

/** What a connection does to what is known. */
export interface Follower {
  readonly state: () => StatusState
  /** Whether what is shown is all there is, for the filter that was asked for last. */
  readonly isCaughtUp: () => boolean
  /** Whether what is shown is nothing. */
  readonly isEmpty: () => boolean
  /** Up to where everything has been processed: an offset to report, not one to resume from. */
  readonly processed: () => Offset | undefined
  /** Another filter is wanted from now on; `sent` says that the server has been told. */
  readonly want: (filter: Filter, sent: boolean) => void
  /** A connection is about to be opened: the query to ask with. Where nothing can be sent later, it has all of the filter in it. */
  readonly open: (isStream: boolean) => string
  /** Returns the filter that has to be sent now, if any. */
  readonly welcome: (plain: boolean) => Filter | undefined
  /** The gateway's log is at `head`. */
  readonly heartbeat: (head: Offset) => void
  readonly sync: (payload: SyncMessage["payload"]) => void
  /** An event that cannot be read still has its place in the log. */
  readonly event: (event: Message, wellFormed: boolean) => void
  /** The oldest unanswered filter is in force; a snapshot for it follows, to sync clients. */
  readonly subscribed: () => void
  /** The oldest unanswered filter was not understood: the one before stays in force. */
  readonly rejected: () => void
}

/** Begins with nothing known. Tells every key whose shown event has changed or gone. */
export const makeFollower = (initial: Filter, changes: StateChanges): Follower => {
  let filter = initial
  // Bound: one filter for each `subscribe` that was sent on this connection and not answered.
  let pending: Array<Filter> = []
  let shown = makeFold(changes.add)
  // A snapshot replaces what is shown when it has fully arrived, so that half of a state is never shown as if it were all.
  let staged: Fold | undefined
  // Bound: the keys of both. What differs is collected while the snapshot arrives: at its end nothing of its size is left to do in one go.
  let differing = new Set<string>()
  let cursor: Offset | undefined
  let processed: Offset | undefined
  let plain = false
  // Events of the chunk still to come, and the offset after them.
  let left = 0
  let to: Offset | undefined
  // The next thing, after those, is a `stratix:sync`: until then no other event moves the cursor.
  let awaiting = true

  const isCaughtUp = () => !(awaiting || left > 0 || pending.length)

  const forget = () => {
    cursor = undefined
    staged = undefined
  }
  const awaitSync = () => {
    awaiting = true
    left = 0
  }
  const stage = () => {
    differing = new Set()
    const fold = makeFold((key) => (fold === shown ? changes : differing).add(key), shown.tables)
    return fold
  }
  const show = (fold: Fold) => {
    fold.replace()
    shown = fold
    changes.merge(differing)
    differing = new Set()
  }
  const settle = () => {
    if (staged && isCaughtUp()) {
      show(staged)
      staged = undefined
    }
  }
  const reach = (offset: Offset | undefined) => {
    cursor = offset
    processed = offset
    settle()
  }

  return {
    state: () => shown.state(),
    isCaughtUp,
    isEmpty: () => shown.isEmpty(),
    processed: () => processed,
    want: (wanted, sent) => {
      if (!sent) pending = []
      pending.push(wanted)
    },
    open: (isStream) => {
      const wanted = pending.at(-1)
      if (wanted) {
        // The cursor was obtained with another filter: resuming from it would leave out what only the new one lets through.
        forget()
        filter = wanted
        pending = []
      }
      let query = toQuery(filter)
      if (query.length > MAX_QUERY && !isStream) {
        forget()
        pending = [filter]
        query = NOTHING
      }
      awaitSync()
      // Only a plain server looks at `snapshot`: a sync one always sends what is missing.
      return `snapshot=true${query && `&${query}`}${cursor ? `&since=${encode(cursor)}` : ""}`
    },
    welcome: (isPlain) => {
      plain = isPlain
      if (plain) {
        // Nothing tells where a plain snapshot ends, nor what has gone: what was known before cannot be told from what is true.
        awaiting = false
        show(stage())
        forget()
      }
      return pending[0]
    },
    heartbeat: (head) => {
      if (isCaughtUp()) processed = head
    },
    sync: (payload) => {
      if (payload.mode === "snapshot") {
        forget()
        staged = stage()
      }
      awaiting = !!payload.more
      left = payload.count
      to = payload.to
      if (!left) reach(to)
    },
    event: (event, wellFormed) => {
      if (wellFormed) (staged ?? shown).apply(event)
      if (plain || (awaiting && left <= 0)) return
      const isLast = left > 0 && --left <= 0
      reach(isLast ? to : event.offset)
    },
    subscribed: () => {
      filter = pending.shift() ?? filter
      if (!plain) {
        forget()
        awaitSync()
      }
    },
    rejected: () => {
      pending.shift()
      settle()
    }
  }
}
