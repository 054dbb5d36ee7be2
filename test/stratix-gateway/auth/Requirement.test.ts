import { createServer } from "node:http"
import { HttpApi, HttpApiBuilder, HttpLayerRouter, HttpRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  Authenticator,
  NodeServer,
  StatusSyncConfig,
  StatusSyncHttpServer,
  StatusSyncRoutes,
  StatusSyncServer,
  StatusSyncService
} from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, quiet, refusal, request, secretOf } from "../support/gateway.js"

/** Takes a layer that can be launched: one that requires nothing. */
const complete = <A, E>(layer: Layer.Layer<A, E>) => layer

const tokens = Authenticator.layerTokensFile("tokens.json")

describe("the service requires an authenticator", () => {
  it("and does not compile without one, nor with one that is merged beside it", () => {
    const settings = StatusSyncConfig.layer({ host: "0.0.0.0" })
    const own = NodeServer.layer
    const gateways = [
      StatusSyncServer.layer({ host: "0.0.0.0" }),
      StatusSyncServer.layerConfig,
      Layer.provide(StatusSyncServer.layerOn(own), settings),
      Layer.provide(StatusSyncServer.layerMounted, Layer.provideMerge(own, settings)),
      StatusSyncService.layer(),
      StatusSyncService.layerConfig,
      HttpLayerRouter.serve(StatusSyncRoutes.layer({ path: "/" })).pipe(
        StatusSyncRoutes.drained,
        Layer.provide(StatusSyncService.layer()),
        Layer.provide(NodeHttpServer.layer(NodeServer.guard(createServer), { port: 0 }))
      )
    ] as const
    const [layer, layerConfig, layerOn, layerMounted, service, serviceConfig, guest] = gateways

    // @ts-expect-error the authenticator is missing
    complete(layer)
    // @ts-expect-error the authenticator is missing
    complete(layerConfig)
    // @ts-expect-error the authenticator is missing
    complete(layerOn)
    // @ts-expect-error the authenticator is missing
    complete(layerMounted)
    // @ts-expect-error the authenticator is missing
    complete(service)
    // @ts-expect-error the authenticator is missing
    complete(serviceConfig)
    // @ts-expect-error the authenticator is missing
    complete(guest)
    // @ts-expect-error the authenticator is beside the application, whose service does not see it
    complete(Layer.merge(guest, tokens))
    // @ts-expect-error the authenticator is beside the gateway, which does not see it
    complete(Layer.merge(layer, tokens))
    // @ts-expect-error the authenticator is beside the gateway, which does not see it
    complete(Layer.mergeAll(layerConfig, tokens))
    // @ts-expect-error the authenticator is beside the gateway, which does not see it
    complete(Layer.merge(layerOn, tokens))
    // @ts-expect-error the authenticator is beside the gateway, which does not see it
    complete(Layer.merge(layerMounted, tokens))

    for (const gateway of [layer, layerConfig, layerOn, layerMounted]) complete(Layer.provide(gateway, tokens))
    for (const gateway of [service, serviceConfig]) complete(Layer.provide(gateway, tokens))
    complete(Layer.provide(guest, tokens))
  })

  it("unless it is told that only this machine can reach it, and then takes no address", () => {
    complete(StatusSyncServer.layerLoopback())
    complete(StatusSyncServer.layerLoopback({ port: 0 }))
    // @ts-expect-error a loopback gateway has no host
    complete(StatusSyncServer.layerLoopback({ host: "0.0.0.0" }))
    // @ts-expect-error a loopback gateway has no proxies
    complete(StatusSyncServer.layerLoopback({ trustedProxies: ["10.0.0.0/8"] }))
    const settings: Partial<StatusSyncConfig.Settings> = { host: "0.0.0.0" }
    // @ts-expect-error there may be a host among them
    complete(StatusSyncServer.layerLoopback(settings))
  })
})

describe("an application that mounts the WebSocket requires its drain", () => {
  const server = NodeHttpServer.layer(NodeServer.guard(createServer), { port: 0 })
  const served = <E, R>(serving: Layer.Layer<never, E, R>) =>
    serving.pipe(
      Layer.provide(StatusSyncService.layer()),
      Layer.provide(Authenticator.layerAllowAll),
      Layer.provide(server)
    )
  const { layer, layerHttpApi, route } = StatusSyncRoutes

  it("and does not compile without it", () => {
    const layerRouter = HttpLayerRouter.serve(layer({ path: "/status" }))
    const router = HttpServer.serve(HttpRouter.fromIterable([route({ path: "/status" })]))
    const api = HttpApiBuilder.serve().pipe(
      Layer.provide(layerHttpApi({ path: "/status" })),
      Layer.provide(HttpApiBuilder.api(HttpApi.make("empty")))
    )

    // @ts-expect-error nothing drains the clients
    complete(served(layerRouter))
    // @ts-expect-error nothing drains the clients
    complete(served(router))
    // @ts-expect-error nothing drains the clients
    complete(served(api))

    complete(served(layerRouter.pipe(StatusSyncRoutes.drained)))
    complete(served(router.pipe(StatusSyncRoutes.drained)))
    complete(served(api.pipe(StatusSyncRoutes.drained)))
  })

  it("unless its server takes the upgrades, and drains by itself", () => {
    complete(
      HttpServer.serve(HttpRouter.empty).pipe(
        Layer.provide(StatusSyncHttpServer.layer(createServer, { port: 0 })),
        Layer.provide(StatusSyncService.layer()),
        Layer.provide(Authenticator.layerAllowAll)
      )
    )
  })
})

describe("one authenticator", () => {
  /** Recognises every token as a principal of that name, and notes whom it was asked for. */
  const noting = (asked: Array<string>) =>
    Layer.scoped(
      Authenticator.Authenticator,
      Effect.map(
        Authenticator.make({ verifiers: [{ verify: () => Effect.succeed(Authenticator.anonymous) }] }),
        (made) => ({
          ...made,
          authenticate: (credentials: Authenticator.Credentials) =>
            Effect.zipRight(
              Effect.sync(() => asked.push(credentials.token === undefined ? "no token" : "a token")),
              made.authenticate(credentials)
            )
        })
      )
    )

  it.live("is asked for WebSockets and for HTTP routes", () => {
    const asked: Array<string> = []
    return Effect.gen(function* () {
      yield* TestClients.connect(bearer("x"))
      assert.deepStrictEqual(asked, ["a token"])
      assert.strictEqual((yield* request("GET", "/api/stratix/state")).status, 200)
      assert.deepStrictEqual(asked, ["a token", "no token"])
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layerWs({}, noting(asked)), quiet)))
  })

  it.live("that refuses everything refuses both, with and without a token", () =>
    Effect.gen(function* () {
      for (const token of [undefined, secretOf("any")]) {
        const options = token === undefined ? {} : bearer(token)
        assert.strictEqual((yield* refusal(options)).status, 401)
        assert.strictEqual((yield* request("GET", "/api/stratix/state", options)).status, 401)
        assert.strictEqual((yield* request("GET", "/metrics", options)).status, 401)
      }
    }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layerWs({}, Authenticator.layerDenyAll), quiet)))
  )
})
