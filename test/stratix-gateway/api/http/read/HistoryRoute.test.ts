import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Authenticator, EventLog, StatusSync, StratixApi } from "../../../../../src/stratix-gateway/index.js"
import { request, secretOf, token } from "../../../support/gateway.js"
import { overWs } from "../../../support/gateways.js"

const decode = Schema.decodeUnknown(StratixApi.History, { onExcessProperty: "error" })

const history = (query = "", name?: string) =>
  Effect.gen(function* () {
    const { body, headers, status } = yield* request(
      "GET",
      `/api/stratix/history${query}`,
      name === undefined ? {} : { token: secretOf(name) }
    )
    assert.strictEqual(status, 200)
    assert.strictEqual(headers["cache-control"], "no-store")
    return yield* decode(body)
  })

const offsetsIn = ({ events }: typeof StratixApi.History.Type) => events.map(({ offset }) => offset)

/** So many statuses of `a` and `b` in turn; their offsets. */
const publish = (count: number) =>
  Effect.flatMap(StatusSync.StatusSync, (sync) =>
    Effect.forEach(Array.from({ length: count }), (_, n) =>
      sync.notifyAgentStatus(n % 2 === 0 ? "a" : "b", "busy", n % 4 < 2 ? { reason: `${n}` } : {})
    )
  )

describe("GET /api/stratix/history", () => {
  it.live("is what the history still has, in order, and says where that begins", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      assert.deepStrictEqual(yield* history(), { epoch: log.id, head: log.head().offset, events: [] })
      const offsets = yield* publish(12)
      const answer = yield* history()
      assert.deepStrictEqual(offsetsIn(answer), offsets.slice(-8))
      assert.deepStrictEqual([answer.epoch, answer.head], [log.id, offsets[11]])
      assert.deepStrictEqual(answer.begins, { offset: offsets[4] ?? "", timestamp: log.at()?.stamp.timestamp ?? 0 })
      assert.isUndefined(answer.more)
    }).pipe(Effect.provide(overWs({ historyCapacity: 8 })))
  )

  it.live("is told backwards: the newest within the limit, and before them from the offset of the first", () =>
    Effect.gen(function* () {
      const offsets = yield* publish(10)
      const of = (...places: ReadonlyArray<number>) => places.map((place) => offsets[place] ?? "")
      const first = yield* history("?agents=a&limit=2")
      assert.deepStrictEqual([offsetsIn(first), first.more], [of(6, 8), true])
      const second = yield* history(`?agents=a&limit=2&until=${offsetsIn(first)[0]}`)
      assert.deepStrictEqual([offsetsIn(second), second.more], [of(2, 4), true])
      const last = yield* history(`?agents=a&limit=2&until=${offsetsIn(second)[0]}`)
      assert.deepStrictEqual([offsetsIn(last), last.more], [of(0), undefined])
      // Older ones before `since` are not asked for.
      const since = yield* history(`?agents=a&limit=2&since=${offsets[5]}`)
      assert.deepStrictEqual([offsetsIn(since), since.more], [of(6, 8), undefined])
      assert.deepStrictEqual(offsetsIn(yield* history(`?since=${offsets[3]}&until=${offsets[7]}`)), of(4, 5, 6))
      // Of a place that is not there, all is after it and nothing before.
      assert.strictEqual((yield* history("?since=gone")).events.length, 10)
      assert.deepStrictEqual((yield* history("?until=gone")).events, [])
    }).pipe(Effect.provide(overWs()))
  )

  it.live("has at most 100 events unless more are asked for, and at most a megabyte", () =>
    Effect.gen(function* () {
      yield* publish(150)
      const short = yield* history()
      assert.deepStrictEqual([short.events.length, short.more], [100, true])
      assert.strictEqual((yield* history("?limit=1000")).events.length, 150)
      const sync = yield* StatusSync.StatusSync
      for (let n = 0; n < 6; n++) yield* sync.notifyCommandStatus("c", "a", "running", n, "x".repeat(300_000))
      const large = yield* history("?limit=1000")
      assert.deepStrictEqual([large.events.length, large.more], [3, true])
      for (const query of ["?limit=0", "?limit=1001", "?limit=1.5", "?limit=", "?limit=x", "?agents="]) {
        const { body, status } = yield* request("GET", `/api/stratix/history${query}`)
        assert.strictEqual(status, 400)
        assert.deepInclude(body, { error: "Malformed" })
      }
    }).pipe(Effect.provide(overWs({ maxEventBytes: 500_000 })))
  )

  it.live("shows what its reader may see, and of what leaves that, the removal", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyCommandStatus("c", "a", "running", 1)
      yield* sync.notifyCommandStatus("c", "b", "running", 2)
      yield* sync.notifyAgentStatus("b", "busy")
      const { events } = yield* history("", "ann")
      assert.deepStrictEqual(
        events.map(({ eventType, payload }) => [eventType, payload["agentId"]]),
        [
          ["stratix:command_status_update", "a"],
          ["stratix:command_remove", "a"]
        ]
      )
      assert.deepStrictEqual((yield* history("?agents=b", "ann")).events, [])
      assert.strictEqual((yield* request("GET", "/api/stratix/history")).status, 401)
      assert.strictEqual((yield* request("GET", "/api/stratix/history", { token: secretOf("bob") })).status, 403)
    }).pipe(
      Effect.provide(
        overWs(
          {},
          Layer.orDie(
            Authenticator.layerTokens([
              token("ann", ["subscribe"], { visible: { agents: ["a"] } }),
              token("bob", ["publish"])
            ])
          )
        )
      )
    )
  )
})
