import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Filter } from "../../../src/stratix-gateway/index.js"
import { Handshake, type Metrics, type Refusal, type Transport } from "../../../src/stratix-gateway/internals.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { collectGarbage } from "../../support/garbage.js"
import * as handshakes from "../../support/handshakes.js"
import { quiet, refusedBy } from "../support/gateway.js"

/** An upgrade that is right, from another machine, with a change. */
const asked = (...[change, headers]: Partial<Parameters<typeof handshakes.asked>>) =>
  handshakes.asked(change ?? {}, { host: "gateway.example", ...headers })

const good = asked()

const decide = (request: Transport.UpgradeRequest) =>
  Effect.flatMap(Handshake.Handshake, (door) => door.decide(request))

const over = (settings: Parameters<typeof StatusSyncTest.layerWith>[0] = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWith(settings), quiet)

describe("the door", () => {
  it.live("keeps nothing of a request that it let in", () =>
    Effect.gen(function* () {
      let headers: WeakRef<object> | undefined
      const admission = yield* Effect.suspend(() => {
        const request = asked({ url: "/?agents=a" })
        headers = new WeakRef(request.headers)
        return decide(request)
      })
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collectGarbage()
      assert.isDefined(headers)
      assert.isUndefined(headers.deref())
      assert.strictEqual(admission.filter.key, Filter.fromFields({ agents: ["a"] }).key)
    }).pipe(Effect.provide(over()))
  )

  it.effect("lets in a plain client at the head, a sync client with a snapshot or from its offset", () =>
    Effect.gen(function* () {
      const sync = { "sec-websocket-protocol": "other, stratix.sync.v1" }
      assert.deepInclude(yield* decide(good), { sync: false, subprotocol: undefined, start: { _tag: "Head" } })
      assert.deepInclude(yield* decide(asked({ url: "/?snapshot=true" })), { start: { _tag: "Snapshot" } })
      assert.deepInclude(yield* decide(asked({ url: "/?since=x" })), { start: { _tag: "Head" } })
      assert.deepInclude(yield* decide(asked({}, sync)), {
        sync: true,
        subprotocol: "stratix.sync.v1",
        start: { _tag: "Snapshot" }
      })
      assert.deepInclude(yield* decide(asked({ url: "/?since=x%2B1" }, sync)), {
        start: { _tag: "Since", offset: "x+1" }
      })
      assert.deepInclude(yield* decide(asked({}, { "sec-websocket-protocol": "something.else" })), {
        subprotocol: undefined
      })
    }).pipe(Effect.provide(over()))
  )

  it.effect("refuses what is no handshake, each with its status, its reason as JSON, and its count", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<
        readonly [number, Refusal.Refusal["reason"], Metrics.RefusalReason, RegExp, Transport.UpgradeRequest]
      > = [
        [404, "not-found", "not_found", /no WebSocket at \/x: it is at \//, asked({ url: "/x?token=secret" })],
        [404, "not-found", "not_found", /no WebSocket/, asked({ url: "http://gateway.example/" })],
        [405, "method", "method", /not a POST/, asked({ method: "POST" })],
        [426, "upgrade-required", "upgrade_required", /upgrade to websocket/, asked({}, { upgrade: "h2c" })],
        [426, "upgrade-required", "upgrade_required", /upgrade to websocket/, asked({}, { upgrade: undefined })],
        [426, "upgrade-required", "upgrade_required", /must be 13/, asked({}, { "sec-websocket-version": "8" })],
        [400, "malformed", "malformed", /16 bytes in base64/, asked({}, { "sec-websocket-key": "short" })],
        [400, "malformed", "malformed", /16 bytes in base64/, asked({}, { "sec-websocket-key": undefined })],
        [
          403,
          "forbidden",
          "origin",
          /https:\/\/evil\.example may not connect/,
          asked({}, { origin: "https://evil.example" })
        ],
        [400, "malformed", "malformed", /"agents" is there twice/, asked({ url: "/?agents=a&agents=b" })],
        [400, "malformed", "malformed", /broken percent-encoding/, asked({ url: "/?agents=%E0%A4%A" })],
        [400, "malformed", "malformed", /must be true or false/, asked({ url: "/?snapshot=yes" })],
        [400, "malformed", "filter_size", /4 values, more than the 3 allowed/, asked({ url: "/?agents=a,b,c,d" })],
        [400, "malformed", "malformed", /list of different names/, asked({}, { "sec-websocket-protocol": "a, a" })],
        [400, "malformed", "malformed", /list of different names/, asked({}, { "sec-websocket-protocol": "a,,b" })],
        [400, "malformed", "malformed", /list of different names/, asked({}, { "sec-websocket-protocol": "a b" })]
      ]
      for (const [status, reason, label, text, request] of cases) {
        const count = yield* refusedBy(
          label,
          Effect.gen(function* () {
            const refusal = yield* Effect.flip(decide(request))
            assert.strictEqual(refusal.status, status, String(text))
            assert.match(refusal.message, text)
            assert.notInclude(refusal.body, "secret")
            assert.deepStrictEqual(JSON.parse(refusal.body), { error: reason, message: refusal.message })
          })
        )
        assert.strictEqual(count, 1, String(text))
      }
    }).pipe(Effect.provide(over({ maxFilterValues: 3 })))
  )

  it.effect("refuses pages of other origins on another path, too, and lets in those on the list", () =>
    Effect.gen(function* () {
      yield* decide(asked({ url: "/ws" }, { origin: "https://dash.example" }))
      yield* decide(asked({ url: "/ws?agents=a" }, { origin: "https://gateway.example" }))
      assert.strictEqual((yield* Effect.flip(decide(asked({ url: "/ws" }, { origin: "null" })))).status, 403)
    }).pipe(Effect.provide(over({ path: "/ws", allowedOrigins: ["https://dash.example"] })))
  )
})
