import { createConfig, lintFromString } from "@redocly/openapi-core"
import { Effect } from "effect"

/** What a public linter finds wrong with an OpenAPI document: its errors, by the rules that it recommends. */
export const openApiErrors = (source: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const config = await createConfig({ extends: ["recommended"] })
    const problems = await lintFromString({ source, absoluteRef: "openapi.json", config })
    return problems.flatMap(({ location, message, ruleId, severity }) =>
      severity === "error" ? [`${ruleId}: ${message} at ${location.map(({ pointer }) => pointer).join()}`] : []
    )
  })
