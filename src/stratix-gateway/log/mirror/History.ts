/**
 * The newest part of the log: a ring of its events.
 */

import { type LogEntry, MAX_EVENT_TYPES } from "../EventLog.js"
import * as Tenant from "../Tenant.js"
import type { Place } from "./Epochs.js"

/** Bound: `capacity` entries and `maxCharacters` of their JSON; the oldest leave. */
export class History<A extends LogEntry & Place> {
  private readonly ring: Array<A | undefined>
  /** Sequence number of the oldest. */
  first: number
  /** Sequence number of the newest; one before `first` where there is none. */
  last: number
  characters = 0
  /** The types of all its events so far, scoped by their tenants. Bound: MAX_EVENT_TYPES; publishers may invent them. */
  readonly types = new Set<string>()

  /** `after`: the sequence number before that of the first event. */
  constructor(
    private readonly capacity: number,
    private readonly maxCharacters: number,
    after = 0
  ) {
    this.ring = new Array(capacity)
    this.first = after + 1
    this.last = after
  }

  get size(): number {
    return this.last - this.first + 1
  }

  at(seq: number): A {
    const entry = this.ring[seq % this.capacity]
    if (entry === undefined || entry.seq !== seq) throw new Error(`history has no entry ${seq}`)
    return entry
  }

  /** Takes the event after the newest. */
  add(entry: A): void {
    this.last = entry.seq
    if (this.types.size < MAX_EVENT_TYPES) this.types.add(Tenant.scoped(entry.tenant, entry.eventType))
    if (this.size > this.capacity) this.characters -= this.at(this.first++).json.length
    this.ring[entry.seq % this.capacity] = entry
    this.characters += entry.json.length
    while (this.characters > this.maxCharacters && this.first < this.last) {
      this.characters -= this.at(this.first).json.length
      this.ring[this.first % this.capacity] = undefined
      this.first++
    }
  }

  /** Everything after a sequence number, or the first of it; `undefined` where some of it has left. */
  after(seq: number, count = Number.POSITIVE_INFINITY): ReadonlyArray<A> | undefined {
    if (seq < this.first - 1) return undefined
    const entries: Array<A> = []
    const last = Math.min(this.last, seq + count)
    for (let next = seq + 1; next <= last; next++) entries.push(this.at(next))
    return entries
  }
}
