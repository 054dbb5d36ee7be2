import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Limits from "../../../src/stratix-gateway/admission/Limits.js"
import * as SharedLimits from "../../../src/stratix-gateway/admission/SharedLimits.js"
import * as Channel from "../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../src/stratix-gateway/channel/Link.js"
import { StatusSyncConfig } from "../../../src/stratix-gateway/index.js"

const workers = (settings: Partial<StatusSyncConfig.Settings>, count = 2) =>
  Effect.gen(function* () {
    const counts = yield* Limits.counts
    return Array.from({ length: count }, () => {
      const [theirs, ours] = Channel.memory()
      const link = new Link(theirs)
      SharedLimits.serve(counts, link)
      link.open()
      const own = new Link(ours)
      own.open()
      return { end: () => own.end(), limits: SharedLimits.remote(own) }
    })
  }).pipe(Effect.provide(StatusSyncConfig.layer(settings)))

describe("the limits of a gateway with workers", () => {
  it.effect("count the connections of all, and what a worker held that has ended is free again", () =>
    Effect.gen(function* () {
      const [one, two] = yield* workers({ maxConnections: 3 })
      if (one === undefined || two === undefined) return assert.fail("two workers")
      const permits = [yield* one.limits.acquire("10.0.0.1"), yield* one.limits.acquire("10.0.0.1")]
      yield* two.limits.acquire("10.0.0.2")
      for (const { limits } of [one, two]) {
        assert.strictEqual((yield* Effect.flip(limits.acquire("10.0.0.3"))).reason, "connections")
      }
      permits[0]?.handshakeDone("admitted")
      permits[0]?.release()
      permits[0]?.release()
      const third = yield* two.limits.acquire("10.0.0.3")
      assert.strictEqual((yield* Effect.flip(two.limits.acquire("10.0.0.3"))).reason, "connections")
      third.handshakeDone("undecided")
      two.end()
      yield* one.limits.acquire("10.0.0.1")
      yield* one.limits.acquire("10.0.0.1")
      assert.strictEqual((yield* Effect.flip(one.limits.acquire("10.0.0.1"))).reason, "connections")
    })
  )

  it.effect("count each address over all workers", () =>
    Effect.gen(function* () {
      const [one, two] = yield* workers({ maxConnectionsPerAddress: 2, handshakeRate: 0 })
      if (one === undefined || two === undefined) return assert.fail("two workers")
      yield* one.limits.acquire("10.0.0.1")
      yield* two.limits.acquire("10.0.0.1")
      assert.strictEqual((yield* Effect.flip(one.limits.acquire("10.0.0.1"))).reason, "connections_per_address")
      yield* one.limits.acquire("10.0.0.2")
    })
  )

  it.effect("a client that leaves before the answer holds nothing", () =>
    Effect.gen(function* () {
      const [one] = yield* workers({ maxConnections: 1 }, 1)
      if (one === undefined) return assert.fail("a worker")
      const asked = yield* Effect.fork(one.limits.acquire("10.0.0.1"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(asked)
      yield* one.limits.acquire("10.0.0.1")
    })
  )

  it.effect("a publisher has one rate, whichever workers it asks", () =>
    Effect.gen(function* () {
      const [one, two] = yield* workers({ publishRate: 10 })
      if (one === undefined || two === undefined) return assert.fail("two workers")
      yield* one.limits.takePublishes("p", "p", 20)
      const exceeded = yield* Effect.flip(two.limits.takePublishes("p", "p", 0))
      assert.deepInclude(exceeded, { reason: "publish_rate", status: 429 })
      yield* two.limits.takePublishes("q", "q", 0)
    })
  )
})
