/**
 * The HTTP routes as a value: what they take and what they answer. The OpenAPI document is derived from it.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import {
  AgentCreatePayload,
  AgentId,
  AgentStatusPayload,
  AnyPayload,
  CommandStatusPayload,
  FilterFields,
  MAX_ID_LENGTH,
  Offset,
  RequestId,
  Timestamp
} from "../../../stratix-core/stratix-protocol.js"
import * as Prometheus from "../../telemetry/Prometheus.js"
import { OperatorAuth, PublishAuth } from "./CurrentPrincipal.js"
import { Problem } from "./Problem.js"
import * as QueryParameters from "./read/QueryParameters.js"
import { epoch, StateGroup, StreamGroup } from "./read/ReadApi.js"

export { Problem } from "./Problem.js"
export { History, State, StateGroup, StreamGroup } from "./read/ReadApi.js"

/** The most events in one request: with the limit on the body, 4 KiB for each.
 * @since 0.1.0
 * @category constants */
export const MAX_EVENTS = 1000

/** Of a publication: another try with the same key is answered as the first, and publishes nothing. */
const once = Schema.Struct({
  "idempotency-key": Schema.optional(
    Schema.String.annotations({
      description: "a retry with the same key publishes nothing and is answered as the first time"
    })
  )
})

const leaseFields = {
  leaseMs: Schema.optionalWith(
    Schema.Positive.pipe(Schema.int()).annotations({
      description: "milliseconds for which an agent's status holds without being renewed"
    }),
    { exact: true }
  ),
  endCommands: Schema.optionalWith(
    Schema.Boolean.annotations({ description: "when the lease expires, the agent's running commands have failed" }),
    { exact: true }
  )
}

/** Fields, and any others beside them. */
const open = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Struct(fields, Schema.Record({ key: Schema.String, value: Schema.Unknown }))

/** An event to publish.
 * @since 0.1.0
 * @category schemas */
export const EventBody = Schema.Struct({
  eventType: Schema.String,
  payload: AnyPayload,
  extra: Schema.optionalWith(
    AnyPayload.annotations({
      description:
        "fields of your own beside those that the protocol gives the payload of the type, whose names they cannot have"
    }),
    { exact: true }
  ),
  timestamp: Schema.optionalWith(Timestamp, { exact: true }),
  requestId: Schema.optionalWith(RequestId, { exact: true }),
  ...leaseFields
}).annotations({ identifier: "EventBody" })

const EventsBody = Schema.Union(
  EventBody,
  Schema.Array(EventBody).pipe(Schema.minItems(1), Schema.maxItems(MAX_EVENTS))
)

const Renewed = Schema.Struct({ epoch }).annotations({ identifier: "Renewed" })
const AllRenewed = Schema.Struct({ epoch, missing: Schema.Array(AgentId) }).annotations({ identifier: "AllRenewed" })
const Published = Schema.Struct({ offset: Offset, epoch }).annotations({ identifier: "Published" })
const AllPublished = Schema.Struct({ offsets: Schema.Array(Offset), epoch }).annotations({ identifier: "AllPublished" })
const accepted = { status: 202 } as const

const milliseconds = Schema.NonNegative.annotations({ description: "milliseconds" })

/** One connection, and how far behind it is.
 * @since 0.1.0
 * @category schemas */
export const ConnectionReport = Schema.Struct({
  id: Schema.String,
  /** The address of the client: the peer's, or what a trusted proxy says it is. */
  address: Schema.String,
  principal: Schema.String,
  protocol: Schema.Literal("plain", "sync", "stream"),
  /** What it asked for, within what it may see. An absent field does not narrow it. */
  filter: FilterFields,
  /** `live`: at the head. `stalled`: the client does not read. `behind`: it is catching up. */
  state: Schema.Literal("live", "stalled", "behind"),
  openedAt: Timestamp,
  ageMs: milliseconds,
  /** Events of the log after its cursor, whether or not they pass its filter. */
  lagEvents: Schema.NonNegativeInt,
  /** Age of the oldest of these events. */
  lagMs: milliseconds,
  unsentBytes: Schema.NonNegativeInt,
  /** How long its socket has been full. */
  stalledMs: milliseconds,
  /** Age of the oldest event that its screen had not processed when it last reported; absent where it does not report. */
  screenLagMs: Schema.optionalWith(milliseconds, { exact: true }),
  /** How long ago that was. A page that stands still does not report. */
  screenReportedMs: Schema.optionalWith(milliseconds, { exact: true }),
  /** Time from the last ping to its pong; absent before the first pong. */
  roundTripMs: Schema.optionalWith(milliseconds, { exact: true }),
  catchUps: Schema.NonNegativeInt,
  /** Events without a key that it missed. */
  lost: Schema.NonNegativeInt
}).annotations({ identifier: "ConnectionReport" })
/** @since 0.1.0
 * @category schemas */
export type ConnectionReport = typeof ConnectionReport.Type

/** Every connection, the oldest first.
 * @since 0.1.0
 * @category schemas */
export const ConnectionReports = Schema.Struct({
  head: Offset,
  connections: Schema.Array(ConnectionReport)
}).annotations({ identifier: "ConnectionReports" })
/** @since 0.1.0
 * @category schemas */
export type ConnectionReports = typeof ConnectionReports.Type

const worker = Schema.optionalWith(
  Schema.NonNegativeInt.annotations({ description: "the worker that answers, for itself; absent without workers" }),
  { exact: true }
)
const Health = Schema.Struct({
  status: Schema.Literal("ok", "failing"),
  version: Schema.String,
  worker,
  staleMs: Schema.optionalWith(
    Schema.NonNegativeInt.annotations({
      description: "milliseconds for which the log has been out of reach; absent while it is not"
    }),
    { exact: true }
  )
}).annotations({ identifier: "Health" })
const Readiness = Schema.Struct({ status: Schema.Literal("ok", "draining", "stale"), worker }).annotations({
  identifier: "Readiness"
})

// Checked with the rest of the event, so that one place says what an id must be.
const id = Schema.String.annotations({ description: "1 to 256 characters, percent-encoded" })
const agentPath = HttpApiSchema.param("agentId", id)
const commandPath = HttpApiSchema.param("commandId", id)

/** Routes that publish.
 * @since 0.1.0
 * @category groups */
export const PublishGroup = HttpApiGroup.make("stratix.publish")
  .annotate(OpenApi.Description, "Publishes events, and keeps the leases of agents.")
  .add(
    HttpApiEndpoint.post("publishEvents", "/api/stratix/events")
      .annotate(OpenApi.Summary, `One event, or up to ${MAX_EVENTS} of them: all or nothing`)
      .setPayload(EventsBody)
      .setHeaders(once)
      .addSuccess(AllPublished, accepted)
  )
  .add(
    HttpApiEndpoint.put("publishAgentStatus")`/api/stratix/agents/${agentPath}/status`
      .annotate(OpenApi.Summary, "The status of an agent")
      .setPayload(open({ ...AgentStatusPayload.omit("agentId").fields, ...leaseFields }))
      .setHeaders(once)
      .addSuccess(Published, accepted)
  )
  .add(
    HttpApiEndpoint.put("renewLease")`/api/stratix/agents/${agentPath}/lease`
      .annotate(OpenApi.Summary, "Renews the lease of an agent's status, without an event; 404 if it has none")
      .addSuccess(Renewed)
      .addError(Problem, { status: 404 })
  )
  .add(
    HttpApiEndpoint.post("renewLeases", "/api/stratix/leases")
      .annotate(
        OpenApi.Summary,
        `Renews the leases of up to ${MAX_EVENTS} agents; \`missing\` are those that have none`
      )
      .setPayload(
        Schema.Struct({ agents: Schema.Array(AgentId).pipe(Schema.minItems(1), Schema.maxItems(MAX_EVENTS)) })
      )
      .addSuccess(AllRenewed)
  )
  .add(
    HttpApiEndpoint.put("publishCommandStatus")`/api/stratix/commands/${commandPath}/status`
      .annotate(OpenApi.Summary, "The status of a command")
      .setPayload(open(CommandStatusPayload.omit("commandId").fields))
      .setHeaders(once)
      .addSuccess(Published, accepted)
  )
  .add(
    HttpApiEndpoint.del("removeAgent")`/api/stratix/agents/${agentPath}`
      .annotate(OpenApi.Summary, "The end of an agent: it leaves every state, with commands=true its commands too")
      .setUrlParams(Schema.Struct({ commands: Schema.optional(Schema.Literal("true", "false")) }))
      .setHeaders(once)
      .addSuccess(Published, accepted)
  )
  .add(
    HttpApiEndpoint.del("removeKey")`/api/stratix/events/${HttpApiSchema.param("eventType", Schema.String)}`
      .annotate(OpenApi.Summary, "The end of a key of an event type of your own: it leaves every state")
      .setUrlParams(
        Schema.Struct({ key: Schema.optional(Schema.String.annotations({ description: "1 to 256 characters" })) })
      )
      .setHeaders(once)
      .addSuccess(Published, accepted)
  )
  .add(
    HttpApiEndpoint.post("publishAgentCreate", "/api/stratix/agents")
      .annotate(OpenApi.Summary, "A new agent")
      .setPayload(open(AgentCreatePayload.fields))
      .setHeaders(once)
      .addSuccess(Published, accepted)
  )
  .annotateEndpoints(OpenApi.Transform, QueryParameters.withTenant)
  .addError(Problem, { status: 400 })
  .addError(Problem, { status: 401 })
  .addError(Problem, { status: 403 })
  .addError(Problem, { status: 413 })
  .addError(Problem, { status: 415 })
  .addError(Problem, { status: 429 })
  .addError(Problem, { status: 503 })
  .middleware(PublishAuth)

/** What the gateway finds about itself. `problem`: it must not be run like this. `warning`: worth a look.
 * @since 0.1.0
 * @category schemas */
export const Diagnostics = Schema.Struct({
  findings: Schema.Array(
    Schema.Struct({
      level: Schema.Literal("ok", "warning", "problem"),
      about: Schema.String,
      what: Schema.String,
      /** What would be right. */
      instead: Schema.optionalWith(Schema.String, { exact: true })
    })
  )
}).annotations({ identifier: "Diagnostics" })

/** Routes for operators: connections, diagnostics and metrics.
 * @since 0.1.0
 * @category groups */
export const OperationsGroup = HttpApiGroup.make("stratix.operations")
  .annotate(OpenApi.Description, "Tells operators how the gateway fares.")
  .add(
    HttpApiEndpoint.get("connections", "/api/stratix/connections")
      .annotate(OpenApi.Transform, QueryParameters.withTenant)
      .annotate(OpenApi.Summary, "Every connection: its filter, lag, unsent bytes and round trip")
      .addSuccess(ConnectionReports)
  )
  .add(
    HttpApiEndpoint.del("disconnect")`/api/stratix/connections/${HttpApiSchema.param("connectionId", Schema.String)}`
      .annotate(OpenApi.Transform, QueryParameters.withTenant)
      .annotate(
        OpenApi.Summary,
        "Closes a connection with 1012: its client comes back. To keep one away, revoke its token"
      )
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem, { status: 404 })
  )
  .add(
    HttpApiEndpoint.get("diagnostics", "/api/stratix/diagnostics")
      .annotate(OpenApi.Summary, "What is wrong with the gateway or its settings, the worst first")
      .addSuccess(Diagnostics)
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .annotate(OpenApi.Summary, "Metrics in the Prometheus format; 404 if they are switched off")
      .addSuccess(HttpApiSchema.Text({ contentType: Prometheus.CONTENT_TYPE }))
      .addError(Problem, { status: 404 })
  )
  .addError(Problem, { status: 401 })
  .addError(Problem, { status: 403 })
  .addError(Problem, { status: 503 })
  .middleware(OperatorAuth)

/** Routes for health checks.
 * @since 0.1.0
 * @category groups */
export const HealthGroup = HttpApiGroup.make("stratix.health")
  .annotate(OpenApi.Description, "Tells whether the gateway lives, and whether it takes connections.")
  .add(
    HttpApiEndpoint.get("healthz", "/healthz")
      .annotate(OpenApi.Summary, "The process is alive; 503 while faults of its own repeat")
      .addSuccess(Health)
      .addError(Health, { status: 503 })
  )
  .add(
    HttpApiEndpoint.get("readyz", "/readyz")
      .annotate(
        OpenApi.Summary,
        "The gateway accepts connections, and its log is there; 503 while it drains, and without contact to the log"
      )
      .addSuccess(Readiness)
      .addError(Readiness, { status: 503 })
  )

/** The routes that publish, tell the state and stream events, to add to the API of a host application: `HttpApi.make("gateway").addHttpApi(StratixApi)`. Without annotations, because `addHttpApi` would copy them onto the groups.
 * @since 0.1.0
 * @category api */
export class StratixApi extends HttpApi.make("stratix").add(PublishGroup).add(StateGroup).add(StreamGroup) {}

/** The routes for operators and health checks, which a host application may have already.
 * @since 0.1.0
 * @category api */
export class OperationsApi extends HttpApi.make("stratix-operations").add(OperationsGroup).add(HealthGroup) {}

/** All routes of a gateway on its own server.
 * @since 0.1.0
 * @category api */
export class GatewayApi extends HttpApi.make("stratix-gateway")
  .addHttpApi(StratixApi)
  .addHttpApi(OperationsApi)
  .annotate(OpenApi.Title, "Stratix status sync")
  .annotate(OpenApi.Description, "Publishes agent and command status to every connected dashboard.")
  .annotate(OpenApi.Version, "1")
  .annotate(OpenApi.License, { name: "MIT", url: "https://opensource.org/license/mit" })
  // Where the document itself comes from.
  .annotate(OpenApi.Servers, [{ url: "/" }]) {}

/** The most characters that one UTF-16 unit of an id takes in a path: three bytes, each as `%XX`. */
const ENCODED_LENGTH = 9

/** What the routes need of a router: the platform's own limit of 100 characters would answer longer ids with 404. `StatusSyncRoutes.drained` sees to it, but for a `HttpLayerRouter.serve` that is given a `routerConfig`: include this in it.
 * @since 0.1.0
 * @category constants */
export const routerConfig = { maxParamLength: MAX_ID_LENGTH * ENCODED_LENGTH }
