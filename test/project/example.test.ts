import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, TestClock } from "effect"
import { NodeServer, StatusSyncConfig } from "stratix-status-sync"
import { TestClients, TestClientsWs } from "stratix-status-sync/testing"
import { gateway } from "../../examples/gateway.js"

/** The example on a free port. Under a clock that stands still nobody can be waited for at its end. */
const environment = Layer.setConfigProvider(
  ConfigProvider.fromMap(
    new Map([
      ["STRATIX_PORT", "0"],
      ["STRATIX_DRAIN_TIMEOUT", "0 millis"]
    ])
  )
)

const running = TestClientsWs.layer.pipe(
  Layer.provideMerge(gateway),
  Layer.provide(StatusSyncConfig.layerConfig),
  Layer.provide(environment)
)

const origin = Effect.map(NodeServer.NodeServer, (server) => {
  const address = server.address()
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : ""}`
})

const get = (path: string) =>
  Effect.flatMap(origin, (url) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}${path}`)
      return { status: response.status, text: await response.text() }
    })
  )

describe("examples/gateway.ts", () => {
  it.scoped("its own route, the service's routes and the WebSocket answer on one server", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(running)
      const { connect } = Context.get(context, TestClients.TestClients)
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* get("/dashboards"), { status: 200, text: '{"connected":0}' })
        for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json"]) {
          assert.strictEqual((yield* get(path)).status, 200)
        }
        assert.strictEqual((yield* get("/elsewhere")).status, 404)
        const dashboard = yield* Effect.orDie(connect())
        yield* dashboard.take
        assert.deepStrictEqual(yield* get("/dashboards"), { status: 200, text: '{"connected":1}' })
        const state = yield* get("/api/stratix/state")
        assert.strictEqual(state.status, 200)
        assert.include(state.text, '"agentId":"agent-001"')
        assert.strictEqual((yield* get("/nowhere")).status, 404)
        yield* dashboard.close()
        yield* dashboard.closed
      }).pipe(Effect.provide(context))
    })
  )

  it.scoped("a dashboard sees what its fibers publish, as it happens", () =>
    Effect.gen(function* () {
      const { connect } = Context.get(yield* Layer.build(running), TestClients.TestClients)
      const dashboard = yield* Effect.orDie(connect({ query: "snapshot=true" }))
      const told = (messages: ReadonlyArray<{ readonly eventType: string; readonly payload: unknown }>) =>
        messages.map(({ eventType, payload }) => [eventType, payload])

      assert.deepStrictEqual(told(yield* dashboard.takeN(4)), [
        ["stratix:connected", { message: "Connected to Stratix Gateway" }],
        ["stratix:agent_create", { agentId: "agent-001", name: "Scout", type: "researcher" }],
        ["stratix:agent_status_update", { agentId: "agent-001", status: "busy" }],
        [
          "stratix:command_status_update",
          { commandId: "cmd-1", agentId: "agent-001", commandStatus: "running", progress: 0 }
        ]
      ])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(told(yield* dashboard.takeN(3)), [
        [
          "stratix:command_status_update",
          { commandId: "cmd-1", agentId: "agent-001", commandStatus: "running", progress: 50 }
        ],
        [
          "stratix:command_status_update",
          {
            commandId: "cmd-1",
            agentId: "agent-001",
            commandStatus: "success",
            progress: 100,
            result: { found: 1 }
          }
        ],
        ["stratix:agent_status_update", { agentId: "agent-001", status: "online" }]
      ])
      yield* dashboard.close()
      yield* dashboard.closed
    })
  )
})
