/** A binary heap by time: O(1) to see the nearest entry, O(log n) to add and to remove one. */

/** An entry of a heap. */
export interface HeapEntry {
  /** In milliseconds; must not change while the entry is in a heap. */
  readonly at: number
  /** Index in the heap; -1 while it is in none. */
  place: number
}

/** Entries, the nearest first. */
export class Heap<E extends HeapEntry> {
  private readonly entries: Array<E> = []

  get size(): number {
    return this.entries.length
  }

  nearest(): E | undefined {
    return this.entries[0]
  }

  add(entry: E): void {
    this.rise(entry, this.entries.length)
  }

  remove(entry: E): void {
    const { place } = entry
    if (place === -1) return
    entry.place = -1
    const last = this.entries.pop()
    if (last === undefined || last === entry) return
    // The last entry moves into the free place, and may belong above or below it.
    this.rise(last, place)
    this.sink(last)
  }

  private put(entry: E, place: number): void {
    this.entries[place] = entry
    entry.place = place
  }

  private rise(entry: E, from: number): void {
    let place = from
    while (place > 0) {
      const above = this.entries[(place - 1) >> 1]
      if (above === undefined || above.at <= entry.at) break
      this.put(above, place)
      place = (place - 1) >> 1
    }
    this.put(entry, place)
  }

  private sink(entry: E): void {
    let { place } = entry
    while (true) {
      const left = this.entries[2 * place + 1]
      const right = this.entries[2 * place + 2]
      const nearer = left !== undefined && right !== undefined && right.at < left.at ? right : left
      if (nearer === undefined || nearer.at >= entry.at) break
      const free = nearer.place
      this.put(nearer, place)
      place = free
    }
    this.put(entry, place)
  }
}
