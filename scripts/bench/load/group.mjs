/** Clients that do the same, and what is counted of them. */
import { now } from "../lib/clock.mjs"
import { Connection } from "./connection.mjs"
import { followSync } from "./sync.mjs"

export class Group {
  connections = []
  messages = 0
  ended = 0
  /** The newest message of the first client, where the group speaks the sync protocol. */
  newest = undefined
  #ackEvery = 0
  #ackAt = Number.POSITIVE_INFINITY
  /** @type {{ readonly counts: Uint32Array, readonly doneAt: Array<number>, left: number }} */
  #recorded = { counts: new Uint32Array(0), doneAt: [], left: 0 }

  constructor(sayAck) {
    this.sayAck = sayAck
  }

  /**
   * Opens `count` clients, `concurrency` at a time, and resolves when each is in (a sync client: when it is live).
   * With `retryMs` a client that fails tries again after so long; else the first failure is everybody's.
   *
   * @param {{
   *   readonly count: number, readonly concurrency?: number, readonly pathOf: (client: number) => string, readonly sync?: boolean,
   *   readonly retryMs?: number, readonly port: number, readonly headers: ReadonlyArray<string>, readonly greetings: number,
   *   readonly socketio: boolean
   * }} options
   */
  connect({ count, concurrency = count, pathOf, sync, retryMs, ...options }) {
    return new Promise((resolve, reject) => {
      const start = now()
      const readyMs = []
      const syncModes = new Set()
      let opened = 0
      let retries = 0
      const open = (client) => {
        this.connections[client] = new Connection({ ...options, path: pathOf(client), handler, client })
      }
      const openNext = () => {
        if (opened < count) open(opened++)
      }
      const done = () => {
        readyMs.push((now() - start) / 1e6)
        if (readyMs.length === count) resolve({ readyMs, retries, syncModes: [...syncModes] })
        else openNext()
      }
      const live = (connection, modes) => {
        for (const mode of modes) syncModes.add(mode)
        if (connection === this.connections[0]) this.#keepNewest(connection)
        done()
      }
      const handler = {
        onReady: (connection) => (sync ? followSync(connection, (modes) => live(connection, modes)) : done()),
        onMessages: (connection, messages) => this.#onMessages(connection, messages),
        onEnd: (connection, error) => {
          if (connection.isReady) {
            this.ended++
          } else if (retryMs === undefined) {
            reject(error ?? new Error("closed before it was ready"))
          } else {
            retries++
            setTimeout(open, retryMs, connection.client)
          }
        }
      }
      for (let i = 0; i < concurrency; i++) openNext()
    })
  }

  #keepNewest(connection) {
    connection.onText = (payload) => {
      this.newest = payload.toString()
    }
  }

  /** From now on says so whenever `every` more messages have come, all clients together. */
  ackEvery(every) {
    this.#ackEvery = every
    this.#ackAt = this.messages + every
  }

  ackNoMore() {
    this.#ackAt = Number.POSITIVE_INFINITY
  }

  /** Takes the time at which the last client has each of the next `events`. Every client must get each of them. */
  record(events) {
    for (const connection of this.connections) connection.recorded = 0
    this.#recorded = { counts: new Uint32Array(events), doneAt: new Array(events).fill(0), left: events }
  }

  /** Those times; 0 where not all clients have the event (yet). */
  recorded() {
    return { doneAt: this.#recorded.doneAt, left: this.#recorded.left }
  }

  #onMessages(connection, messages) {
    this.messages += messages
    if (this.messages >= this.#ackAt) {
      this.#ackAt += this.#ackEvery
      this.sayAck()
    }
    if (this.#recorded.left > 0) this.#onRecorded(connection, messages)
  }

  #onRecorded(connection, messages) {
    const { counts, doneAt } = this.#recorded
    const everybody = this.connections.length
    for (let i = 0; i < messages; i++) {
      const event = connection.recorded++
      if (event >= counts.length) continue
      const count = (counts[event] ?? 0) + 1
      counts[event] = count
      if (count === everybody) {
        doneAt[event] = now()
        this.#recorded.left--
      }
    }
  }

  sum(field) {
    return this.connections.reduce((total, connection) => total + connection[field], 0)
  }
}
