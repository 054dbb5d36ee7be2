/** The AsyncAPI document of a running gateway: that of the protocol, and the event types that it declares. */
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AnyStatusEvent } from "../../../stratix-core/StatusEvent.js"
import * as DeclaredEvents from "../../log/DeclaredEvents.js"
import { componentOf, schemasOf } from "./OpenApiDocument.js"

const json = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** What is added to, of the document that the package has. */
const Document = Schema.parseJson(
  Schema.Struct(
    {
      channels: Schema.Struct({ plain: Schema.Struct({ messages: json }, json) }, json),
      components: Schema.Struct({ schemas: json, messages: json }, json)
    },
    json
  )
)

const read = Effect.tryPromise(() => {
  // Found by the package's name, because this module may have been bundled to anywhere in it.
  const root = pathToFileURL(createRequire(import.meta.url).resolve("stratix-status-sync/package.json"))
  return readFile(new URL("docs/asyncapi.json", root), "utf8")
}).pipe(Effect.flatMap(Schema.decode(Document)))

const messageOf = (event: AnyStatusEvent) => ({
  name: componentOf(event),
  title: event.eventType,
  ...(event.description !== undefined && { summary: event.description }),
  contentType: "application/json",
  payload: { $ref: `#/components/schemas/${componentOf(event)}` }
})

const withEvents = ({ channels, components, ...rest }: typeof Document.Type, events: ReadonlyArray<AnyStatusEvent>) => {
  const refs = events.map((event) => [componentOf(event), { $ref: `#/components/messages/${componentOf(event)}` }])
  const messages = events.map((event) => [componentOf(event), messageOf(event)])
  const { plain } = channels
  return {
    ...rest,
    channels: { ...channels, plain: { ...plain, messages: { ...plain.messages, ...Object.fromEntries(refs) } } },
    components: {
      ...components,
      schemas: { ...components.schemas, ...schemasOf(events) },
      messages: { ...components.messages, ...Object.fromEntries(messages) }
    }
  }
}

/** Serves the document at /asyncapi.json, unless the package has been stripped of it. */
export const layer = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const declared = yield* DeclaredEvents.DeclaredEvents
    const document = withEvents(yield* read, [...declared.values()])
    yield* router.get("/asyncapi.json", Effect.succeed(HttpServerResponse.unsafeJson(document)))
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`there is no /asyncapi.json: ${error.message}`)))
)
