/** The OpenAPI document of a running gateway: its routes, and the event types that it declares. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import type * as Layer from "effect/Layer"
import type { AnyStatusEvent } from "../../../stratix-core/StatusEvent.js"
import * as DeclaredEvents from "../../log/DeclaredEvents.js"
import { GatewayApi } from "./StratixApi.js"

const SCHEMAS = "#/components/schemas/"

/** The schema of an event, named by its type without the colon: a name of a component has none. */
export const componentOf = ({ eventType }: AnyStatusEvent): string => eventType.replaceAll(":", ".")

/** Declared events as components: their payloads, and others of their fields, refer to each other by name. */
export const schemasOf = (events: Iterable<AnyStatusEvent>): { readonly [name: string]: unknown } => {
  const definitions: Record<string, JSONSchema.JsonSchema7> = {}
  const own = [...events].map((event) => {
    const payload = JSONSchema.fromAST(event.schema.ast, {
      definitions,
      definitionPath: SCHEMAS,
      additionalPropertiesStrategy: "allow"
    })
    const schema = {
      type: "object",
      required: ["eventType", "payload"],
      ...(event.description !== undefined && { description: event.description }),
      properties: { eventType: { type: "string", enum: [event.eventType] }, payload }
    }
    return [componentOf(event), schema] as const
  })
  return { ...definitions, ...Object.fromEntries(own) }
}

/** Serves the document at /openapi.json. */
export const layer: Layer.Layer<never> = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const declared = yield* DeclaredEvents.DeclaredEvents
    const document = OpenApi.fromApi(GatewayApi)
    const { components } = document
    const response = HttpServerResponse.unsafeJson({
      ...document,
      components: { ...components, schemas: { ...components.schemas, ...schemasOf(declared.values()) } },
      ...(declared.size > 0 && {
        "x-events": [...declared.values()].map((event) => ({ $ref: SCHEMAS + componentOf(event) }))
      })
    })
    yield* router.get("/openapi.json", Effect.succeed(response))
  })
)
