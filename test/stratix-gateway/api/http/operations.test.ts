import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Schema, Stream, TestClock } from "effect"
import * as ConnectionReports from "../../../../src/stratix-gateway/api/http/operators/ConnectionReports.js"
import { Authenticator, StatusSync, type StatusSyncConfig, StratixApi } from "../../../../src/stratix-gateway/index.js"
import { Broadcast, Metrics } from "../../../../src/stratix-gateway/internals.js"
import * as Prometheus from "../../../../src/stratix-gateway/telemetry/Prometheus.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { bearer, port, quiet, request, secretOf, token } from "../../support/gateway.js"
import { samplesIn } from "../../support/metrics.js"

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWs(settings), quiet)

const withTokens = Layer.provideMerge(
  StatusSyncTest.layerWs(
    {},
    Authenticator.layerTokens([
      token("ops", ["operator"]),
      token("dash", ["subscribe"]),
      token("ci", ["publish", "subscribe"])
    ])
  ),
  quiet
)

const scrape = Effect.flatMap(port, (at) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${at}/metrics`)
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
  })
)

const reports = Effect.flatMap(request("GET", "/api/stratix/connections"), ({ body }) =>
  Schema.decodeUnknown(StratixApi.ConnectionReports, { onExcessProperty: "error" })(body)
)

const publish = (count: number) =>
  Effect.flatMap(StatusSync.StatusSync, (service) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `agent-${i}`),
      (agentId) => service.notifyAgentStatus(agentId, "busy"),
      { discard: true }
    )
  )

describe("GET /metrics", () => {
  it.live("counts what happened, under names that stay", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* publish(20)
      yield* client.takeN(20)
      const { status, text, type } = yield* scrape
      assert.strictEqual(status, 200)
      assert.strictEqual(type, "text/plain; version=0.0.4; charset=utf-8")
      const samples = samplesIn(text)
      assert.isAtLeast(samples.get("stratix_deliveries_total") ?? 0, 20)
      assert.strictEqual(samples.get('stratix_connections{state="live"}'), 1)
      assert.isAbove(samples.get("stratix_resident_memory_bytes") ?? 0, 1e6)
      assert.isAbove(samples.get("stratix_event_loop_active_seconds_total") ?? 0, 0)
      assert.strictEqual(
        samples.get('stratix_flush_events_bucket{le="+Inf"}'),
        samples.get("stratix_flush_events_count")
      )
      for (const reason of Metrics.refusalReasons)
        assert.isTrue(samples.has(`stratix_refusals_total{reason="${reason}"}`))
    }).pipe(Effect.provide(over()))
  )

  it.live("two looks in a row differ by what happened between them, and by nothing else that is counted", () =>
    Effect.gen(function* () {
      const first = samplesIn((yield* scrape).text)
      yield* publish(3)
      yield* Effect.flatMap(Broadcast.Broadcast, ({ flush }) => flush)
      const second = samplesIn((yield* scrape).text)
      const by = (name: string) => (second.get(name) ?? 0) - (first.get(name) ?? 0)
      assert.strictEqual(by('stratix_events_total{type="agent_status_update"}'), 3)
      assert.strictEqual(by("stratix_flushes_total"), 1)
      assert.strictEqual(by("stratix_deliveries_total"), 0)
    }).pipe(Effect.provide(over()))
  )

  it.live("is not there where metrics are switched off", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* scrape).status, 404)
    }).pipe(Effect.provide(over({ metrics: false })))
  )
})

describe("the exposition", () => {
  it("escapes what would break a line or a label, and leaves out what is not the gateway's", () => {
    const ours = Metric.tagged(
      Metric.counter("exposition_test_total", { description: "a \\ and\na line" }),
      "what",
      'a "b"\n\\'
    )
    ours.unsafeUpdate(2, [])
    Metric.counter("theirs_total").unsafeUpdate(1, [])
    const text = Prometheus.render(Metric.unsafeSnapshot(), "exposition_")
    assert.strictEqual(
      text,
      [
        "# HELP exposition_test_total a \\\\ and\\na line",
        "# TYPE exposition_test_total counter",
        'exposition_test_total{what="a \\"b\\"\\n\\\\"} 2',
        ""
      ].join("\n")
    )
  })
})

describe("GET /api/stratix/connections", () => {
  it.live("shows each connection: who, with which filter, since when", () =>
    Effect.gen(function* () {
      yield* TestClients.connect({ query: "events=agent_status_update&agents=a,b" })
      const second = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      yield* second.takeN(2)
      const { connections, head } = yield* reports
      assert.isNotEmpty(head)
      assert.deepInclude(connections[0], {
        address: "127.0.0.1",
        principal: "anonymous",
        protocol: "plain",
        filter: { events: ["stratix:agent_status_update"], agents: ["a", "b"] },
        state: "live",
        lagEvents: 0,
        lagMs: 0,
        unsentBytes: 0,
        catchUps: 0,
        lost: 0
      })
      assert.deepInclude(connections[1], { protocol: "sync", filter: {}, catchUps: 1 })
      assert.strictEqual(connections.length, 2)
      assert.notStrictEqual(connections[0]?.id, connections[1]?.id)
    }).pipe(Effect.provide(over()))
  )

  it.live("DELETE with an id closes that connection with 1012, so that its client comes back, and no other", () =>
    Effect.gen(function* () {
      const stays = yield* TestClients.connect()
      const goes = yield* TestClients.connect()
      yield* stays.take
      yield* goes.take
      const id = (yield* reports).connections[1]?.id
      const ask = (wanted: string | undefined) =>
        Effect.flatMap(port, (bound) =>
          Effect.promise(() =>
            fetch(`http://127.0.0.1:${bound}/api/stratix/connections/${wanted}`, { method: "DELETE" })
          )
        )
      assert.strictEqual((yield* ask("unknown")).status, 404)
      assert.strictEqual((yield* ask(id)).status, 204)
      assert.deepInclude(yield* goes.closed, { code: 1012, reason: "disconnected by an operator" })
      assert.isTrue(yield* stays.isOpen)
    }).pipe(Effect.provide(over()))
  )

  it.effect("shows how far behind a client is that does not read, in events and in time", () =>
    Effect.gen(function* () {
      const broadcast = yield* Broadcast.Broadcast
      const slow = yield* TestClients.connect()
      yield* slow.take
      yield* slow.freeze
      // What the two kernels take for it stays with them; then the process has to keep the rest.
      const service = yield* StatusSync.StatusSync
      const state = Effect.map(reports, ({ connections }) => connections[0]?.state)
      while ((yield* state) === "live") {
        yield* service.broadcastUnknown({ eventType: "stratix:note", payload: { pad: "x".repeat(200_000) } })
        yield* broadcast.flush
      }
      yield* publish(7)
      yield* broadcast.flush
      yield* TestClock.adjust("3 seconds")
      const [report] = (yield* reports).connections
      assert.deepInclude(report, { state: "stalled", lagEvents: 7, lagMs: 3000, stalledMs: 3000, ageMs: 3000 })
      assert.isAbove(report?.unsentBytes ?? 0, 100_000)
    }).pipe(Effect.provide(over({ highWaterMark: 100_000 })))
  )

  it.effect("shows how far behind a screen was when it last said so, and how long ago that was", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      yield* publish(1)
      yield* Effect.flatMap(Broadcast.Broadcast, ({ flush }) => flush)
      const { head } = yield* reports
      yield* publish(1)
      yield* TestClock.adjust("3 seconds")
      assert.notProperty((yield* reports).connections[0], "screenLagMs")
      yield* client.send({ type: "ping", cursor: head })
      // The ping and the question travel on different sockets.
      let report = (yield* reports).connections[0]
      while (report?.screenLagMs === undefined) report = (yield* reports).connections[0]
      yield* TestClock.adjust("12 seconds")
      assert.deepInclude((yield* reports).connections[0], {
        state: "live",
        lagEvents: 0,
        screenLagMs: 3000,
        screenReportedMs: 12_000
      })
    }).pipe(Effect.provide(over()))
  )

  it.effect("shows the time from ping to pong, once there is one", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ answersPings: false })
      yield* client.take
      assert.notProperty((yield* reports).connections[0], "roundTripMs")
      yield* TestClock.adjust("30 seconds")
      yield* TestClock.adjust("150 millis")
      yield* client.pong
      // The pong and the question travel on different sockets.
      let report = (yield* reports).connections[0]
      while (report?.roundTripMs === undefined) report = (yield* reports).connections[0]
      assert.strictEqual(report.roundTripMs, 150)
      assert.strictEqual(report.ageMs, 30_150)
    }).pipe(Effect.provide(over()))
  )

  it.effect("tells of thousands in pieces, so that neither events nor memory wait for the last", () =>
    Effect.gen(function* () {
      yield* Effect.replicateEffect(TestClients.connect(), 130)
      const pieces = yield* Stream.runCollect(yield* ConnectionReports.stream("default"))
      assert.strictEqual(pieces.length, 3)
      const answer: unknown = JSON.parse(Buffer.concat([...pieces]).toString())
      const { connections } = yield* Schema.decodeUnknown(StratixApi.ConnectionReports)(answer)
      assert.strictEqual(connections.length, 130)
      const [none] = yield* Stream.runCollect(yield* ConnectionReports.stream("another tenant"))
      assert.match(String(none), /"connections":\[\]\}$/)
    }).pipe(Effect.provide(StatusSyncTest.layer), Effect.provide(quiet))
  )
})

describe("GET /api/stratix/diagnostics", () => {
  const findings = Effect.flatMap(request("GET", "/api/stratix/diagnostics"), ({ body }) =>
    Effect.map(
      Schema.decodeUnknown(StratixApi.Diagnostics, { onExcessProperty: "error" })(body),
      ({ findings }) => findings
    )
  )
  const about = (name: string) =>
    Effect.map(findings, (all) =>
      all.filter((finding) => finding.about === name).map(({ level, what }) => [level, what])
    )

  it.live("says how the gateway fares, and what is wrong first", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* publish(2)
      yield* client.takeN(2)
      const all = yield* findings
      assert.deepStrictEqual(
        all.map(({ level }) => level),
        all
          .map(({ level }) => level)
          .sort((one, other) => ["problem", "warning", "ok"].indexOf(one) - ["problem", "warning", "ok"].indexOf(other))
      )
      assert.deepStrictEqual(yield* about("events"), [["ok", "1 of 1 connections have everything"]])
      assert.deepStrictEqual(yield* about("log"), [
        ["ok", "2 keys in memory: a restart forgets it, and no other gateway sees it"]
      ])
      assert.deepStrictEqual(yield* about("authentication"), [
        ["ok", "no token is asked for, and only this machine can reach 127.0.0.1"]
      ])
      // Files: as many as this machine allows.
      assert.deepStrictEqual(
        all.filter(({ about, level }) => level !== "ok" && about !== "files"),
        [
          {
            level: "problem",
            about: "origins",
            what: "web pages of every origin may connect and publish (STRATIX_ALLOWED_ORIGINS=*)",
            instead: "list the origins of your dashboards, like https://dashboard.example"
          }
        ]
      )
    }).pipe(Effect.provide(over({ allowedOrigins: ["*"] })))
  )

  it.live("warns before the next crowd is refused", () =>
    Effect.gen(function* () {
      yield* Effect.forEach([1, 2, 3], () => TestClients.connect())
      assert.deepStrictEqual(yield* about("connections"), [["ok", "3 of at most 4 are open"]])
      yield* TestClients.connect()
      assert.deepStrictEqual(yield* about("connections"), [
        ["warning", "4 of at most 4 are open (STRATIX_MAX_CONNECTIONS)"]
      ])
    }).pipe(Effect.provide(over({ maxConnections: 4 })))
  )
})

describe("for operators only", () => {
  it.live("another token is told which permission is missing; none at all is asked for one", () =>
    Effect.gen(function* () {
      for (const path of ["/api/stratix/connections", "/api/stratix/diagnostics", "/metrics"]) {
        assert.strictEqual((yield* request("GET", path)).status, 401, path)
        for (const name of ["dash", "ci"]) {
          const answer = yield* request("GET", path, { token: secretOf(name) })
          assert.strictEqual(answer.status, 403, path)
          assert.include(String(answer.headers["www-authenticate"]), 'scope="stratix:operator"')
        }
      }
      yield* TestClients.connect(bearer(secretOf("dash")))
      const answer = yield* request("GET", "/api/stratix/connections", { token: secretOf("ops") })
      const { connections } = yield* Schema.decodeUnknown(StratixApi.ConnectionReports)(answer.body)
      assert.deepStrictEqual(
        connections.map(({ principal }) => principal),
        ["dash"]
      )
      const at = yield* port
      const metrics = yield* Effect.promise(() => fetch(`http://127.0.0.1:${at}/metrics`, bearer(secretOf("ops"))))
      assert.strictEqual(metrics.status, 200)
    }).pipe(Effect.provide(withTokens))
  )

  it.live("these routes are in the OpenAPI document", () =>
    Effect.gen(function* () {
      const { body } = yield* request("GET", "/openapi.json")
      const { paths } = yield* Schema.decodeUnknown(
        Schema.Struct({ paths: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
      )(body)
      assert.containsAllKeys(paths, ["/api/stratix/connections", "/api/stratix/diagnostics", "/metrics"])
      assert.include(JSON.stringify(body), "lagEvents")
    }).pipe(Effect.provide(over()))
  )
})
