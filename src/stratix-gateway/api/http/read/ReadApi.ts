/**
 * The routes that read, as values: the state, the history, and the stream.
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { AnyPayload, Key, Offset, RequestId, Timestamp } from "../../../../stratix-core/stratix-protocol.js"
import { SubscribeAuth } from "../CurrentPrincipal.js"
import { Problem } from "../Problem.js"
import * as QueryParameters from "./QueryParameters.js"

/** Names the log: another name than before says that it was restarted, and that publishers should say again what is so. */
export const epoch = Schema.String.annotations({
  description: "names the log; another one knows nothing of what was published"
})
const EventWithOffset = Schema.Struct({
  eventType: Schema.String,
  payload: AnyPayload,
  timestamp: Timestamp,
  requestId: RequestId,
  offset: Offset,
  key: Schema.optionalWith(Key, { exact: true })
})

/** The newest event of every key, as on the wire, with its offset.
 * @since 0.1.0
 * @category schemas */
export const State = Schema.Struct({ head: Offset, events: Schema.Array(EventWithOffset) }).annotations({
  identifier: "State"
})

const Oldest = Schema.Struct({ offset: Offset, timestamp: Timestamp }).annotations({
  description: "the oldest event that is still there, whether or not it passes the filter; absent where there is none"
})
const more = Schema.Literal(true).annotations({
  description: "older ones match, too: `until` with the offset of the first of these asks for them"
})

/** The newest of the events that are still there, the oldest first.
 * @since 0.1.0
 * @category schemas */
export const History = Schema.Struct({
  epoch,
  head: Offset,
  begins: Schema.optionalWith(Oldest, { exact: true }),
  events: Schema.Array(EventWithOffset),
  more: Schema.optionalWith(more, { exact: true })
}).annotations({ identifier: "History" })

/** The routes that return the state and the history.
 * @since 0.1.0
 * @category groups */
export const StateGroup = HttpApiGroup.make("stratix.state")
  .annotate(OpenApi.Description, "Tells the newest event of every key, and what happened lately.")
  .add(
    HttpApiEndpoint.get("state", "/api/stratix/state")
      .annotate(
        OpenApi.Summary,
        "The newest event of every key that the token may see, in offset order; 304 by its ETag"
      )
      .annotate(OpenApi.Override, { parameters: QueryParameters.filter })
      .addSuccess(State)
  )
  .add(
    HttpApiEndpoint.get("history", "/api/stratix/history")
      .annotate(OpenApi.Summary, "The newest events that the token may see, of those that the gateway still has")
      .annotate(OpenApi.Override, { parameters: QueryParameters.history })
      .addSuccess(History)
  )
  .addError(Problem, { status: 400 })
  .addError(Problem, { status: 401 })
  .addError(Problem, { status: 403 })
  .addError(Problem, { status: 503 })
  .middleware(SubscribeAuth)

/** The route that is a connection. Whom it is for, and within which limits, is decided as for a WebSocket.
 * @since 0.1.0
 * @category groups */
export const StreamGroup = HttpApiGroup.make("stratix.stream")
  .annotate(OpenApi.Description, "Tells events as they happen.")
  .add(
    HttpApiEndpoint.get("stream", "/api/stratix/stream")
      .annotate(OpenApi.Summary, "A snapshot, or what came after an offset, and then every event: for `EventSource`")
      .annotate(OpenApi.Override, { parameters: QueryParameters.stream, security: [{ stratix: [] }] })
      .addSuccess(HttpApiSchema.Text({ contentType: "text/event-stream" }))
      .addError(Problem, { status: 400 })
      .addError(Problem, { status: 401 })
      .addError(Problem, { status: 403 })
      .addError(Problem, { status: 405 })
      .addError(Problem, { status: 429 })
      .addError(Problem, { status: 503 })
  )
