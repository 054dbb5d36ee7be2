import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { assert, describe, it } from "@effect/vitest"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Context, Effect, Layer, TestClock, Tracer } from "effect"
import { StatusSync, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../src/stratix-gateway/internals.js"
import * as Tracing from "../../../src/stratix-gateway/telemetry/Tracing.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { nextTurn } from "../../support/waiting.js"
import { quiet, request } from "../support/gateway.js"

/** What an OTLP exporter would have sent. */
class Exported extends Context.Tag("test/Exported")<Exported, InMemorySpanExporter>() {}

const telemetry = Layer.unwrapScoped(
  Effect.sync(() => {
    const exporter = new InMemorySpanExporter()
    const sdk = NodeSdk.layer(() => ({
      resource: { serviceName: "gateway" },
      spanProcessor: new SimpleSpanProcessor(exporter)
    }))
    return Layer.merge(sdk, Layer.succeed(Exported, exporter))
  })
)

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  StatusSyncTest.layerWs(settings).pipe(Layer.provideMerge(telemetry), Layer.provideMerge(quiet))

const overMemory = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  StatusSyncTest.layerWith(settings).pipe(Layer.provideMerge(telemetry), Layer.provideMerge(quiet))

const spans = Effect.map(Exported, (exporter) => exporter.getFinishedSpans())

/** The spans of these names, once all of them have ended. */
const ended = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    while (true) {
      const all = yield* spans
      const found = names.map((name) => all.find((span) => span.name === name))
      if (found.every((span) => span !== undefined)) return found
      yield* nextTurn
    }
  })

const millis = ([seconds, nanos]: ReadableSpan["startTime"]) => seconds * 1000 + nanos / 1e6

const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId
const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
const CALLER = "00f067aa0ba902b7"
const traceparent = (sampled: boolean) => ({ traceparent: `00-${TRACE}-${CALLER}-${sampled ? "01" : "00"}` })

const put = (headers: Record<string, string> = {}) =>
  request("PUT", "/api/stratix/agents/a/status", { body: { status: "busy" }, headers })

describe("a traced publisher", () => {
  it.live("finds its request, the publication and the way to the last socket in its own trace", () =>
    Effect.gen(function* () {
      const clients = yield* Effect.replicateEffect(TestClients.connect(), 3)
      yield* Effect.forEach(clients, (client) => client.take)
      assert.strictEqual((yield* put(traceparent(true))).status, 202)
      yield* Effect.forEach(clients, (client) => client.take)
      const [http, publish, toSocket] = yield* ended(
        "http.server PUT",
        Tracing.spans.publish,
        Tracing.spans.publishToSocket
      )
      for (const span of [http, publish, toSocket]) assert.strictEqual(span?.spanContext().traceId, TRACE)
      assert.strictEqual(parentOf(http), CALLER)
      assert.strictEqual(parentOf(publish), idOf(http))
      assert.strictEqual(parentOf(toSocket), idOf(http))
      assert.deepStrictEqual(toSocket?.startTime, http?.startTime)
      assert.deepInclude(toSocket?.attributes, { "stratix.events": 1, "stratix.deliveries": 3 })
      assert.strictEqual(publish?.attributes["stratix.events"], 1)
    }).pipe(Effect.provide(over()))
  )

  it.effect("has one span that ends with the last socket write, however long that takes after the answer", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* put(traceparent(true))
      yield* TestClock.adjust("25 millis")
      yield* put()
      yield* ended("http.server PUT")
      assert.notInclude(
        (yield* spans).map(({ name }) => name),
        Tracing.spans.publishToSocket
      )
      yield* TestClock.adjust("15 millis")
      yield* client.takeN(2)
      yield* ended(Tracing.spans.publishToSocket)
      const both = (yield* spans).filter(({ name }) => name === Tracing.spans.publishToSocket)
      // The request without a trace of its own began one.
      assert.deepStrictEqual(
        both.map(({ endTime, startTime }) => Math.round(millis(endTime) - millis(startTime))),
        [40, 15]
      )
      for (const span of both) assert.strictEqual(span.attributes["stratix.events"], 2)
    }).pipe(Effect.provide(over({ linger: "40 millis" })))
  )

  it.live("whose trace is not sampled leaves nothing", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* ended(Tracing.spans.handshake)
      const exporter = yield* Exported
      exporter.reset()
      yield* put(traceparent(false))
      yield* client.take
      yield* nextTurn
      assert.deepStrictEqual(yield* spans, [])
    }).pipe(Effect.provide(over()))
  )

  it.effect("in the same process is traced from its own span; one without a span is not", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const broadcast = yield* Broadcast.Broadcast
      yield* service.notifyAgentStatus("a", "busy")
      yield* broadcast.flush
      assert.deepStrictEqual(yield* spans, [])
      yield* service.notifyAgentStatus("a", "online").pipe(Effect.withSpan("agent"))
      yield* broadcast.flush
      const [agent, publish, toSocket] = yield* ended("agent", Tracing.spans.publish, Tracing.spans.publishToSocket)
      assert.strictEqual(parentOf(publish), idOf(agent))
      assert.strictEqual(parentOf(toSocket), idOf(publish))
    }).pipe(
      // The program has the tracer that the gateway has.
      Effect.provide(overMemory())
    )
  )

  it.effect("is told when its events did not go out one by one", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* client.take
      yield* service
        .broadcastAllUnknown(Array.from({ length: 20 }, (_, i) => ({ eventType: "stratix:note", payload: { i } })))
        .pipe(Effect.withSpan("agent"))
      const [toSocket] = yield* ended(Tracing.spans.publishToSocket)
      assert.deepInclude(toSocket?.attributes, { "stratix.overrun": true })
    }).pipe(Effect.provide(overMemory({ historyCapacity: 8 })))
  )

  it.effect("whose events are refused sees it in the span of the publication, and none to a socket", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      yield* Effect.flip(service.notifyAgentStatus("", "busy")).pipe(Effect.withSpan("agent"))
      const [publish] = yield* ended(Tracing.spans.publish)
      assert.include(publish?.status.message ?? "", "agentId")
      assert.deepStrictEqual(
        (yield* spans).map(({ name }) => name),
        [Tracing.spans.publish, "agent"]
      )
    }).pipe(Effect.provide(overMemory()))
  )
})

describe("handshakes", () => {
  it.live("are spans in the trace of their client, and say nothing of tokens", () =>
    Effect.gen(function* () {
      const options = { query: "token=secret-0123456789&agents=a", protocols: ["stratix.sync.v1"] }
      yield* TestClients.connect({ ...options, headers: traceparent(true) })
      const [handshake] = yield* ended(Tracing.spans.handshake)
      assert.strictEqual(parentOf(handshake), CALLER)
      assert.deepInclude(handshake?.attributes, {
        "client.address": "127.0.0.1",
        "url.path": "/",
        "stratix.protocol": "sync",
        "stratix.principal": "anonymous"
      })
      assert.notInclude(JSON.stringify(handshake?.attributes), "secret")
    }).pipe(Effect.provide(over()))
  )

  it.live("that are refused say why", () =>
    Effect.gen(function* () {
      yield* Effect.flip(TestClients.connect({ query: "agents=" }))
      const [handshake] = yield* ended(Tracing.spans.handshake)
      assert.isUndefined(parentOf(handshake))
      assert.deepInclude(handshake?.attributes, {
        "stratix.refusal": "malformed",
        "http.response.status_code": 400
      })
    }).pipe(Effect.provide(over()))
  )
})

describe("catch-ups", () => {
  it.effect("are one span each, however many steps they take, until the connection is live", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      // Twice as much as one turn of the event loop gives.
      const result = "x".repeat(50_000)
      for (let i = 0; i < 40; i++) yield* service.notifyCommandStatus(`c${i}`, "a", "success", 100, result)
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      yield* client.take
      const first = yield* client.take
      assert.deepInclude(first.payload, { mode: "snapshot", more: true })
      yield* StatusSyncTest.settled
      yield* ended(Tracing.spans.catchUp)
      const all = (yield* spans).filter(({ name }) => name === Tracing.spans.catchUp)
      assert.strictEqual(all.length, 1)
      assert.isUndefined(parentOf(all[0]))
      assert.deepInclude(all[0]?.attributes, {
        "stratix.mode": "snapshot",
        "stratix.live": true,
        "stratix.lost": 0,
        "client.address": "127.0.0.1"
      })
    }).pipe(Effect.provide(overMemory()))
  )

  it.effect("that a client does not wait for end as it leaves", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      // Twice as much as one turn of the event loop gives.
      const result = "x".repeat(50_000)
      for (let i = 0; i < 40; i++) yield* service.notifyCommandStatus(`c${i}`, "a", "success", 100, result)
      const client = yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })
      yield* client.takeN(2)
      yield* client.drop
      const [catchUp] = yield* ended(Tracing.spans.catchUp)
      assert.strictEqual(catchUp?.attributes["stratix.live"], false)
    }).pipe(Effect.provide(overMemory()))
  )
})

describe("what nobody looks at", () => {
  it.live("is not traced: health, readiness, metrics", () =>
    Effect.gen(function* () {
      for (const path of ["/healthz", "/readyz"]) yield* request("GET", path, { headers: traceparent(true) })
      yield* request("GET", "/api/stratix/state")
      yield* ended("http.server GET")
      assert.deepStrictEqual(
        (yield* spans).map(({ attributes }) => attributes["url.path"]),
        ["/api/stratix/state"]
      )
    }).pipe(Effect.provide(over()))
  )

  it.effect("makes no span at all where there is no tracer but Effect's own", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* Tracing.listening)
      const service = yield* StatusSync.StatusSync
      const current = yield* Effect.withSpan(
        Effect.withFiberRuntime<boolean>((fiber) => Effect.succeed(Tracing.isTraced(fiber))),
        "agent"
      )
      assert.isFalse(current)
      yield* service.notifyAgentStatus("a", "busy").pipe(Effect.withSpan("agent"))
      const custom = Tracer.make({
        span: () => {
          throw new Error("a span was made")
        },
        context: (run) => run()
      })
      assert.strictEqual(yield* Effect.withTracer(Tracing.listening, custom), custom)
    }).pipe(Effect.provide(StatusSyncTest.layer), Effect.provide(quiet))
  )
})
