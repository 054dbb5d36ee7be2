import { createServer } from "node:http"
import { HttpApi, HttpApiBuilder, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CurrentPrincipal } from "../../../../src/stratix-gateway/api/http/CurrentPrincipal.js"
import * as RouteAuth from "../../../../src/stratix-gateway/api/http/RouteAuth.js"
import { Authenticator, StratixApi } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../../src/stratix-testing/index.js"
import { bearer, quiet, secretOf, token } from "../../support/gateway.js"

/** An application that mounts a group of routes in an API of its own, on the platform's server. */
class Host extends HttpApi.make("host").add(StratixApi.StateGroup) {}

const served = Effect.map(CurrentPrincipal, ({ principal }) => HttpServerResponse.text(`served ${principal.name}`))

const state = HttpApiBuilder.group(Host, "stratix.state", (handlers) =>
  handlers.handleRaw("state", () => served).handleRaw("history", () => served)
)

const server = HttpApiBuilder.serve().pipe(
  Layer.provide(Layer.provide(HttpApiBuilder.api(Host), state)),
  Layer.provide(RouteAuth.layer),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(
    StatusSyncTest.layerWith({}, Authenticator.layerTokens([token("dash", ["subscribe"]), token("ci", ["publish"])]))
  ),
  Layer.provide(quiet)
)

const get = (name?: string) =>
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    const port = address._tag === "TcpAddress" ? address.port : 0
    const options = name === undefined ? {} : bearer(secretOf(name))
    return yield* Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/api/stratix/state`, options)
      return [response.status, response.headers.get("www-authenticate"), await response.text()] as const
    })
  })

describe("a group of routes in a host's own API", () => {
  it.scopedLive("is authenticated there, too, and its refusals keep their headers", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* get(), [
        401,
        'Bearer realm="stratix"',
        '{"error":"Unauthenticated","message":"a token is needed"}'
      ])
      const [status, challenge] = yield* get("ci")
      assert.strictEqual(status, 403)
      assert.include(challenge ?? "", 'scope="stratix:subscribe"')
      assert.deepStrictEqual(yield* get("dash"), [200, null, "served dash"])
    }).pipe(Effect.provide(server))
  )
})
