import { HttpApi, OpenApi } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StratixApi } from "../../../../src/stratix-gateway/index.js"
import { openApiErrors } from "../../../support/openapi.js"

const errorsOf = (document: OpenApi.OpenAPISpec) => openApiErrors(JSON.stringify(document))

describe("the OpenAPI document", () => {
  it.effect("of a gateway has no errors for a public linter", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* errorsOf(OpenApi.fromApi(StratixApi.GatewayApi)), [])
    })
  )

  it.effect("of a host with all our groups has none either", () =>
    Effect.gen(function* () {
      const host = HttpApi.make("host")
        .addHttpApi(StratixApi.StratixApi)
        .addHttpApi(StratixApi.OperationsApi)
        .annotate(OpenApi.Servers, [{ url: "/" }])
      assert.deepStrictEqual(yield* errorsOf(OpenApi.fromApi(host)), [])
    })
  )

  it.effect("with an error is told apart", () =>
    Effect.gen(function* () {
      const [error] = yield* errorsOf(OpenApi.fromApi(HttpApi.make("host").addHttpApi(StratixApi.StratixApi)))
      assert.match(error ?? "", /^no-empty-servers/)
    })
  )
})
