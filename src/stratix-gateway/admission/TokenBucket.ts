/**
 * So many a second, and so many at once.
 *
 * @since 0.1.0
 */

/**
 * A token bucket, kept as one number: when it will be full again (on the monotonic clock, in milliseconds; 0: long ago).
 * Nothing has to refill it, so it costs no timer, and a bucket that is full again is as good as none.
 *
 * @since 0.1.0
 * @category models
 */
export class TokenBucket {
  /** Milliseconds until one is given back. */
  private readonly each: number
  /** Milliseconds until an empty bucket is full. */
  readonly window: number

  /** `perSecond` 0: no limit. The bucket holds what `seconds` give. */
  constructor(perSecond: number, seconds: number) {
    this.each = perSecond === 0 ? 0 : 1000 / perSecond
    this.window = perSecond === 0 ? Number.POSITIVE_INFINITY : Math.max(seconds * 1000, this.each)
  }

  /** Milliseconds until there is one in the bucket; 0: there is. */
  wait(fullAt: number, now: number): number {
    return Math.max(0, fullAt + this.each - this.window - now)
  }

  /** When the bucket is full again after `count` are taken now, whether they are in it or not. */
  take(fullAt: number, now: number, count: number): number {
    return Math.max(fullAt, now) + count * this.each
  }

  /** By how many milliseconds more was taken than there was; 0 or less: nothing. */
  excess(fullAt: number, now: number): number {
    return fullAt - this.window - now
  }
}

/** Names whose bucket is remembered. Above it the one used longest ago leaves, and is full if it comes back. */
const MAX_BUCKETS = 10_000

/** A bucket for each name.
 * @since 0.1.0
 * @category models */
export class KeyedTokenBuckets {
  private readonly fullAt = new Map<string, number>()

  constructor(private readonly rate: TokenBucket) {}

  /** Milliseconds until `name` has one; 0: it has. */
  wait(name: string, now: number): number {
    return this.rate.wait(this.fullAt.get(name) ?? 0, now)
  }

  /** Takes `count` of them, in advance where there are not so many: then it is longer until there is one again. */
  take(name: string, now: number, count: number): void {
    const fullAt = this.rate.take(this.fullAt.get(name) ?? 0, now, count)
    this.fullAt.delete(name)
    this.fullAt.set(name, fullAt)
    if (this.fullAt.size <= MAX_BUCKETS) return
    for (const oldest of this.fullAt.keys()) {
      this.fullAt.delete(oldest)
      return
    }
  }
}
