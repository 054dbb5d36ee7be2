/** The groups of routes at work, as they are in any API: with its prefixes and its middleware. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Primary from "../../channel/Primary.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as Broadcast from "../../fanout/Broadcast.js"
import * as EventLog from "../../log/EventLog.js"
import { version } from "../../runtime/Version.js"
import * as Prometheus from "../../telemetry/Prometheus.js"
import * as Connections from "../websocket/Connections.js"
import { CurrentPrincipal } from "./CurrentPrincipal.js"
import * as ConnectionReports from "./operators/ConnectionReports.js"
import * as OperatorAnswers from "./operators/OperatorAnswers.js"
import * as Problem from "./Problem.js"
import * as PublishRoutes from "./PublishRoutes.js"
import * as RouteAuth from "./RouteAuth.js"
import * as HistoryRoute from "./read/HistoryRoute.js"
import * as StateRoute from "./read/StateRoute.js"
import * as StreamRoute from "./read/StreamRoute.js"
import { HealthGroup, OperationsGroup, PublishGroup, StateGroup, StreamGroup } from "./StratixApi.js"

const state = <Id extends string>(id: Id, group: typeof StateGroup) =>
  HttpApiBuilder.group(HttpApi.make(id).add(group), "stratix.state", (handlers) =>
    Effect.map(StateRoute.make, (state) =>
      handlers
        .handleRaw("state", ({ request }) => state(request))
        .handleRaw("history", ({ request }) => HistoryRoute.respond(request))
    )
  )

const stream = <Id extends string>(id: Id, group: typeof StreamGroup) =>
  HttpApiBuilder.group(HttpApi.make(id).add(group), "stratix.stream", (handlers) =>
    handlers.handleRaw("stream", () => StreamRoute.serve())
  )

const operations = <Id extends string>(id: Id, group: typeof OperationsGroup) =>
  HttpApiBuilder.group(HttpApi.make(id).add(group), "stratix.operations", (handlers) =>
    Effect.map(OperatorAnswers.make, ({ diagnostics, disconnect, metrics, worker }) =>
      handlers
        .handleRaw("connections", () =>
          Effect.gen(function* () {
            const { tenant } = yield* CurrentPrincipal
            const body = yield* ConnectionReports.stream(yield* tenant, worker)
            return HttpServerResponse.stream(body, { contentType: "application/json" })
          }).pipe(Problem.answered)
        )
        .handleRaw("disconnect", ({ path }) =>
          Effect.gen(function* () {
            const tenant = yield* Effect.flatMap(CurrentPrincipal, (current) => current.tenant)
            return (yield* disconnect(path.connectionId, tenant))
              ? HttpServerResponse.empty({ status: 204 })
              : Problem.response(404, "NotFound", "no connection has this id")
          }).pipe(Problem.answered)
        )
        .handle("diagnostics", () => Effect.map(diagnostics, (findings) => ({ findings })))
        .handleRaw("metrics", () =>
          Effect.gen(function* () {
            const config = yield* StatusSyncConfig.StatusSyncConfig
            if (!config.metrics)
              return Problem.response(404, "NotFound", "metrics are switched off: STRATIX_METRICS is false")
            return HttpServerResponse.text(yield* metrics, { contentType: Prometheus.CONTENT_TYPE })
          })
        )
    )
  )

/** Which worker answers: a probe that reached one knows nothing of the others. */
const answering = Effect.map(Primary.Primary, (worker) => (worker === undefined ? {} : { worker: worker.number }))

const health = <Id extends string>(id: Id, group: typeof HealthGroup) =>
  HttpApiBuilder.group(HttpApi.make(id).add(group), "stratix.health", (handlers) =>
    handlers
      .handle("healthz", () =>
        Effect.gen(function* () {
          const { isFailing } = yield* Broadcast.Broadcast
          const said = { version, ...(yield* answering), ...EventLog.staleness((yield* EventLog.EventLog).health()) }
          return isFailing()
            ? yield* Effect.fail({ status: "failing" as const, ...said })
            : { status: "ok" as const, ...said }
        })
      )
      .handle("readyz", () =>
        Effect.gen(function* () {
          const connections = yield* Connections.Connections
          const who = yield* answering
          if (!(yield* connections.accepting)) return yield* Effect.fail({ status: "draining" as const, ...who })
          const { eventLogStaleness } = yield* StatusSyncConfig.StatusSyncConfig
          const log = yield* EventLog.EventLog
          return log.health().staleMillis > Duration.toMillis(eventLogStaleness)
            ? yield* Effect.fail({ status: "stale" as const, ...who })
            : { status: "ok" as const, ...who }
        })
      )
  )

/** An API, as far as its groups go. */
export interface Api<Id extends string> {
  readonly identifier: Id
  readonly groups: { readonly [name: string]: HttpApiGroup.HttpApiGroup.Any }
}

/** The copy of a group that an API has. The API may have prefixed its paths and added middleware; the rest is what we gave it. */
const groupIn = <Group extends HttpApiGroup.HttpApiGroup.Any & { readonly identifier: string }>(
  api: Api<string>,
  ours: Group
): Group => {
  const isOurs = (group: unknown): group is Group =>
    HttpApiGroup.isHttpApiGroup(group) && "identifier" in group && group.identifier === ours.identifier
  const found = Object.values(api.groups).find(isOurs)
  if (found === undefined)
    throw new Error(`the API has no group ${ours.identifier}: add it with .addHttpApi(StratixApi.StratixApi)`)
  return found
}

/** `stratix.publish`, `stratix.state` and `stratix.stream`. */
export const stratix = <Id extends string>(api: Api<Id>) =>
  Layer.mergeAll(
    PublishRoutes.layer(api.identifier, groupIn(api, PublishGroup)),
    state(api.identifier, groupIn(api, StateGroup)),
    stream(api.identifier, groupIn(api, StreamGroup))
  ).pipe(Layer.provide(RouteAuth.layer))

/** `stratix.operations` and `stratix.health`. */
export const operationsAndHealth = <Id extends string>(api: Api<Id>) =>
  Layer.mergeAll(
    operations(api.identifier, groupIn(api, OperationsGroup)),
    health(api.identifier, groupIn(api, HealthGroup))
  ).pipe(Layer.provide(RouteAuth.layer))
