import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Authenticator, NodeServer, StatusSyncConfig, StatusSyncServer } from "../../src/stratix-gateway/index.js"
import { port, quiet, recorded, token } from "./support/gateway.js"

describe("several gateways in one program", () => {
  it.live("are several: each has its own server", () =>
    Effect.gen(function* () {
      const ports: Array<number> = []
      const gateway = (path: string) =>
        Layer.scopedDiscard(Effect.map(port, (bound) => ports.push(bound))).pipe(
          Layer.provide(StatusSyncServer.layerLoopback({ port: 0, path }))
        )
      yield* Layer.build(Layer.merge(gateway("/one"), gateway("/two")))
      assert.strictEqual(new Set(ports).size, 2)
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})

describe("a gateway that stands open", () => {
  /** What is logged while a gateway on this address, mounted on a host's server, listens. */
  const warningsOf = (
    host: string,
    settings: Partial<StatusSyncConfig.Settings>,
    authenticator: Layer.Layer<Authenticator.Authenticator>
  ) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const server = createServer()
      const mounted = StatusSyncServer.layerMounted.pipe(
        Layer.provide(authenticator),
        Layer.provideMerge(Layer.succeed(NodeServer.NodeServer, server)),
        Layer.provideMerge(StatusSyncConfig.layer({ port: 0, host, ...settings })),
        Layer.provide(recorded(lines))
      )
      yield* Effect.provide(NodeServer.listen, mounted).pipe(Effect.scoped)
      return lines.filter((line) => line.startsWith("WARN"))
    })
  const open = Authenticator.layerAllowAll
  const tokens = Authenticator.layerTokens([token("one", ["publish"])])

  it.live("says so when others can reach it, over the network or through a proxy, and only then", () =>
    Effect.gen(function* () {
      assert.match((yield* warningsOf("0.0.0.0", {}, open)).join(), /0\.0\.0\.0 can be reached.*no token is asked for/)
      assert.deepStrictEqual(yield* warningsOf("127.0.0.1", {}, open), [])
      const behindProxy = yield* warningsOf("127.0.0.1", { trustedProxies: ["127.0.0.1"] }, open)
      assert.match(behindProxy.join(), /through STRATIX_TRUSTED_PROXIES and no token is asked for/)
      assert.deepStrictEqual(yield* warningsOf("0.0.0.0", {}, tokens), [])
      assert.match((yield* warningsOf("127.0.0.1", { allowedOrigins: ["*"] }, tokens)).join(), /every origin/)
    })
  )
})
