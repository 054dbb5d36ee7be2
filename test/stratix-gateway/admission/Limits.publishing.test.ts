import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { refusedBy, request, secretOf, token } from "../support/gateway.js"
import { overWs } from "../support/gateways.js"

describe("what is published over HTTP", () => {
  const event = { eventType: "stratix:note", payload: {} }
  const publish = (name: string, body: unknown) =>
    request("POST", "/api/stratix/events", { body, token: secretOf(name) })
  const tokens = Authenticator.layerTokens([token("one", ["publish"]), token("two", ["publish"])])

  it.scoped("is limited for each token by the second: 429 with Retry-After", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        (yield* publish(
          "one",
          Array.from({ length: 20 }, () => event)
        )).status,
        202
      )
      const count = yield* refusedBy(
        "publish_rate",
        Effect.gen(function* () {
          const refused = yield* publish("one", event)
          assert.strictEqual(refused.status, 429)
          assert.strictEqual(refused.headers["retry-after"], "1")
          assert.deepStrictEqual(refused.body, {
            error: "TooMany",
            message: "one publishes more than 10 events a second"
          })
        })
      )
      assert.strictEqual(count, 1)
      assert.strictEqual((yield* publish("two", event)).status, 202)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* publish("one", event)).status, 202)
      assert.strictEqual((yield* publish("one", event)).status, 429)
    }).pipe(Effect.provide(overWs({ publishRate: 10 }, tokens)))
  )

  it.scoped("may be one array larger than the rate, which then has to be waited for", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        (yield* publish(
          "one",
          Array.from({ length: 100 }, () => event)
        )).status,
        202
      )
      const refused = yield* publish("one", event)
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [429, "9"])
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual((yield* publish("one", event)).status, 429)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* publish("one", event)).status, 202)
    }).pipe(Effect.provide(overWs({ publishRate: 10 }, tokens)))
  )

  it.scoped("is limited by the address where nobody is asked for a token", () =>
    Effect.gen(function* () {
      const by = (address: string) =>
        request("POST", "/api/stratix/events", { body: event, headers: { "x-forwarded-for": address } })
      for (let n = 0; n < 2; n++) assert.strictEqual((yield* by("203.0.113.7")).status, 202)
      assert.strictEqual((yield* by("203.0.113.7")).status, 429)
      assert.strictEqual((yield* by("203.0.113.8")).status, 202)
    }).pipe(Effect.provide(overWs({ publishRate: 1, trustedProxies: ["127.0.0.1"] })))
  )

  it.live("is counted where its body or its array is too large", () =>
    Effect.gen(function* () {
      const large = { eventType: "stratix:note", payload: { pad: "x".repeat(2000) } }
      assert.strictEqual(yield* refusedBy("body_size", publish("one", large)), 1)
      assert.strictEqual(yield* refusedBy("array_length", publish("one", [])), 1)
    }).pipe(Effect.provide(overWs({ maxBodyBytes: 1000 }, tokens)))
  )
})
