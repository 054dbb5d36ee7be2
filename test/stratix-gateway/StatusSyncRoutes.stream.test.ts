import { HttpLayerRouter, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Authenticator, Filter, StatusSync, StatusSyncRoutes } from "../../src/stratix-gateway/index.js"
import { TestClients } from "../../src/stratix-testing/index.js"
import { untilCount } from "../support/waiting.js"
import { refusal } from "./support/gateway.js"
import { hostPort, layerRouterOf } from "./support/guest.js"
import { connected, read, requestText } from "./support/rawSocket.js"

const PATH = "/events"

const ann: Authenticator.Principal = {
  ...Authenticator.anonymous,
  name: "ann",
  permissions: new Set(["subscribe"])
}

const ask = { stream: true, path: PATH } as const

/** The stream as a route, by the word of the host about whom it is for. */
const route = (host: Omit<StatusSyncRoutes.RouteOptions, "path"> = { principal: ann }) =>
  StatusSyncRoutes.layerStream({ path: PATH, ...host })

describe("a route that is the event stream", () => {
  it.scopedLive("is for whom the host says, and shows what the host lets through", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("hidden", "busy")
      yield* sync.notifyAgentStatus("shown", "busy")
      const client = yield* TestClients.connect(ask)
      const [, , event] = yield* client.takeN(3)
      assert.deepStrictEqual(event?.payload, { agentId: "shown", status: "busy" })
    }).pipe(
      Effect.provide(
        layerRouterOf(
          route({ principal: ann, visible: Filter.fromFields({ agents: ["shown"] }) }),
          {},
          Authenticator.layerDenyAll
        )
      )
    )
  )

  it.scopedLive("has the headers that its host adds", () => {
    const named = HttpLayerRouter.middleware((app) => Effect.map(app, HttpServerResponse.setHeader("x-host", "mine")))
    const cors = HttpLayerRouter.middleware(HttpMiddleware.cors({ allowedOrigins: ["http://localhost:1"] }))
    return Effect.gen(function* () {
      const socket = yield* connected(yield* hostPort, requestText(PATH, { Origin: "http://localhost:1" }))
      const head = yield* read(socket, /stratix:connected/)
      assert.include(head, "\r\nx-host: mine\r\n")
      assert.include(head, "\r\naccess-control-allow-origin: http://localhost:1\r\n")
    }).pipe(Effect.provide(layerRouterOf(route().pipe(Layer.provide([named.layer, cors.layer])))))
  })

  it.scopedLive("takes no place where its host answers something else", () => {
    const moody = HttpLayerRouter.middleware((app) =>
      Effect.gen(function* () {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        const answer = yield* app
        if (headers["x-mood"] === "no") return HttpServerResponse.text("no", { status: 403 })
        if (headers["x-mood"] === "worse") return yield* Effect.dieMessage("a fault of the host")
        return answer
      })
    )
    return Effect.gen(function* () {
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* refusal({ ...ask, headers: { "x-mood": "no" } })).status, 403)
        assert.strictEqual((yield* refusal({ ...ask, headers: { "x-mood": "worse" } })).status, 500)
      }
      const client = yield* TestClients.connect(ask)
      yield* client.take
      assert.strictEqual((yield* refusal(ask)).status, 503)
    }).pipe(Effect.provide(layerRouterOf(route().pipe(Layer.provide(moody.layer)), { maxConnections: 1 })))
  })

  it.scopedLive("cannot wait for the answer before it on the same socket", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const slow = HttpLayerRouter.add(
        "GET",
        "/slow",
        Effect.as(
          Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(go)),
          HttpServerResponse.text("slow")
        )
      )
      yield* Effect.gen(function* () {
        const socket = yield* connected(yield* hostPort, requestText("/slow") + requestText(PATH))
        const answers = yield* Effect.fork(read(socket, /Pipelined/))
        // Both came in one packet. Node holds the second answer back until the first is written.
        yield* Deferred.await(asked)
        yield* Deferred.succeed(go, undefined)
        assert.match(yield* Fiber.join(answers), /slow.*HTTP\/1.1 400/s)
        yield* untilCount(0)
      }).pipe(Effect.provide(layerRouterOf(Layer.merge(route(), slow))))
    })
  )

  it.live("is ended, with a word, before its host stops to answer", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* layerRouterOf(route(), { drainTimeout: "1 hours" }).pipe(Layer.build, Scope.extend(scope))
      const client = yield* Effect.provide(TestClients.connect(ask), context)
      yield* client.takeN(2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* client.closed).code, 1000)
      assert.strictEqual((yield* client.received).at(-1)?.eventType, "stratix:closing")
    })
  )
})
