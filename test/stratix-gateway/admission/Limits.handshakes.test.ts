import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { Authenticator } from "../../../src/stratix-gateway/index.js"
import { TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, port, refusal, refusedBy, secretOf, token } from "../support/gateway.js"
import { over, overWs } from "../support/gateways.js"

describe("handshakes", () => {
  const never = Layer.scoped(
    Authenticator.Authenticator,
    Authenticator.make({ verifiers: [{ verify: () => Effect.never }] })
  )

  it.effect("under way above the limit are refused with 503 and Retry-After", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkAll([TestClients.connect(), TestClients.connect()])
      yield* Effect.yieldNow()
      const count = yield* refusedBy(
        "handshakes",
        Effect.gen(function* () {
          const refused = yield* refusal()
          assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
        })
      )
      assert.strictEqual(count, 1)
      yield* Fiber.interrupt(waiting)
      const next = yield* Effect.fork(refusal())
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(next)).reason, "unavailable")
    }).pipe(Effect.provide(over({ maxHandshakes: 2 }, never)))
  )

  it.effect("that nobody decides on end with 503 at the handshake timeout, to the millisecond", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(refusal())
      yield* TestClock.adjust("9999 millis")
      assert.isTrue((yield* Fiber.poll(waiting))._tag === "None")
      yield* TestClock.adjust("1 millis")
      const refused = yield* Fiber.join(waiting)
      assert.deepStrictEqual([refused.status, refused.reason], [503, "unavailable"])
      assert.match(refused.message, /too long/)
    }).pipe(Effect.provide(over({}, never)))
  )

  it.effect("in a second: five seconds' worth at once, then as many as the rate gives back", () =>
    Effect.gen(function* () {
      yield* Effect.replicateEffect(TestClients.connect(), 50)
      const count = yield* refusedBy(
        "handshake_rate",
        Effect.gen(function* () {
          const refused = yield* refusal()
          assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
        })
      )
      assert.strictEqual(count, 1)
      yield* TestClock.adjust("99 millis")
      yield* refusal()
      yield* TestClock.adjust("1 millis")
      yield* TestClients.connect()
      yield* refusal()
      yield* TestClock.adjust("1 second")
      yield* Effect.replicateEffect(TestClients.connect(), 10)
      yield* refusal()
    }).pipe(Effect.provide(over({ handshakeRate: 10 })))
  )

  const tokens = Authenticator.layerTokens([token("dash", ["subscribe"])])
  const good = bearer(secretOf("dash"))

  it.effect("that are refused use up the budget of their own address, and of no other", () =>
    Effect.gen(function* () {
      const junk = { remoteAddress: "203.0.113.66" }
      for (const status of [401, 401, 401, 429, 429]) assert.strictEqual((yield* refusal(junk)).status, status)
      for (let n = 0; n < 1000; n++) yield* refusal(junk)
      assert.strictEqual((yield* refusal({ ...junk, ...good })).status, 429)
      yield* TestClients.connect({ remoteAddress: "203.0.113.7", ...good })
      // Thirty were taken, five are given back each second, and there is room for 25.
      yield* TestClock.adjust("1200 millis")
      yield* TestClients.connect({ ...junk, ...good })
    }).pipe(Effect.provide(over({ handshakeRate: 100, maxConnectionsPerAddress: 25 }, tokens)))
  )

  it.effect("of addresses that had a connection within ten minutes come before those of strangers", () =>
    Effect.gen(function* () {
      const known = { remoteAddress: "203.0.113.7", ...good }
      const client = yield* TestClients.connect(known)
      yield* client.drop
      const strangers = Effect.forEach(
        Array.from({ length: 60 }, (_, n) => n),
        (n) => Effect.map(refusal({ remoteAddress: `198.51.100.${n}` }), ({ status }) => status)
      )
      const statuses = yield* strangers
      assert.strictEqual(statuses.filter((status) => status === 401).length, 24)
      assert.strictEqual(statuses.filter((status) => status === 503).length, 36)
      yield* TestClients.connect(known)
      assert.strictEqual((yield* refusal({ remoteAddress: "203.0.113.8", ...good })).status, 503)
      yield* TestClock.adjust("10 seconds")
      yield* TestClients.connect({ remoteAddress: "203.0.113.8", ...good })
    }).pipe(Effect.provide(over({ handshakeRate: 10 }, tokens)))
  )

  const raw = (text: string) =>
    Effect.flatMap(port, (to) =>
      Effect.async<string>((resume) => {
        const socket = Net.connect(to, "127.0.0.1", () => socket.write(text))
        let answer = ""
        socket.on("data", (data: Buffer) => {
          answer += data.toString()
        })
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.succeed(answer)))
      })
    )
  const body = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4))

  it.live("whose header does not come to its end are answered with 408 and closed", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "timeout",
        Effect.gen(function* () {
          for (const begun of ["", "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"]) {
            const answer = yield* raw(begun)
            assert.match(answer, /^HTTP\/1\.1 408 /)
            assert.deepStrictEqual(body(answer), { error: "RequestTimeout", message: "the request took too long" })
          }
        })
      )
      assert.strictEqual(count, 2)
    }).pipe(Effect.provide(overWs({ handshakeTimeout: "100 millis", requestTimeout: "200 millis" })))
  )

  it.live("and requests whose body does not come to its end, likewise", () =>
    Effect.gen(function* () {
      const answer = yield* raw(
        "POST /api/stratix/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
      )
      assert.match(answer, /^HTTP\/1\.1 408 /)
    }).pipe(Effect.provide(overWs({ handshakeTimeout: "100 millis", requestTimeout: "200 millis" })))
  )

  it.live("with a header above the limit are answered with 431", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "header_size",
        Effect.gen(function* () {
          const answer = yield* raw(`GET / HTTP/1.1\r\nhost: x\r\ncookie: ${"x".repeat(3000)}\r\n\r\n`)
          assert.match(answer, /^HTTP\/1\.1 431 /)
        })
      )
      assert.strictEqual(count, 1)
      yield* TestClients.connect({ headers: { cookie: "x".repeat(1000) } })
    }).pipe(Effect.provide(overWs({ maxHeaderBytes: 2048 })))
  )

  it.live("that are no HTTP are answered with 400, and end nothing else", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      for (const junk of [
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00"
      ]) {
        assert.match(yield* raw(junk), /^HTTP\/1\.1 400 /)
      }
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(overWs()))
  )
})

describe("a handshake whose extensions are malformed", () => {
  it.live("is refused with 400 as JSON, and counted, where `ws` itself finds it out", () =>
    Effect.gen(function* () {
      const headers = { "sec-websocket-extensions": "permessage-deflate; =" }
      const count = yield* refusedBy(
        "malformed",
        Effect.gen(function* () {
          const refused = yield* refusal({ headers })
          assert.strictEqual(refused.status, 400)
          assert.deepInclude(JSON.parse(refused.message), { error: "malformed" })
        })
      )
      assert.strictEqual(count, 1)
      assert.isTrue(yield* (yield* TestClients.connect()).isOpen)
    }).pipe(Effect.provide(overWs({ compression: true, maxConnections: 1 })))
  )
})

describe("a gateway with a tiny high-water mark", () => {
  it.live("still greets, though the answer to the upgrade counts as unsent", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      assert.strictEqual((yield* client.take).eventType, "stratix:connected")
    }).pipe(Effect.timeout("10 seconds"), Effect.provide(overWs({ highWaterMark: 1 })))
  )
})
