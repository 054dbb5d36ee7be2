/**
 * `connections`: who is connected, and how far behind.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type { FilterFields } from "../../stratix-core/stratix-protocol.js"
import type { ConnectionReport } from "../../stratix-gateway/api/http/StratixApi.js"
import * as Api from "../Api.js"
import * as Gateway from "../Gateway.js"
import { jsonLine, Output, type Paint, shortDuration, table, visible } from "../Output.js"
import { described } from "../typed/Arguments.js"

const HEADINGS = [
  ...["ID", "STATE", "LAG", "BEHIND", "SCREEN", "UNSENT", "RTT", "AGE", "CATCH-UPS", "LOST"],
  ...["MODE", "PRINCIPAL", "ADDRESS", "FILTER"]
]

const colourOf = { live: "green", behind: "yellow", stalled: "red" } as const

const KiB = 1024

const bytes = (count: number): string => (count < KiB ? `${count} B` : `${(count / KiB).toFixed(1)} KiB`)

const filterText = (filter: FilterFields): string =>
  Object.entries(filter)
    .flatMap(([name, values]) => (values === undefined ? [] : [`${name}=${values.join()}`]))
    .join(" ") || "all"

const row = (report: ConnectionReport, paint: Paint): ReadonlyArray<string> => [
  visible(report.id),
  paint(colourOf[report.state], report.state),
  String(report.lagEvents),
  report.lagEvents === 0 ? "" : shortDuration(report.lagMs),
  report.screenLagMs === undefined ? "" : shortDuration(report.screenLagMs),
  bytes(report.unsentBytes),
  report.roundTripMs === undefined ? "" : `${report.roundTripMs.toFixed(1)}ms`,
  shortDuration(report.ageMs),
  String(report.catchUps),
  String(report.lost),
  report.protocol,
  visible(report.principal),
  visible(report.address),
  visible(filterText(report.filter))
]

export const connections = Command.make(
  "connections",
  {
    url: Gateway.urlOption,
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    json: Options.boolean("json").pipe(Options.withDescription("As JSON, for programs"))
  },
  ({ json, ...given }) =>
    Effect.gen(function* () {
      const output = yield* Output
      const gateway = yield* Gateway.resolve(given)
      const found = yield* Api.connections(gateway)
      if (json) return yield* output.write(jsonLine(found))
      if (found.connections.length === 0) return yield* output.note(`no client is connected to ${gateway.shown}`)
      // The connections furthest behind are the ones looked for.
      const lateness = ({ lagMs, screenLagMs = 0 }: ConnectionReport) => Math.max(lagMs, screenLagMs)
      const reports = [...found.connections].sort((a, b) => lateness(b) - lateness(a) || b.unsentBytes - a.unsentBytes)
      const rows = reports.map((report) => row(report, output.paint))
      yield* output.write(table(HEADINGS, rows, output.paint, yield* output.columns))
    })
).pipe(
  Command.withDescription(
    described(
      "Shows who is connected, and how far each connection is behind, those furthest behind first. Needs the permission operator.",
      ["connections", "of the gateway on this machine"],
      ["connections --json | jq '.connections[] | select(.lagEvents > 0)'", "who is behind"]
    )
  )
)
