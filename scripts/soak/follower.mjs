/**
 * A well-behaved client that checks the laws while it follows: order, exactness, resume; at the end of the run its state.
 *
 * What it receives is put in line at once and looked at later, when the ledger knows it: a client may hear of an event before the
 * publisher has heard of its place.
 */
import WebSocket from "ws"
import { EventStream } from "../lib/event-stream.mjs"
import { admits, endedKeyOf, keyOf, seqOf } from "./ledger.mjs"

const SYNC = "stratix.sync.v1"

/** By then the ledger knows every event that was published before a client connected. A plain client is not told when its snapshot is over: what was published after that is none of it. */
const LEDGER_KNOWS_MS = 5000

const queryOf = (filter) =>
  Object.entries(filter).map(([name, values]) => `${name}=${values.map(encodeURIComponent).join(",")}`)

export class Follower {
  /** Newest event of each key: its request id. */
  state = new Map()
  connections = 0
  conflations = 0
  resumes = 0
  snapshots = 0
  lost = 0
  received = 0
  /** Cut off by the gateway; only slow ones may be. */
  cut = 0
  isOpen = false
  #socket
  #filter
  /** Offset of the newest event, or of the newest end of a catch-up. */
  #offset
  /** Events of a catch-up that are still to come, and what follows them. */
  #announced = 0
  #afterwards
  #line = []
  /** Everything up to this place was received, as far as the filter lets it through; `undefined`: not known yet. */
  #exactTo
  #lastSeq = 0
  #free = true
  /** The first event beyond this place ends a catch-up of which a plain client is not told the end. */
  #freeTo
  #timer
  /** Sequence numbers of each publisher. */
  #last = new Map()
  #checkedFilter
  /** Whether it was told the whole state for its filter: plain clients are only by a snapshot at the beginning. */
  #knowsAll = false

  /** `kind`: `{ sync, stream, snapshot, slow, filter }`, where an event stream is a sync client; `broken(text)` is told what breaks a law. */
  constructor({ broken, kind, ledger, name, port }) {
    this.kind = kind
    this.name = name
    this.#filter = kind.filter
    this.#checkedFilter = kind.filter
    this.ledger = ledger
    this.port = port
    this.broken = (text) => broken(`${name} (${kind.title}): ${text}`)
  }

  /** Connects; with `resume`, from where it was. Resolves when it is in. */
  connect(resume) {
    const { kind } = this
    const since = resume && kind.sync ? this.#offset : undefined
    if (since === undefined) {
      this.state.clear()
      this.#offset = undefined
      this.#knowsAll = kind.sync || kind.snapshot === true
      this.#line.push({ do: "forget" })
    }
    const query = queryOf(this.#filter)
    if (since !== undefined) query.push(`since=${since}`)
    if (kind.snapshot) query.push("snapshot=true")
    const socket = kind.stream
      ? new EventStream(this.port, `/api/stratix/stream?${query.join("&")}`)
      : new WebSocket(`ws://127.0.0.1:${this.port}/?${query.join("&")}`, kind.sync ? [SYNC] : [], {
          perMessageDeflate: false
        })
    this.#socket = socket
    this.connections++
    this.#announced = 0
    this.#line.push({ do: "connect" })
    return new Promise((/** @type {(done: void) => void} */ resolve) => {
      socket.on("message", (data) => {
        // A socket that was left may still have something to say; it does not matter any more.
        if (this.#socket !== socket) return
        const message = JSON.parse(data.toString())
        if (message.eventType === "stratix:connected") {
          this.isOpen = true
          if (kind.sync) this.#line.push({ do: "wait" })
          else if (kind.snapshot) {
            this.#line.push({ do: "wait" })
            this.#timer = setTimeout(() => this.#line.push({ do: "exact", after: this.ledger.head }), LEDGER_KNOWS_MS)
          }
          resolve()
        } else this.#onMessage(message)
      })
      socket.on("error", (error) => {
        if (!kind.slow && this.#socket === socket) this.broken(`error ${error.message}`)
        resolve()
      })
      socket.on("close", (code) => {
        clearTimeout(this.#timer)
        if (this.#socket !== socket) return
        this.isOpen = false
        this.cut++
        if (!kind.slow) this.broken(`closed by the gateway with ${code}`)
        resolve()
      })
    })
  }

  /** Ends the connection: properly, or as one whose network is gone. */
  leave(properly) {
    const socket = this.#socket
    this.#socket = undefined
    this.isOpen = false
    clearTimeout(this.#timer)
    if (properly) socket?.close(1000)
    else socket?.terminate()
  }

  pause() {
    this.#socket?.pause()
  }

  read() {
    this.#socket?.resume()
  }

  refilter(filter) {
    // What a stream is for is said in its URL.
    if (this.isOpen && !this.kind.stream) this.#socket?.send(JSON.stringify({ type: "subscribe", ...filter }))
  }

  #onMessage(message) {
    switch (message.eventType) {
      case "stratix:heartbeat":
        return
      case "stratix:events":
        for (const event of message.payload.events) this.#onMessage(event)
        return
      case "stratix:sync":
        return this.#onSync(message.payload)
      case "stratix:subscribed":
        this.#filter = Object.fromEntries(
          Object.entries(message.payload).map(([name, values]) => [
            name,
            values.map((value) => value.replace("stratix:", ""))
          ])
        )
        // Until the snapshot for the new filter has come, there is nothing to resume from.
        if (this.kind.sync) this.#offset = undefined
        else {
          this.state.clear()
          this.#knowsAll = false
        }
        this.#line.push({ do: "filter", filter: this.#filter })
        return
      case "stratix:error":
        // Asked for before the first event of its type was published.
        if (message.payload.reason === "unknown event type") return
        return this.broken(`was told ${JSON.stringify(message)}`)
      case "stratix:closing":
        return this.broken(`was told ${JSON.stringify(message)}`)
    }
    this.received++
    if (message.offset !== undefined) {
      // Not one that was under way while the filter changed.
      if (this.#offset !== undefined || this.#announced > 0) this.#offset = message.offset
    } else if (this.kind.sync) this.broken(`an event without an offset: ${message.requestId}`)
    const key = keyOf(message)
    if (key !== undefined) this.state.set(key, message.requestId)
    const ended = endedKeyOf(message)
    if (ended !== undefined) this.state.delete(ended)
    this.#line.push({ do: "event", id: message.requestId, offset: message.offset })
    if (this.#announced > 0 && --this.#announced === 0) this.#onCaughtUp()
  }

  #onCaughtUp() {
    this.#line.push(this.#afterwards)
    this.#offset = this.#afterwards.offset
  }

  #onSync({ count, from, lost, mode, more, to }) {
    if (this.#announced > 0) this.broken(`a sync message in the middle of a catch-up`)
    if (mode === "snapshot") this.state.clear()
    if (mode === "resume") {
      this.resumes++
      if (lost !== 0) this.broken("a resume that lost something")
    } else if (mode === "conflated") this.conflations++
    else this.snapshots++
    this.lost += lost
    this.#line.push({ do: mode, seq: from === undefined ? 0 : seqOf(from) })
    this.#afterwards = { do: "to", mode, offset: to, seq: seqOf(to), more: more === true }
    this.#announced = count
    if (count === 0) this.#onCaughtUp()
  }

  /** Looks at what was received, as far as the ledger knows it. */
  check() {
    let done = 0
    for (const item of this.#line) {
      if (item.do === "event") {
        const seq = this.ledger.seq(item.id)
        if (seq === undefined || seq > this.ledger.head) break
        this.#checkEvent(item, seq)
      } else if (item.seq > this.ledger.head) break
      else this.#checkTurn(item)
      done++
    }
    if (done > 0) this.#line = this.#line.slice(done)
  }

  #checkTurn(item) {
    switch (item.do) {
      case "forget":
        this.#exactTo = undefined
        this.#free = false
        this.#freeTo = undefined
        this.#lastSeq = 0
        this.#last.clear()
        return
      case "connect":
        return
      case "wait":
        this.#free = true
        return
      case "exact":
        this.#freeTo = item.after
        return
      case "filter":
        this.#checkedFilter = item.filter
        this.#exactTo = undefined
        this.#free = this.kind.sync
        this.#freeTo = undefined
        return
      case "snapshot":
        this.#free = true
        this.#exactTo = undefined
        this.#lastSeq = 0
        this.#last.clear()
        return
      case "conflated":
        this.#checkGap(item.seq + 1)
        this.#free = true
        this.#exactTo = undefined
        return
      case "resume":
        // The gateway's cursor may be beyond the last event that came, never beyond one that should have come.
        this.#checkGap(item.seq + 1)
        if (this.#exactTo !== undefined) {
          this.#exactTo = Math.max(this.#exactTo, item.seq)
          this.#free = false
        }
        return
      case "to":
        if (!this.#free) this.#checkGap(item.seq + 1)
        if (item.mode === "resume" || !item.more) {
          this.#exactTo = item.seq
          this.#free = false
        }
    }
  }

  #checkEvent({ id, offset }, seq) {
    const entry = this.ledger.at(seq)
    if (offset !== undefined && seqOf(offset) !== seq) this.broken(`${id} came with the offset of another event`)
    if (!admits(this.#checkedFilter, entry))
      this.broken(`${id} is outside its filter ${JSON.stringify(this.#checkedFilter)}`)
    if (seq <= this.#lastSeq) this.broken(`order: ${id} at ${seq} after ${this.#lastSeq}`)
    if (entry.n <= (this.#last.get(entry.publisher) ?? 0))
      this.broken(`order: ${id} after ${this.#last.get(entry.publisher)}`)
    this.#lastSeq = seq
    this.#last.set(entry.publisher, entry.n)
    if (this.#freeTo !== undefined && seq > this.#freeTo) {
      this.#freeTo = undefined
      this.#free = false
    }
    if (this.#free) return
    if (this.#exactTo !== undefined) this.#checkGap(seq)
    this.#exactTo = seq
  }

  /** Nothing its filter lets through lies between where it is and `seq`. */
  #checkGap(seq) {
    if (this.#exactTo === undefined) return
    for (let missing = this.#exactTo + 1; missing < seq; missing++) {
      const entry = this.ledger.at(missing)
      if (admits(this.#checkedFilter, entry)) this.broken(`lost ${entry.requestId} at ${missing}, before ${seq}`)
    }
  }

  /** Whether everything in the log is with it. */
  get isThere() {
    if (!this.isOpen || this.#line.length > 0) return false
    if (this.#exactTo === undefined || this.#free) return !this.kind.sync
    for (let seq = this.#exactTo + 1; seq <= this.ledger.head; seq++) {
      if (admits(this.#checkedFilter, this.ledger.at(seq))) return false
    }
    return true
  }

  /** Compares what it folded with the state of the gateway: `[{ eventType, payload, requestId }]`. A plain client at the head knows only what it saw. */
  compare(events) {
    const wrong = []
    const theirs = new Map()
    for (const event of events) {
      const { agentId, commandId } = event.payload
      if (admits(this.#filter, { eventType: event.eventType, agentId, commandId }))
        theirs.set(keyOf(event), event.requestId)
    }
    for (const [key, id] of theirs) {
      const ours = this.state.get(key)
      if (ours === undefined && !this.#knowsAll) continue
      if (ours !== id) wrong.push(`state: ${key} is ${ours}, should be ${id}`)
    }
    for (const key of this.state.keys()) {
      if (!theirs.has(key)) wrong.push(`state: ${key} is not there`)
    }
    return { compared: theirs.size, wrong }
  }

  /** What it waits for, for a report. */
  get whereabouts() {
    return `open ${this.isOpen}, in line ${this.#line.length} (${JSON.stringify(this.#line[0])}), exact to ${this.#exactTo}, head ${this.ledger.head}`
  }
}
