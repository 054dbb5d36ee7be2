import { HttpServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClients, TestClientsWs } from "stratix-status-sync/testing"
import { beforeAll } from "vitest"
import { gateway as httpApi } from "../../examples/host-http-api.js"
import { gateway as httpServer } from "../../examples/host-http-server.js"
import { gateway as layerRouter } from "../../examples/host-layer-router.js"
import { gateway as router } from "../../examples/host-router.js"
import { buildClientModule } from "../stratix-client/support/clientModule.js"
import { quiet } from "../stratix-gateway/support/gateway.js"
import { connected, ended, read, requestText, textFrame, UPGRADE } from "../stratix-gateway/support/rawSocket.js"
import { openApiErrors } from "../support/openapi.js"

/** Where the WebSocket of each example is, and what it asks of a client. */
const hosts = [
  { name: "HttpLayerRouter", gateway: layerRouter, path: "/status", headers: {}, document: true, script: true },
  { name: "HttpApiBuilder.serve", gateway: httpApi, path: "/status", headers: {}, document: true },
  {
    name: "HttpRouter",
    gateway: router,
    path: "/agents/agent-001/status",
    headers: { "x-user": "ann" },
    document: false,
    script: true
  },
  { name: "HttpServer.serve", gateway: httpServer, path: "/status", headers: {}, document: false }
]

const environment = Layer.setConfigProvider(
  ConfigProvider.fromMap(
    new Map([
      ["PORT", "0"],
      ["STRATIX_PATH", "/status"],
      ["STRATIX_ALLOW_ANONYMOUS", "true"],
      ["STRATIX_DRAIN_TIMEOUT", "500 millis"]
    ])
  )
)

beforeAll(buildClientModule, 60_000)

for (const { document, gateway, headers, name, path, script = false } of hosts) {
  /** The example, and clients of it. */
  const start = Effect.gen(function* () {
    const context = yield* Layer.build(
      TestClientsWs.layerHttpServer(path).pipe(Layer.provideMerge(gateway), Layer.provide([environment, quiet]))
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    const port = address._tag === "TcpAddress" ? address.port : 0
    const clients = Context.get(context, TestClients.TestClients)
    const call = (method: string, at: string) =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}${at}`, { method })
        return { status: response.status, text: await response.text() }
      })
    return { call, connect: clients.connect({ headers }), port }
  })
  const upgrade = { ...UPGRADE, ...headers }

  describe(`a gateway on ${name}`, () => {
    it.scopedLive("its dashboards see its work, beside its own route and its own WebSocket", () =>
      Effect.gen(function* () {
        const { call, connect, port } = yield* start
        const dashboard = yield* connect
        assert.strictEqual((yield* dashboard.take).eventType, "stratix:connected")
        const own = yield* connected(port, requestText("/echo", UPGRADE))
        yield* read(own, /101/)
        assert.strictEqual((yield* call("POST", "/work")).status, 200)
        assert.deepInclude(yield* dashboard.take, {
          eventType: "stratix:agent_status_update",
          payload: { agentId: "agent-001", status: "busy" }
        })
        own.write(textFrame("hello"))
        assert.include(yield* read(own, /hello/), "hello")
        assert.strictEqual((yield* call("GET", "/nowhere")).status, 404)
      })
    )

    if (script)
      it.scopedLive("its pages import the client from it", () =>
        Effect.gen(function* () {
          const { call } = yield* start
          const { status, text } = yield* call("GET", "/client.js")
          assert.strictEqual(status, 200)
          assert.match(text, /export\{/)
        })
      )

    if (document)
      it.scopedLive("its one OpenAPI document has its own routes and the service's, without errors for a linter", () =>
        Effect.gen(function* () {
          const { call } = yield* start
          const { status, text } = yield* call("GET", "/openapi.json")
          assert.strictEqual(status, 200)
          assert.deepStrictEqual(yield* openApiErrors(text), [])
          const { paths } = JSON.parse(text)
          assert.includeMembers(Object.keys(paths), ["/work", "/api/stratix/events", "/api/stratix/state"])
        })
      )

    it.scopedLive("resets at every stage of an upgrade, on every path, leave it as it was", () =>
      Effect.gen(function* () {
        const { connect, port } = yield* start
        for (const at of [path, "/echo", "/nowhere"]) {
          const text = requestText(at, upgrade)
          for (const sent of [text.slice(0, 20), text, text + textFrame("{").toString("latin1")]) {
            const socket = yield* connected(port, sent)
            socket.resetAndDestroy()
          }
          const answered = yield* connected(port, text)
          yield* read(answered, /\r\n\r\n/)
          answered.resetAndDestroy()
        }
        const dashboard = yield* connect
        assert.strictEqual((yield* dashboard.take).eventType, "stratix:connected")
      })
    )

    it.scopedLive(
      "what is pipelined before an upgrade is answered before it, and what comes right behind is read",
      () =>
        Effect.gen(function* () {
          const { port } = yield* start
          const text = requestText("/nowhere") + requestText(path, upgrade)
          const junk = textFrame("junk")
          const socket = yield* connected(port, Buffer.concat([Buffer.from(text), junk]))
          const [before, stream] = (yield* read(socket, /stratix:error/)).split("HTTP/1.1 101")
          assert.include(before, "HTTP/1.1 404")
          assert.notInclude(stream, "HTTP/1.1")
          assert.include(stream, "stratix:error")
        })
    )

    it.live("its shutdown tells dashboards to come back, and ends whoever stays", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const outside = yield* Scope.make()
        const { connect, port } = yield* Scope.extend(start, scope)
        const dashboard = yield* connect
        yield* dashboard.take
        const raw = (bytes: string) => Scope.extend(connected(port, bytes), outside)
        // One that does not answer the close, and one that keeps the socket of a refusal.
        const frozen = yield* raw(requestText(path, upgrade))
        yield* read(frozen, /stratix:connected/)
        frozen.pause()
        const refused = yield* raw(requestText("/nowhere", UPGRADE))
        yield* read(refused, /404/)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* dashboard.closed).code, 1001)
        yield* ended(frozen)
        yield* Scope.close(outside, Exit.void)
      })
    )
  })
}
