/**
 * A rate, and a burst above it.
 */

/**
 * A token bucket, kept as one number: when it will be full again, in milliseconds on the monotonic clock (0: it is full).
 * It needs no timer to refill it, and a full bucket need not be kept.
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

  /** Milliseconds until the bucket has a token; 0 if it has one. With a `share` below 1, as if it held only so much of what it does. */
  wait(fullAt: number, now: number, share = 1): number {
    return Math.max(0, fullAt + this.each - Math.max(this.each, this.window * share) - now)
  }

  /** When the bucket is full again after taking `count` now, even in advance. */
  take(fullAt: number, now: number, count: number): number {
    return Math.max(fullAt, now) + count * this.each
  }

  /** By how many milliseconds the bucket is overdrawn; 0 or less if it is not. */
  excess(fullAt: number, now: number): number {
    return fullAt - this.window - now
  }
}

/** Buckets kept. Above this the least recently used one is dropped, and is full when its name returns. */
const MAX_BUCKETS = 10_000

/** A bucket for each name. */
export class KeyedTokenBuckets {
  private readonly fullAt = new Map<string, number>()

  constructor(private readonly rate: TokenBucket) {}

  /** Milliseconds until `name` has a token; 0 if it has one. */
  wait(name: string, now: number): number {
    return this.rate.wait(this.fullAt.get(name) ?? 0, now)
  }

  /** Takes `count` tokens, in advance if there are fewer: then the next one takes longer. */
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
