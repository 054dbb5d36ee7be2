import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpLayerRouter,
  HttpMiddleware,
  OpenApi
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema, Tracer } from "effect"
import { Authenticator, StatusSyncRoutes, StratixApi } from "../../../../src/stratix-gateway/index.js"
import { TestClients } from "../../../../src/stratix-testing/index.js"
import { bearer, recorded, refusal, secretOf, token } from "../../support/gateway.js"
import { call, hostOf, hostPort, layerRouterOf, PATH } from "../../support/guest.js"
import { connected, read, requestText, UPGRADE } from "../../support/rawSocket.js"

// Groups of the host's own that are named as ours would be without a prefix.
const OwnState = HttpApiGroup.make("state").add(HttpApiEndpoint.get("state", "/state").addSuccess(Schema.String))
const OwnPublish = HttpApiGroup.make("publish").add(
  HttpApiEndpoint.get("publish", "/publish").addSuccess(Schema.String)
)

class Api extends HttpApi.make("host")
  .add(OwnState)
  .add(OwnPublish)
  .addHttpApi(StratixApi.StratixApi)
  .addHttpApi(StratixApi.OperationsApi)
  .annotate(OpenApi.Title, "The host's own") {}

const own = Layer.merge(
  HttpApiBuilder.group(Api, "state", (handlers) => handlers.handle("state", () => Effect.succeed("own state"))),
  HttpApiBuilder.group(Api, "publish", (handlers) => handlers.handle("publish", () => Effect.succeed("own publish")))
)

const groups = Layer.mergeAll(own, StatusSyncRoutes.groups(Api), StatusSyncRoutes.operations(Api))

const routes = Layer.merge(
  HttpLayerRouter.addHttpApi(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(groups)),
  StatusSyncRoutes.layer({ path: PATH })
)

const api = HttpApiBuilder.serve(HttpMiddleware.logger).pipe(
  Layer.provide([HttpApiBuilder.middlewareOpenApi(), StatusSyncRoutes.layerHttpApi({ path: PATH })]),
  Layer.provide(Layer.provide(HttpApiBuilder.api(Api), groups))
)

const tokens = Authenticator.layerTokens([
  token("dash", ["subscribe"]),
  token("ci", ["publish"]),
  token("ops", ["operator"])
])

const put = (agentId: string, headers: Record<string, string> = {}) =>
  call(`/api/stratix/agents/${encodeURIComponent(agentId)}/status`, {
    method: "PUT",
    body: '{"status":"busy"}',
    headers: { "content-type": "application/json", ...headers }
  })

for (const [name, host] of [
  ["HttpLayerRouter", (authenticator?: typeof tokens) => layerRouterOf(routes, {}, authenticator)],
  ["HttpApiBuilder.serve", (authenticator?: typeof tokens) => hostOf(api, {}, authenticator)]
] as const) {
  describe(`our groups in the API of a host on ${name}`, () => {
    it.scopedLive("stand beside its own of like names, in its one document", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* call("/state")).text, '"own state"')
        assert.strictEqual((yield* call("/publish")).text, '"own publish"')
        assert.strictEqual((yield* put("a")).status, 202)
        assert.include((yield* call("/api/stratix/state")).text, '"agentId":"a"')
        assert.strictEqual((yield* call("/healthz")).status, 200)
        assert.include((yield* call("/metrics")).text, "stratix_connections")
        assert.include(
          (yield* call("/api/stratix/diagnostics")).text,
          "every client that the host application lets through"
        )
        const { info, paths, tags } = JSON.parse((yield* call("/openapi.json")).text)
        assert.strictEqual(info.title, "The host's own")
        assert.deepStrictEqual(
          tags.map((tag: { name: string }) => tag.name),
          [
            "state",
            "publish",
            "stratix.publish",
            "stratix.state",
            "stratix.stream",
            "stratix.operations",
            "stratix.health"
          ]
        )
        assert.includeMembers(Object.keys(paths), ["/state", "/api/stratix/state", "/api/stratix/events"])
      }).pipe(Effect.provide(host()))
    )

    it.scopedLive("take ids of 256 characters, whatever they are", () =>
      Effect.gen(function* () {
        for (const id of ["x".repeat(256), "例".repeat(256)]) assert.strictEqual((yield* put(id)).status, 202, id)
        assert.strictEqual((yield* put("x".repeat(257))).status, 400)
      }).pipe(Effect.provide(host()))
    )

    it.scopedLive("ask for tokens, and refuse pages of foreign origins whatever their token", () =>
      Effect.gen(function* () {
        const state = (headers: Record<string, string> = {}) => call("/api/stratix/state", { headers })
        const missing = yield* state()
        assert.strictEqual(missing.status, 401)
        assert.strictEqual(missing.headers.get("www-authenticate"), 'Bearer realm="stratix"')
        const dash = bearer(secretOf("dash")).headers
        assert.strictEqual((yield* state(dash)).status, 200)
        assert.strictEqual((yield* state({ ...dash, origin: "http://localhost:8080" })).status, 200)
        const foreign = yield* state({ ...dash, origin: "https://evil.example" })
        assert.strictEqual(foreign.status, 403)
        assert.include(foreign.text, "https://evil.example")
        assert.strictEqual((yield* put("a", { ...bearer(secretOf("ci")).headers, origin: "null" })).status, 403)
        assert.strictEqual((yield* call("/metrics", { headers: dash })).status, 403)
      }).pipe(Effect.provide(host(tokens)))
    )
  })
}

describe("our groups in an API", () => {
  it.scopedLive("are where its prefix puts them", () => {
    const Prefixed = HttpApi.make("prefixed").addHttpApi(StratixApi.StratixApi).prefix("/v1")
    const prefixed = HttpLayerRouter.addHttpApi(Prefixed).pipe(Layer.provide(StatusSyncRoutes.groups(Prefixed)))
    return Effect.gen(function* () {
      assert.strictEqual((yield* call("/v1/api/stratix/state")).status, 200)
      assert.strictEqual((yield* call("/api/stratix/state")).status, 404)
    }).pipe(Effect.provide(layerRouterOf(prefixed)))
  })

  it("must be in it", () => {
    assert.throws(() => StatusSyncRoutes.groups(HttpApi.make("empty")), /no group stratix\.publish.*addHttpApi/)
  })
})

describe("a token that a client shows", () => {
  /** All that a tracer is told. */
  const traced = (told: Array<string>) =>
    Layer.setTracer(
      Tracer.make({
        context: (run) => run(),
        span: (name, parent, context, links, startTime, kind) => {
          told.push(name)
          const attributes = new Map<string, unknown>()
          return {
            _tag: "Span",
            name,
            parent,
            context,
            links,
            kind,
            attributes,
            spanId: String(told.length),
            traceId: "trace",
            sampled: true,
            status: { _tag: "Started", startTime },
            attribute: (key, value) => {
              attributes.set(key, value)
              told.push(`${key}=${String(value)}`)
            },
            event: (event) => told.push(event),
            addLinks: () => undefined,
            end: (_time, exit) => told.push(JSON.stringify(exit))
          }
        }
      })
    )

  it.scopedLive("is in none of its host's traces and logs, wherever it shows it", () => {
    const told: Array<string> = []
    const logged: Array<string> = []
    const secret = secretOf("dash")
    const protocols = ["stratix.sync.v1", `stratix.bearer.${secret}`]
    const host = layerRouterOf(routes, { queryTokens: true }, tokens).pipe(
      Layer.provide(traced(told)),
      Layer.provide(recorded(logged))
    )
    return Effect.gen(function* () {
      for (const options of [
        { protocols },
        { query: `token=${secret}` },
        { query: `agents=a&%74oken=x&token=${secret}` }
      ]) {
        const client = yield* TestClients.connect(options)
        yield* client.take
        yield* client.close()
      }
      yield* refusal({ protocols, query: "agents=" })
      yield* refusal({ query: `token=${secret}x` })
      // Not an upgrade, by mistake.
      yield* call(`${PATH}?token=${secret}`)
      const socket = yield* connected(
        yield* hostPort,
        requestText(`${PATH}?token=${secret}`, { ...UPGRADE, Upgrade: "h2c" })
      )
      yield* read(socket)
      yield* call("/state")
      // What the host does itself is traced and logged.
      assert.include(told, "http.server GET")
      assert.isTrue(told.some((text) => text.startsWith("url.full=") && text.endsWith("/state")))
      assert.isTrue(logged.some((line) => line.includes('"http.url":"/state"')))
      assert.deepStrictEqual(
        [...told, ...logged].filter((text) => text.includes(secret)),
        []
      )
    }).pipe(Effect.provide(host), Effect.provide(Logger.remove(Logger.defaultLogger)))
  })
})
