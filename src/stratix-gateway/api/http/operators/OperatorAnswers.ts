/** What operators ask of a gateway as a whole: where it has workers, all of them answer. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Runtime from "effect/Runtime"
import * as CloseCodes from "../../../../stratix-core/close-codes.js"
import * as Primary from "../../../channel/Primary.js"
import * as Diagnostics from "../../../operations/Diagnostics.js"
import * as MetricsCollector from "../../../operations/MetricsCollector.js"
import * as Prometheus from "../../../telemetry/Prometheus.js"
import * as Connections from "../../websocket/Connections.js"
import * as ConnectionReports from "./ConnectionReports.js"

/** Ends one of this process's connections; `false`: it has none with this id. */
const disconnectHere = (id: string, tenant: string) =>
  Effect.map(
    Effect.flatMap(Connections.Connections, (connections) => connections.all),
    (all) => {
      const connection = all.find(({ info }) => info.id === id && info.tenant === tenant)
      connection?.end(CloseCodes.SERVICE_RESTART, "disconnected by an operator")
      return connection !== undefined
    }
  )

const DISCONNECT = "disconnect"

/** Answers of this gateway, asked of the process that an operator has reached. */
export const make = Effect.gen(function* () {
  const worker = yield* Primary.Primary
  const diagnostics = yield* Diagnostics.make
  const { collect } = yield* MetricsCollector.MetricsCollector
  const runtime = yield* Effect.runtime<Connections.Connections>()
  const families = Effect.map(Effect.zipRight(collect, Metric.snapshot), (pairs) =>
    Prometheus.read(pairs, Prometheus.OWN)
  )
  if (worker === undefined) {
    return { worker, diagnostics, disconnect: disconnectHere, metrics: Effect.map(families, Prometheus.text) }
  }
  const { reports } = worker
  const runFork = Runtime.runFork(runtime)
  yield* ConnectionReports.answer(worker)
  reports.on(DISCONNECT, ([id = "", tenant = ""], reply) => {
    runFork(Effect.map(disconnectHere(id, tenant), (found) => reply(found ? ["1"] : [])))
  })
  reports.on(Prometheus.QUESTION, (_args, reply) => {
    runFork(Effect.map(families, (found) => reply([JSON.stringify(found)])))
  })
  return {
    worker,
    diagnostics,
    disconnect: (id: string, tenant: string) =>
      Effect.map(reports.ask(DISCONNECT, id, tenant), (found) => found.length > 0),
    metrics: Effect.map(reports.ask(Prometheus.QUESTION), ([text = ""]) => text)
  }
})
