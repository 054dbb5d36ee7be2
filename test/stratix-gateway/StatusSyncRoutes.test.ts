import { createServer, type IncomingMessage } from "node:http"
import { HttpLayerRouter, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import {
  Authenticator,
  Connections,
  Filter,
  StatusSync,
  StatusSyncRoutes,
  StatusSyncService
} from "../../src/stratix-gateway/index.js"
import { TestClients, TestClientsWs } from "../../src/stratix-testing/index.js"
import { collectGarbage } from "../support/garbage.js"
import { nextTurn } from "../support/waiting.js"
import { quiet, refusal } from "./support/gateway.js"
import { call, hostOf, hostPort, layerRouterOf, PATH } from "./support/guest.js"
import { connected, ended, read, requestText, UPGRADE } from "./support/rawSocket.js"

/** Everyone is this principal, by the word of the host. */
const principalOf = (more: Partial<Authenticator.Principal> = {}): Authenticator.Principal => ({
  ...Authenticator.anonymous,
  name: "ann",
  permissions: new Set(["subscribe"]),
  ...more
})

const byHost = (host: Omit<StatusSyncRoutes.RouteOptions, "path">) =>
  layerRouterOf(StatusSyncRoutes.layer({ path: PATH, ...host }), {}, Authenticator.layerDenyAll)

describe("a route that is the WebSocket", () => {
  it.scopedLive("refuses what is no upgrade, and an upgrade without `Connection`, with 426", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* call(PATH)).status, 426)
      const socket = yield* connected(yield* hostPort, requestText(PATH, { ...UPGRADE, Connection: "close" }))
      assert.match(yield* read(socket), /^HTTP\/1.1 426/)
    }).pipe(Effect.provide(layerRouterOf()))
  )

  it.scopedLive("is behind the middleware of its host", () => {
    const door = HttpLayerRouter.middleware((app) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        headers["x-pass"] === undefined ? Effect.succeed(HttpServerResponse.text("no", { status: 403 })) : app
      )
    )
    const routes = StatusSyncRoutes.layer({ path: PATH }).pipe(Layer.provide(door.layer))
    return Effect.gen(function* () {
      assert.strictEqual((yield* refusal()).status, 403)
      const client = yield* TestClients.connect({ headers: { "x-pass": "yes" } })
      yield* client.take
    }).pipe(Effect.provide(layerRouterOf(routes)))
  })

  it.scopedLive("can be anywhere, with parameters in its path", () => {
    const tenant = Effect.flatMap(HttpRouter.params, ({ tenant = "" }) =>
      StatusSyncRoutes.upgrade({ visible: Filter.fromFields({ agents: [tenant] }) })
    )
    const router = HttpRouter.empty.pipe(
      HttpRouter.mount("/v1", HttpRouter.empty.pipe(HttpRouter.get("/:tenant/status", tenant))),
      HttpRouter.concat(HttpRouter.fromIterable([StatusSyncRoutes.route({ path: "/elsewhere" })]))
    )
    return Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const one = yield* TestClients.connect({ path: "/v1/one/status", query: "agents=one,two" })
      const all = yield* TestClients.connect({ path: "/elsewhere" })
      yield* one.take
      yield* all.take
      yield* sync.notifyAgentStatus("two", "busy")
      yield* sync.notifyAgentStatus("one", "busy")
      assert.deepInclude(yield* one.take, { payload: { agentId: "one", status: "busy" } })
      assert.deepInclude(yield* all.take, { payload: { agentId: "two", status: "busy" } })
    }).pipe(Effect.provide(hostOf(HttpServer.serve(router))))
  })

  /** What a host's middleware does with each request. */
  const each = (use: (request: IncomingMessage) => void) =>
    layerRouterOf(
      StatusSyncRoutes.layer({ path: PATH }).pipe(
        Layer.provide(
          HttpLayerRouter.middleware((app) =>
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
              use(NodeHttpServerRequest.toIncomingMessage(request))
              return app
            })
          ).layer
        )
      )
    )

  it.scopedLive("keeps nothing of the request while the WebSocket lives", () => {
    const requests: Array<WeakRef<object>> = []
    return Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* client.take
      yield* nextTurn
      collectGarbage()
      assert.deepStrictEqual(
        requests.map((request) => request.deref()),
        [undefined]
      )
      yield* sync.notifyAgentStatus("a", "busy")
      yield* client.take
    }).pipe(Effect.provide(each((request) => requests.push(new WeakRef(request)))))
  })

  it.scopedLive("leaves alone what the host does at the end of the socket", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const host = each(({ socket }) => socket.on("close", () => Deferred.unsafeDone(closed, Effect.void)))
      yield* Effect.gen(function* () {
        const client = yield* TestClients.connect()
        yield* client.take
        yield* client.close()
        yield* Deferred.await(closed)
      }).pipe(Effect.provide(host))
    })
  )

  it.scopedLive("says so, and refuses, on a server that is not guarded", () => {
    const unguarded = HttpLayerRouter.serve(StatusSyncRoutes.layer({ path: PATH }), { disableListenLog: true }).pipe(
      StatusSyncRoutes.drained,
      Layer.provide(StatusSyncService.layer()),
      Layer.provide(Authenticator.layerAllowAll),
      Layer.provideMerge(TestClientsWs.layerHttpServer(PATH)),
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provide(quiet)
    )
    return Effect.gen(function* () {
      const { message, status } = yield* refusal()
      assert.strictEqual(status, 500)
      assert.include(message, "NodeServer.guard(createServer)")
    }).pipe(Effect.provide(unguarded))
  })
})

describe("a principal that the host gives", () => {
  it.scopedLive("needs no token, and what the host lets it see is all it sees", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* client.take
      yield* sync.notifyAgentStatus("hidden", "busy")
      yield* sync.notifyAgentStatus("shown", "busy")
      assert.deepInclude(yield* client.take, { payload: { agentId: "shown", status: "busy" } })
    }).pipe(
      Effect.provide(
        byHost({
          principal: principalOf({ visible: Filter.fromFields({ agents: ["shown", "other"] }) }),
          visible: Filter.fromFields({ agents: ["shown", "hidden"] })
        })
      )
    )
  )

  it.scopedLive("must be permitted to subscribe", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* refusal()).status, 403)
    }).pipe(Effect.provide(byHost({ principal: principalOf({ permissions: new Set(["publish"]) }) })))
  )

  it.scoped("is closed at the very moment it expires, and refused after that", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* client.closed, { code: 4401, reason: "the token has expired" })
      const { message, status } = yield* refusal()
      assert.strictEqual(status, 401)
      assert.match(message, /has expired/)
    }).pipe(Effect.provide(byHost({ principal: principalOf({ expiresAt: DateTime.unsafeMake(1000) }) })))
  )

  it.scopedLive("is closed when it is revoked, and refused after that", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* client.take
      yield* Effect.flatMap(Authenticator.Authenticator, ({ revoke }) => revoke("ann"))
      assert.deepStrictEqual(yield* client.closed, { code: 4401, reason: "the token was revoked" })
      const { message, status } = yield* refusal()
      assert.strictEqual(status, 401)
      assert.match(message, /was revoked/)
    }).pipe(Effect.provide(byHost({ principal: principalOf() })))
  )
})

describe("a client that leaves in the middle of its handshake", () => {
  it.scopedLive("gives its place back", () => {
    const asked = Deferred.unsafeMake<void>(Fiber.id(Fiber.void))
    const answer = Deferred.unsafeMake<void>(Fiber.id(Fiber.void))
    const slow = Layer.scoped(
      Authenticator.Authenticator,
      Authenticator.make({
        verifiers: [
          {
            verify: () =>
              Effect.as(Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(answer)), principalOf())
          }
        ]
      })
    )
    return Effect.gen(function* () {
      const socket = yield* connected(yield* hostPort, requestText(PATH, UPGRADE))
      yield* Deferred.await(asked)
      socket.resetAndDestroy()
      yield* ended(socket)
      yield* Deferred.succeed(answer, undefined)
      // The one place there is.
      const client = yield* Effect.retry(TestClients.connect(), { while: ({ status }) => status === 503 })
      yield* client.take
      assert.strictEqual(yield* Effect.flatMap(Connections.Connections, ({ count }) => count), 1)
    }).pipe(Effect.provide(layerRouterOf(undefined, { maxConnections: 1 }, slow)))
  })
})

describe("the drain of a guest", () => {
  it.live(
    "comes before its host stops to answer: who asks meanwhile is told, by the WebSocket and by every route",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const outside = yield* Scope.make()
        const own = HttpLayerRouter.add("GET", "/own", HttpServerResponse.text("own"))
        const context = yield* layerRouterOf(Layer.merge(StatusSyncRoutes.layer({ path: PATH }), own), {
          drainTimeout: "1 hours"
        }).pipe(Layer.build, Scope.extend(scope))
        const port = yield* Effect.provide(hostPort, context)
        const client = yield* Effect.provide(TestClients.connect(), context)
        // It does not answer the close, so the drain waits for it.
        const frozen = yield* Scope.extend(connected(port, requestText(PATH, UPGRADE)), outside)
        yield* read(frozen, /stratix:connected/)
        frozen.pause()
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        assert.strictEqual((yield* client.closed).code, 1001)
        const { message, status } = yield* Effect.provide(refusal(), context)
        assert.strictEqual(status, 503)
        assert.include(message, "going away")
        assert.strictEqual((yield* Effect.provide(call("/own"), context)).status, 200)
        frozen.destroy()
        yield* Fiber.join(closing)
        yield* Scope.close(outside, Exit.void)
      })
  )
})

describe("many guests in one program", () => {
  it.scopedLive("are many", () =>
    Effect.gen(function* () {
      const one = yield* Layer.build(layerRouterOf())
      const two = yield* Layer.build(layerRouterOf())
      yield* Effect.provide(TestClients.connect(), one)
      yield* nextTurn
      assert.strictEqual(yield* Context.get(one, StatusSync.StatusSync).clientCount, 1)
      assert.strictEqual(yield* Context.get(two, StatusSync.StatusSync).clientCount, 0)
    })
  )
})
