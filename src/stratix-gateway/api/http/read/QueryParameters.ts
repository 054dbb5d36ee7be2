/**
 * The query of what is read, as the OpenAPI document tells it. `Filter.fromQuery` reads it, as it reads that of an upgrade.
 */
import type * as OpenApi from "@effect/platform/OpenApi"

/** The most events of the history in one answer: as many as one request may publish. */
export const MAX_LIMIT = 1000

const parameter = (name: string, description: string): OpenApi.OpenAPISpecParameter => ({
  name,
  in: "query",
  schema: { type: "string" },
  required: false,
  description
})

/** Whose events. */
export const tenant = parameter("tenant", "one of the token's tenants; needed where it has several")

/** Adds it to the parameters of an operation. */
export const withTenant = (
  operation: Readonly<Record<string, unknown>>
): Readonly<Record<string, unknown>> & { readonly parameters: ReadonlyArray<unknown> } => ({
  ...operation,
  parameters: [...(Array.isArray(operation["parameters"]) ? operation["parameters"] : []), tenant]
})

/** Which events, and whose. */
export const filter: ReadonlyArray<OpenApi.OpenAPISpecParameter> = [
  parameter("events", "only these event types, separated by commas; the prefix `stratix:` may be left out"),
  parameter("agents", "only events of these agents, separated by commas"),
  parameter("commands", "only events of these commands, separated by commas"),
  tenant
]

/** Which part of the history. */
export const history: ReadonlyArray<OpenApi.OpenAPISpecParameter> = [
  ...filter,
  { ...parameter("limit", "the most events"), schema: { type: "integer", minimum: 1, maximum: MAX_LIMIT } },
  parameter("since", "an offset: only events after it"),
  parameter("until", "an offset: only events before it")
]

/** Where a stream begins, and whose it is. */
export const stream: ReadonlyArray<OpenApi.OpenAPISpecParameter> = [
  ...filter,
  parameter("since", "an offset: everything after it; without one, a snapshot"),
  parameter("token", "a bearer token, where the operator allows it"),
  {
    ...parameter("last-event-id", "as `since`, and in its place: `EventSource` sends it when it comes back"),
    in: "header"
  }
]
