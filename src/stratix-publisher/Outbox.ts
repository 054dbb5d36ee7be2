/**
 * What was said and is not yet published: of each key only the newest.
 *
 * @since 0.1.0
 */

/** An event to publish, as JSON. */
export interface Item {
  /** What it is the newest state of; `undefined`: of nothing. */
  readonly key: string | undefined
  readonly json: string
}

/** Bound: `capacity` events; above it the oldest are dropped and counted. */
export class Outbox {
  private readonly items = new Map<string, Item>()
  private keyless = 0
  private lost = 0

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.items.size
  }

  /** Events that were dropped, because more waited than there is room for. */
  get dropped(): number {
    return this.lost
  }

  has(key: string): boolean {
    return this.items.has(key)
  }

  /** Adds an event, in place of an older one with its key. */
  add(item: Item): void {
    // No key of an event begins like this.
    const name = item.key ?? `#${this.keyless++}`
    this.items.delete(name)
    this.items.set(name, item)
    for (const oldest of this.items.keys()) {
      if (this.items.size <= this.capacity) break
      this.items.delete(oldest)
      this.lost++
    }
  }

  /** Takes an event back that has become pointless. */
  delete(key: string): void {
    this.items.delete(key)
  }

  /** Puts events back in front that were not published after all, unless there are newer ones. */
  restore(items: ReadonlyArray<Item>): void {
    const later = [...this.items.values()]
    const isOld = ({ key }: Item) => key !== undefined && this.items.has(key)
    const earlier = items.filter((item) => !isOld(item))
    this.items.clear()
    for (const item of [...earlier, ...later]) this.add(item)
  }

  /** Removes the oldest events: at most so many, and no more than about so many characters. */
  take(count: number, characters: number): ReadonlyArray<Item> {
    const taken: Array<Item> = []
    let size = 0
    for (const [name, item] of this.items) {
      if (taken.length >= count || (taken.length > 0 && size + item.json.length > characters)) break
      taken.push(item)
      size += item.json.length
      this.items.delete(name)
    }
    return taken
  }
}
