import { assert, describe, it } from "@effect/vitest"
import { KeyedTokenBuckets, TokenBucket } from "../../../src/stratix-gateway/admission/TokenBucket.js"

describe("a token bucket", () => {
  it("holds what its seconds give, and gives one back at its rate", () => {
    const bucket = new TokenBucket(10, 2)
    assert.strictEqual(bucket.window, 2000)
    let fullAt = 0
    for (let n = 0; n < 20; n++) {
      assert.strictEqual(bucket.wait(fullAt, 1000), 0)
      fullAt = bucket.take(fullAt, 1000, 1)
    }
    assert.strictEqual(bucket.wait(fullAt, 1000), 100)
    assert.strictEqual(bucket.wait(fullAt, 1099), 1)
    assert.strictEqual(bucket.wait(fullAt, 1100), 0)
    assert.strictEqual(bucket.take(fullAt, 1100, 3), 3300)
  })

  it("holds no more after a long rest", () => {
    const bucket = new TokenBucket(10, 2)
    const fullAt = bucket.take(bucket.take(0, 1000, 20), 1_000_000, 20)
    assert.strictEqual(bucket.wait(fullAt, 1_000_000), 100)
  })

  it("tells by how much it is overdrawn", () => {
    const bucket = new TokenBucket(10, 2)
    assert.strictEqual(bucket.excess(bucket.take(0, 1000, 20), 1000), 0)
    assert.strictEqual(bucket.excess(bucket.take(0, 1000, 25), 1000), 500)
    assert.strictEqual(bucket.excess(bucket.take(0, 1000, 15), 1000), -500)
  })

  it("gives some a share only, of one token at least", () => {
    const bucket = new TokenBucket(10, 2)
    assert.strictEqual(bucket.wait(bucket.take(0, 1000, 9), 1000, 0.5), 0)
    assert.strictEqual(bucket.wait(bucket.take(0, 1000, 10), 1000, 0.5), 100)
    assert.strictEqual(bucket.wait(0, 1000, 0.001), 0)
    assert.strictEqual(bucket.wait(bucket.take(0, 1000, 1), 1000, 0.001), 100)
  })

  it("of a slow rate holds one", () => {
    const bucket = new TokenBucket(0.1, 5)
    assert.strictEqual(bucket.window, 10_000)
    assert.strictEqual(bucket.wait(0, 0), 0)
    assert.strictEqual(bucket.wait(bucket.take(0, 0, 1), 0), 10_000)
  })

  it("without a rate is never empty", () => {
    const bucket = new TokenBucket(0, 5)
    const fullAt = bucket.take(0, 1000, 1_000_000)
    assert.deepStrictEqual([bucket.wait(fullAt, 1000), bucket.excess(fullAt, 1000)], [0, Number.NEGATIVE_INFINITY])
  })
})

describe("buckets by name", () => {
  it("are each their own", () => {
    const buckets = new KeyedTokenBuckets(new TokenBucket(10, 1))
    assert.strictEqual(buckets.wait("a", 0), 0)
    buckets.take("a", 0, 7)
    buckets.take("a", 0, 7)
    assert.deepStrictEqual([buckets.wait("a", 0), buckets.wait("b", 0)], [500, 0])
  })

  it("are 10,000: one more drops the one that was used least lately", () => {
    const buckets = new KeyedTokenBuckets(new TokenBucket(10, 1))
    const waits = (name: number) => buckets.wait(`n${name}`, 0) > 0
    for (let n = 0; n < 10_000; n++) buckets.take(`n${n}`, 0, 10)
    assert.isTrue(waits(0))
    buckets.take("n0", 0, 1)
    buckets.take("n10000", 0, 10)
    assert.deepStrictEqual([0, 1, 2, 9999, 10_000].map(waits), [true, false, true, true, true])
  })
})
