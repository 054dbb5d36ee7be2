import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Tracer } from "effect"
import type { Authenticator } from "../../../src/stratix-gateway/index.js"
import type { Limits, Transport } from "../../../src/stratix-gateway/internals.js"
import { asked, good, offering, PLAIN, principal, refusedBy, SYNC, stream, world } from "../../support/handshakes.js"

describe("a refusal", () => {
  it.scoped("tells what would be right, in the headers that HTTP has for it", () =>
    Effect.gen(function* () {
      const refused = refusedBy(yield* world())
      const headers = { allow: "GET" }
      assert.deepStrictEqual(yield* refused(asked({ method: "POST" })), { reason: "method", status: 405, headers })
      assert.deepStrictEqual(yield* refused(stream({ method: "POST" })), { reason: "method", status: 405, headers })
      assert.deepStrictEqual(yield* refused(asked({}, { upgrade: "h2c" })), {
        reason: "upgrade-required",
        status: 426,
        headers: { upgrade: "websocket", connection: "Upgrade" }
      })
      assert.deepStrictEqual(yield* refused(asked({}, { "sec-websocket-version": "8" })), {
        reason: "upgrade-required",
        status: 426,
        headers: { "sec-websocket-version": "13" }
      })
    })
  )

  it.scoped("is that of a key that is not exactly 16 bytes in base64", () =>
    Effect.gen(function* () {
      const { decide } = yield* world()
      const key = String(good.headers["sec-websocket-key"])
      for (const wrong of [`x${key}`, `${key}x`, `${key}\n`]) {
        const { status } = yield* Effect.flip(decide(asked({}, { "sec-websocket-key": wrong })))
        assert.strictEqual(status, 400)
      }
    })
  )

  it.scoped("is recorded with its reason and the client's address, and gives the permit back", () =>
    Effect.gen(function* () {
      const { decide, permits, refusals } = yield* world()
      yield* Effect.flip(decide(asked({ method: "POST" })))
      yield* Effect.flip(decide(asked({}, { ...offering("a", "a"), "x-forwarded-for": ["198.51.100.1", "10.0.0.1"] })))
      assert.deepStrictEqual(refusals, [
        ["method", "203.0.113.7"],
        ["malformed", "198.51.100.1,10.0.0.1"]
      ])
      assert.deepStrictEqual(permits, ["refused", "released", "refused", "released"])
    })
  )

  it.scoped("of a filter is that of one value more than allowed", () =>
    Effect.gen(function* () {
      const { decide } = yield* world({ settings: { maxFilterValues: 3 } })
      yield* decide(asked({ url: "/?agents=a,b,c" }))
      assert.strictEqual((yield* Effect.flip(decide(asked({ url: "/?agents=a,b,c,d" })))).status, 400)
    })
  )
})

describe("a request for an event stream", () => {
  it.scoped("is a GET without a body", () =>
    Effect.gen(function* () {
      const { decide, refusals } = yield* world()
      assert.deepInclude(yield* decide(stream()), { protocol: "stream", sync: true, subprotocol: undefined })
      yield* decide(stream({}, { "content-length": "0" }))
      for (const headers of [{ "content-length": "5" }, { "content-length": "x" }, { "transfer-encoding": "chunked" }])
        assert.strictEqual((yield* Effect.flip(decide(stream({}, headers)))).status, 400)
      assert.deepStrictEqual(
        refusals.map(([reason]) => reason),
        ["malformed", "malformed", "malformed"]
      )
    })
  )

  it.scoped("goes on after the last event that its client has, which counts more than its URL", () =>
    Effect.gen(function* () {
      const { decide } = yield* world()
      const start = (request: Transport.UpgradeRequest) => Effect.map(decide(request), (admission) => admission.start)
      const since = { url: "/?since=e-1-0" }
      const from = (offset: string) => ({ _tag: "Since", offset })
      assert.deepStrictEqual<unknown>(yield* start(stream(since, { "last-event-id": "e-2-0" })), from("e-2-0"))
      assert.deepStrictEqual<unknown>(yield* start(stream({}, { "last-event-id": "e-2-0" })), from("e-2-0"))
      assert.deepStrictEqual<unknown>(yield* start(stream(since, { "last-event-id": "" })), from("e-1-0"))
      assert.deepStrictEqual<unknown>(yield* start(stream(since)), from("e-1-0"))
      assert.deepInclude(yield* start(stream()), { _tag: "Snapshot" })
      // A WebSocket has no such header.
      const socket = asked(since, { ...offering(SYNC), "last-event-id": "e-2-0" })
      assert.deepStrictEqual<unknown>(yield* start(socket), from("e-1-0"))
    })
  )
})

describe("the name that a gateway is asked for, and the page that asks", () => {
  it.scoped("must be the gateway's own where it is asked through this machine", () =>
    Effect.gen(function* () {
      const { decide, refusals } = yield* world()
      const { headers, message, status } = yield* Effect.flip(decide(asked({ local: true }, { host: "evil.example" })))
      assert.deepStrictEqual([status, headers], [403, {}])
      assert.include(message, "evil.example")
      assert.deepStrictEqual(refusals, [["host", "203.0.113.7"]])
      yield* decide(asked({ local: true }))
      yield* decide(asked({ local: true }, { host: undefined }))
      yield* decide(asked({ local: false }, { host: "gateway.example" }))
    })
  )

  it.scoped("are those of one server, unless the name is listed", () =>
    Effect.gen(function* () {
      const page = (host: string | undefined, origin: string) => asked({ local: true }, { host, origin })
      const { decide, refusals } = yield* world({ settings: { host: "0.0.0.0" } })
      assert.strictEqual((yield* Effect.flip(decide(page("dash.example", "http://dash.example")))).status, 403)
      assert.deepStrictEqual(refusals, [["origin", "203.0.113.7"]])
      const listed = yield* world({ settings: { allowedHosts: ["dash.example"] } })
      yield* listed.decide(page("dash.example", "http://dash.example"))
      yield* Effect.flip(listed.decide(page("localhost", "http://dash.example")))
      const all = yield* world({ settings: { allowedHosts: ["*"] } })
      // Who names no host has named none that is listed.
      yield* Effect.flip(all.decide(page(undefined, "http://localhost")))
    })
  )

  it.scoped("cost no system call where they do not depend on it", () =>
    Effect.gen(function* () {
      let calls = 0
      const request: Transport.UpgradeRequest = {
        ...good,
        get local() {
          calls++
          return true
        }
      }
      const { decide } = yield* world()
      yield* decide(request)
      assert.strictEqual(calls, 0)
      yield* Effect.flip(decide({ ...asked({}, { host: "evil.example" }), local: true }))
    })
  )
})

describe("the subprotocols that a client offers", () => {
  it.scoped("are chosen from by its order, and make it a plain or a sync client", () =>
    Effect.gen(function* () {
      const { decide } = yield* world()
      const chosen = (...protocols: ReadonlyArray<string>) =>
        Effect.map(decide(asked({}, offering(...protocols))), ({ protocol, subprotocol }) => [protocol, subprotocol])
      assert.deepStrictEqual(yield* chosen(SYNC, PLAIN), ["sync", SYNC])
      assert.deepStrictEqual(yield* chosen("other", PLAIN, SYNC), ["plain", PLAIN])
      assert.deepStrictEqual(yield* chosen("other"), ["plain", undefined])
    })
  )

  it.scoped("may have a token among them, if one of them can be chosen", () =>
    Effect.gen(function* () {
      const { decide, refusals, shown } = yield* world({ settings: { queryTokens: true } })
      const bearer = "stratix.bearer.my-token"
      yield* decide(asked({}, offering(SYNC, bearer)))
      yield* decide(asked({ url: "/?token=other" }, offering(bearer, PLAIN)))
      assert.deepStrictEqual(shown, ["my-token", "my-token"])
      const { message, status } = yield* Effect.flip(decide(asked({}, offering(bearer, "other"))))
      assert.strictEqual(status, 400)
      assert.match(message, /needs stratix\S* or stratix\S* beside it/)
      assert.deepStrictEqual(refusals, [["malformed", "203.0.113.7"]])
    })
  )
})

describe("a permit", () => {
  const exceeded = (status: 429 | 503): Limits.LimitExceeded => ({
    reason: "handshakes",
    status,
    message: "too many",
    retryAfterSeconds: 7
  })

  it.scoped("is kept by an admission, and told of it", () =>
    Effect.gen(function* () {
      const { decide, permits } = yield* world()
      yield* decide(good)
      assert.deepStrictEqual(permits, ["admitted"])
    })
  )

  it.scoped("is given back where deciding fails for no fault of the client", () =>
    Effect.gen(function* () {
      const broken = new Error("broken")
      const { decide, permits } = yield* world({
        verify: () => {
          throw broken
        }
      })
      assert.deepStrictEqual(yield* Effect.exit(decide(good)), Exit.die(broken))
      assert.deepStrictEqual(permits, ["undecided", "released"])
    })
  )

  it.scoped("that cannot be had at once is waited for, and so is a decision", () =>
    Effect.gen(function* () {
      const decision = yield* Deferred.make<Authenticator.Principal, Authenticator.Unauthenticated>()
      const { decide, permits } = yield* world({
        acquire: (permit) => Effect.as(Effect.yieldNow(), permit),
        verify: () => Deferred.await(decision)
      })
      const one = yield* Effect.fork(decide(good))
      const left = yield* Effect.fork(decide(good))
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      assert.deepStrictEqual(permits, [])
      yield* Fiber.interrupt(left)
      assert.deepStrictEqual(permits, ["undecided", "released"])
      yield* Deferred.succeed(decision, principal())
      assert.strictEqual((yield* Fiber.join(one)).principal.name, "dash")
      assert.deepStrictEqual(permits.slice(2), ["admitted"])
    })
  )

  it.scoped("that is not there is a refusal, which says when to come again", () =>
    Effect.gen(function* () {
      for (const later of [false, true]) {
        for (const [status, reason] of [
          [429, "too-many"],
          [503, "full"]
        ] as const) {
          const failure = Exit.fail(exceeded(status))
          const made = yield* world({ acquire: () => (later ? Effect.zipRight(Effect.yieldNow(), failure) : failure) })
          const headers = { "retry-after": "7" }
          assert.deepStrictEqual(yield* refusedBy(made)(good), { reason, status, headers })
          assert.deepStrictEqual([made.permits, made.refusals], [[], [["handshakes", "203.0.113.7"]]])
        }
      }
    })
  )

  it.scoped("and a principal that are there at once make a decision that needs no fiber", () =>
    Effect.gen(function* () {
      const { decide } = yield* world()
      assert.isTrue(Exit.isExit(decide(good)))
      assert.isTrue(Exit.isExit(decide(asked({ method: "POST" }))))
      const full = yield* world({ acquire: () => Exit.fail(exceeded(429)) })
      assert.isTrue(Exit.isExit(full.decide(good)))
    })
  )
})

describe("a traced handshake", () => {
  const traceparent = (flags: string) => ({
    traceparent: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`
  })

  /** The spans of these requests, made within another span. */
  const spansOf = (...requests: ReadonlyArray<Transport.UpgradeRequest>) =>
    Effect.gen(function* () {
      const native = yield* Effect.tracer
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        context: (run, fiber) => native.context(run, fiber),
        span: (...args) => {
          const span = native.span(...args)
          spans.push(span)
          return span
        }
      })
      yield* Effect.gen(function* () {
        const { decide } = yield* world()
        for (const request of requests) yield* Effect.withSpan(Effect.exit(decide(request)), "around")
      }).pipe(Effect.withTracer(tracer))
      return spans
        .filter(({ name }) => name !== "around")
        .map(({ attributes, kind, name, parent }) => ({
          name,
          kind,
          parent: Option.getOrUndefined(parent)?.spanId,
          attributes: Object.fromEntries(attributes)
        }))
    })

  it.scoped("is a span of its own, without the query of its URL", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* spansOf(asked({ url: "/?token=secret" }, offering(SYNC))), [
        {
          name: "stratix.handshake",
          kind: "server",
          parent: undefined,
          attributes: {
            "client.address": "203.0.113.7",
            "url.path": "/",
            "stratix.protocol": "sync",
            "stratix.principal": "dash"
          }
        }
      ])
    })
  )

  it.scoped("says why it was refused", () =>
    Effect.gen(function* () {
      const [span] = yield* spansOf(asked({ method: "POST" }))
      assert.deepStrictEqual(span?.attributes, {
        "client.address": "203.0.113.7",
        "url.path": "/",
        "stratix.refusal": "method",
        "http.response.status_code": 405
      })
    })
  )

  it.scoped("is in the trace of the client, unless the client does not record it", () =>
    Effect.gen(function* () {
      const [span] = yield* spansOf(asked({}, traceparent("01")))
      assert.strictEqual(span?.parent, "00f067aa0ba902b7")
      assert.deepStrictEqual(yield* spansOf(asked({}, traceparent("00"))), [])
    })
  )

  it.scoped("is none where no tracer listens: it needs no fiber then", () =>
    Effect.gen(function* () {
      const { decide } = yield* world()
      assert.isTrue(Exit.isExit(decide(asked({}, traceparent("01")))))
    })
  )
})
