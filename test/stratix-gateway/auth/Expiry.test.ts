import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, TestClock } from "effect"
import { StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agentsOf, withTokens } from "../support/authentication.js"
import { bearer, refusal, refusedBy, secretOf, token } from "../support/gateway.js"

describe("expiry", () => {
  const at = (millis: number) => ({ expiresAt: DateTime.unsafeMake(millis) })
  const tokens = [
    token("one", ["subscribe"], at(90_000)),
    token("two", ["subscribe"], at(60_001)),
    token("far", ["subscribe"], at(40 * 24 * 60 * 60 * 1000)),
    token("never", ["subscribe"])
  ]

  it.effect("closes with 4401 at its very moment, each at its own", () =>
    Effect.gen(function* () {
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      const two = yield* TestClients.connect({ protocols: ["stratix.sync.v1"], ...bearer(secretOf("two")) })
      const never = yield* TestClients.connect(bearer(secretOf("never")))
      yield* TestClock.adjust("60000 millis")
      assert.isTrue(yield* two.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* two.closed, { code: 4401, reason: "the token has expired" })
      yield* TestClock.adjust("29998 millis")
      assert.isTrue(yield* one.isOpen)
      const count = yield* refusedBy("expired", TestClock.adjust("1 millis"))
      assert.deepStrictEqual(yield* one.closed, { code: 4401, reason: "the token has expired" })
      assert.strictEqual(count, 1)
      assert.isTrue(yield* never.isOpen)
      assert.strictEqual((yield* refusal(bearer(secretOf("one")))).status, 401)
      assert.match((yield* refusal(bearer(secretOf("one")))).message, /has expired/)
    }).pipe(Effect.provide(withTokens(tokens)))
  )

  it.effect("beyond the 24.8 days of a JavaScript timer comes then, not before", () =>
    Effect.gen(function* () {
      const far = yield* TestClients.connect(bearer(secretOf("far")))
      yield* TestClock.adjust(40 * 24 * 60 * 60 * 1000 - 1)
      assert.isTrue(yield* far.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* far.closed).code, 4401)
    }).pipe(
      // A slow heartbeat, for virtual time to be quick.
      Effect.provide(withTokens(tokens, { heartbeatInterval: "12 days", heartbeatTimeout: "24 days" }))
    )
  )

  it.effect("concerns nobody who has left", () =>
    Effect.gen(function* () {
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      yield* one.close()
      assert.strictEqual(yield* refusedBy("expired", TestClock.adjust("2 minutes")), 0)
    }).pipe(Effect.provide(withTokens(tokens)))
  )

  it.effect("lets a client that does not read no longer stay: what it gets after it thaws is the close", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      yield* one.freeze
      yield* TestClock.adjust("90 seconds")
      yield* notifyAgentStatus("a", "busy")
      yield* StatusSyncTest.settled
      yield* one.thaw
      assert.strictEqual((yield* one.closed).code, 4401)
      assert.deepStrictEqual(agentsOf(yield* one.received), [])
    }).pipe(Effect.provide(withTokens(tokens, { heartbeatTimeout: "10 minutes" })))
  )
})
