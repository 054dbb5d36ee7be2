import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { StatusSync, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Broadcast, Metrics } from "../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { quiet } from "../support/gateway.js"
import { grown, registered, samples } from "../support/metrics.js"

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWith(settings), quiet)

const sync = { protocols: ["stratix.sync.v1"] }

const publish = (count: number) =>
  Effect.flatMap(StatusSync.StatusSync, (service) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `agent-${i % 10}`),
      (agentId) => service.notifyAgentStatus(agentId, "busy"),
      { discard: true }
    )
  )

/** What an effect changes in the metrics. */
const changes = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* samples
    yield* effect
    return grown(before, yield* samples)
  })

describe("metrics of the fan-out", () => {
  it.effect("a flush is counted once, whatever the events and connections in it", () =>
    Effect.gen(function* () {
      const first = yield* TestClients.connect()
      yield* TestClients.connect()
      yield* first.take
      const by = yield* changes(
        Effect.gen(function* () {
          yield* publish(3)
          yield* first.takeN(3)
        })
      )
      const bytes = (yield* first.raw).slice(1).reduce((sum, text) => sum + text.length, 0)
      assert.deepInclude(by, {
        'stratix_events_total{type="agent_status_update"}': 3,
        stratix_deliveries_total: 6,
        stratix_flushes_total: 1,
        stratix_flush_events_count: 1,
        stratix_flush_events_sum: 3,
        'stratix_flush_events_bucket{le="5"}': 1,
        stratix_publish_to_socket_seconds_count: 1,
        stratix_history_events: 3,
        stratix_keys: 3
      })
      assert.notProperty(by, 'stratix_flush_events_bucket{le="2"}')
      // Texts of 126 to 65,535 bytes have a header of four.
      assert.strictEqual(by["stratix_sent_bytes_total"], 2 * (bytes + 3 * 4))
    }).pipe(Effect.provide(over()))
  )

  it.effect("the latency of a flush is that of its oldest event", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      const by = yield* changes(
        Effect.gen(function* () {
          yield* publish(1)
          yield* TestClock.adjust("30 millis")
          yield* publish(1)
          yield* TestClock.adjust("10 millis")
          yield* client.takeN(2)
        })
      )
      assert.approximately(by["stratix_publish_to_socket_seconds_sum"] ?? 0, 0.04, 1e-9)
      assert.strictEqual(by["stratix_publish_to_socket_seconds_count"], 1)
      assert.strictEqual(by['stratix_publish_to_socket_seconds_bucket{le="0.05"}'], 1)
      assert.notProperty(by, 'stratix_publish_to_socket_seconds_bucket{le="0.025"}')
    }).pipe(Effect.provide(over({ linger: "40 millis" })))
  )

  it.effect("a flush that writes to nobody has no latency", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const by = yield* changes(Effect.zipRight(publish(2), broadcast.flush))
      assert.deepInclude(by, { stratix_flushes_total: 1, stratix_flush_events_sum: 2 })
      assert.notProperty(by, "stratix_publish_to_socket_seconds_count")
    }).pipe(Effect.provide(over()))
  )

  it.effect("event types that publishers invent are one label", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const by = yield* changes(
        Effect.gen(function* () {
          for (let i = 0; i < 20; i++) yield* service.broadcastUnknown({ eventType: `stratix:x${i}`, payload: {} })
          yield* service.notifyAgentCreate("a", "A", "writer")
          yield* service.notifyCommandStatus("c", "a", "running")
        })
      )
      assert.deepInclude(by, {
        'stratix_events_total{type="other"}': 20,
        'stratix_events_total{type="agent_create"}': 1,
        'stratix_events_total{type="command_status_update"}': 1
      })
    }).pipe(Effect.provide(over()))
  )

  it.effect(
    "a slow client shows: stalled, its lag growing, conflated, and gone from the figures when it has caught up",
    () =>
      Effect.gen(function* () {
        const broadcast = yield* Broadcast.Broadcast
        const service = yield* StatusSync.StatusSync
        const start = yield* samples
        const client = yield* TestClients.connect(sync)
        yield* StatusSyncTest.settled
        assert.deepInclude(grown(start, yield* samples), {
          'stratix_joins_total{protocol="sync"}': 1,
          'stratix_connections{state="live"}': 1,
          'stratix_catch_ups_total{mode="snapshot"}': 1
        })
        yield* client.freeze
        yield* publish(10)
        yield* broadcast.flush
        assert.deepInclude(grown(start, yield* samples), {
          'stratix_connections{state="stalled"}': 1,
          stratix_stalls_total: 1
        })
        for (let i = 0; i < 3; i++) yield* service.broadcastUnknown({ eventType: "stratix:note", payload: { i } })
        yield* broadcast.flush
        yield* TestClock.adjust("7 seconds")
        const behind = grown(start, yield* samples)
        assert.strictEqual(behind["stratix_max_lag_seconds"], 7)
        // The burst was flushed when half of the history waited; the rest is what it was not given.
        assert.strictEqual(behind["stratix_max_lag_events"], 5)
        assert.isAbove(behind["stratix_unsent_bytes"] ?? 0, 500)
        yield* publish(40)
        yield* broadcast.flush
        yield* client.thaw
        yield* StatusSyncTest.settled
        const end = grown(start, yield* samples)
        assert.deepInclude(end, {
          stratix_conflations_total: 1,
          stratix_lost_events_total: 3,
          'stratix_catch_ups_total{mode="conflated"}': 1,
          'stratix_connections{state="live"}': 1
        })
        for (const gone of [
          "stratix_max_lag_seconds",
          "stratix_max_lag_events",
          "stratix_unsent_bytes",
          'stratix_connections{state="stalled"}',
          'stratix_connections{state="behind"}'
        ])
          assert.notProperty(end, gone)
      }).pipe(Effect.provide(over({ historyCapacity: 16, highWaterMark: 500 })))
  )

  it.effect("switched off, flushes are not measured", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      const by = yield* changes(Effect.zipRight(publish(2), client.takeN(3)))
      assert.notProperty(by, "stratix_flush_events_count")
      assert.notProperty(by, "stratix_publish_to_socket_seconds_count")
    }).pipe(Effect.provide(over({ metrics: false })))
  )
})

describe("metrics of the state", () => {
  it.effect("agents and commands are counted by the status they have, and no longer when they are gone", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const by = yield* changes(
        Effect.gen(function* () {
          yield* service.notifyAgentStatus("a1", "busy")
          yield* service.notifyAgentStatus("a2", "busy")
          yield* service.notifyAgentStatus("a3", "online")
          yield* service.notifyAgentStatus("a3", "error")
          yield* service.notifyCommandStatus("c1", "a1", "running")
          yield* service.notifyCommandStatus("c2", "a1", "failed")
          yield* service.notifyAgentRemove("a2")
        })
      )
      assert.deepInclude(by, {
        'stratix_agents{status="busy"}': 1,
        'stratix_agents{status="error"}': 1,
        'stratix_commands{status="running"}': 1,
        'stratix_commands{status="failed"}': 1
      })
      assert.notProperty(by, 'stratix_agents{status="online"}')
    }).pipe(Effect.provide(over()))
  )
})

describe("metrics of connections", () => {
  it.effect("how they ended is counted by close code; codes that clients invent are one label", () =>
    Effect.gen(function* () {
      const by = yield* changes(
        Effect.gen(function* () {
          for (const code of [1000, 4401, 4999, 3000]) {
            const client = yield* TestClients.connect()
            yield* client.close(code)
          }
          const client = yield* TestClients.connect()
          yield* client.drop
        })
      )
      assert.deepInclude(by, {
        'stratix_joins_total{protocol="plain"}': 5,
        'stratix_leaves_total{code="1000"}': 1,
        'stratix_leaves_total{code="4401"}': 1,
        'stratix_leaves_total{code="1006"}': 1,
        'stratix_leaves_total{code="other"}': 2
      })
    }).pipe(Effect.provide(over()))
  )

  it.effect("those the gateway gives up are counted by what they did not do", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const by = yield* changes(
        Effect.gen(function* () {
          yield* TestClients.connect({ answersPings: false })
          const frozen = yield* TestClients.connect()
          yield* frozen.freeze
          yield* publish(10)
          yield* broadcast.flush
          for (let i = 0; i < 3; i++) {
            yield* TestClock.adjust("20 seconds")
            yield* frozen.pong
          }
        })
      )
      assert.deepInclude(by, {
        'stratix_terminations_total{reason="silent"}': 1,
        'stratix_terminations_total{reason="stalled"}': 1,
        'stratix_leaves_total{code="1006"}': 2
      })
    }).pipe(Effect.provide(over({ highWaterMark: 500, stallTimeout: "45 seconds" })))
  )

  it.effect("slow clients are counted once each: a socket that stays full, a screen that says it is behind", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const before = yield* samples
      const screen = yield* TestClients.connect(sync)
      yield* publish(1)
      yield* broadcast.flush
      const shown = broadcast.head()
      yield* TestClock.adjust("1 seconds")
      yield* publish(1)
      yield* broadcast.flush
      const frozen = yield* TestClients.connect(sync)
      yield* StatusSyncTest.settled
      yield* frozen.freeze
      yield* publish(20)
      yield* broadcast.flush
      const says = (cursor: string) => Effect.zipRight(screen.send({ type: "ping", cursor }), StatusSyncTest.settled)
      yield* TestClock.adjust("4999 millis")
      yield* says(shown)
      const early = grown(before, yield* samples)
      assert.notProperty(early, 'stratix_slow_clients_total{reason="socket"}')
      assert.notProperty(early, 'stratix_slow_clients_total{reason="screen"}')
      yield* TestClock.adjust("2 millis")
      yield* says(shown)
      yield* says(shown)
      const late = grown(before, yield* samples)
      assert.deepInclude(late, {
        'stratix_slow_clients_total{reason="socket"}': 1,
        'stratix_slow_clients_total{reason="screen"}': 1,
        stratix_max_screen_lag_seconds: 5.001
      })
      yield* says(broadcast.head())
      const caughtUp = grown(before, yield* samples)
      assert.notProperty(caughtUp, "stratix_max_screen_lag_seconds")
    }).pipe(Effect.provide(over({ highWaterMark: 500 })))
  )

  it.effect("a round trip is from a ping to its pong; pongs that nobody asked for are none", () =>
    Effect.gen(function* () {
      const by = yield* changes(
        Effect.gen(function* () {
          const client = yield* TestClients.connect({ answersPings: false })
          yield* client.pong
          yield* TestClock.adjust("30 seconds")
          yield* TestClock.adjust("200 millis")
          yield* client.pong
          yield* TestClock.adjust("5 seconds")
          yield* client.pong
        })
      )
      assert.strictEqual(by["stratix_round_trip_seconds_count"], 1)
      assert.approximately(by["stratix_round_trip_seconds_sum"] ?? 0, 0.2, 1e-9)
    }).pipe(Effect.provide(over()))
  )
})

describe("the collector", () => {
  it.effect("every metric and every label is there before anything has happened", () =>
    Effect.gen(function* () {
      const names = [...(yield* registered).keys()]
      for (const reason of Metrics.refusalReasons) assert.include(names, `stratix_refusals_total{reason="${reason}"}`)
      for (const code of Metrics.leaveCodes) assert.include(names, `stratix_leaves_total{code="${code}"}`)
      for (const kind of Metrics.eventKinds) assert.include(names, `stratix_events_total{type="${kind}"}`)
      for (const name of ["stratix_round_trip_seconds_count", "stratix_max_lag_seconds", "stratix_sent_bytes_total"])
        assert.include(names, name)
    }).pipe(Effect.provide(over()))
  )

  it.effect("an exporter that only looks into the registry finds figures of the last ten seconds", () =>
    Effect.gen(function* () {
      const before = yield* registered
      const client = yield* TestClients.connect()
      yield* publish(5)
      yield* client.takeN(6)
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(grown(before, yield* registered), {
        stratix_deliveries_total: 5,
        'stratix_connections{state="live"}': 1
      })
    }).pipe(Effect.provide(over()))
  )

  it.effect("gateways of one process add up, and one that ends takes its connections out", () =>
    Effect.gen(function* () {
      const start = yield* registered
      yield* Effect.scoped(
        Effect.gen(function* () {
          // With the metrics off it counts only for who asks.
          for (const metrics of [true, false]) {
            const gateway = yield* Layer.build(Layer.fresh(over({ metrics })))
            yield* Effect.provide(
              Effect.gen(function* () {
                const client = yield* TestClients.connect()
                yield* publish(2)
                yield* client.takeN(3)
                yield* samples
              }),
              gateway
            )
          }
          assert.deepInclude(grown(start, yield* registered), {
            stratix_deliveries_total: 4,
            stratix_keys: 4,
            'stratix_connections{state="live"}': 2
          })
        })
      )
      const end = grown(start, yield* registered)
      assert.strictEqual(end["stratix_deliveries_total"], 4)
      assert.notProperty(end, "stratix_keys")
      assert.notProperty(end, 'stratix_connections{state="live"}')
    })
  )
})
