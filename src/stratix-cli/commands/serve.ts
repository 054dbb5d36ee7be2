/**
 * `serve`: the gateway.
 */
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Primary from "../../stratix-gateway/channel/Primary.js"
import * as Signals from "../../stratix-gateway/runtime/Signals.js"
import * as Logging from "../../stratix-gateway/telemetry/Logging.js"
import { failed } from "../CliError.js"
import { asLongAsWanted } from "../ExitCode.js"
import { described } from "../typed/Arguments.js"
import * as SettingsFlags from "../typed/SettingsFlags.js"

export const serve = Command.make("serve", SettingsFlags.flags, (typed) =>
  // Loaded here, so that the help does not wait for the gateway.
  Effect.promise(() => import("../../stratix-gateway/StatusSyncWorkers.js")).pipe(
    Effect.flatMap(({ layerStandAlone }) => Signals.launch(layerStandAlone, { quiet: Primary.isWorker })),
    Effect.provide(Logging.layerConfig),
    Effect.mapError((error) => failed(`the gateway cannot start: ${SettingsFlags.messageOf(error)}`)),
    SettingsFlags.withTyped(typed),
    asLongAsWanted
  )
).pipe(
  Command.withDescription(
    described(
      "Runs the gateway until Ctrl-C. What has no flag is set by the environment: see docs/configuration.md.",
      ["serve", "on ws://127.0.0.1:3001/, for this machine"],
      ["serve --port 4000 --heartbeat-interval 10s --heartbeat-timeout 25s", "another port, a faster heartbeat"],
      ["serve --host 0.0.0.0 --tokens-file tokens.json --tls-cert cert.pem --tls-key key.pem", "for others"],
      ["serve --workers 4", "four processes for clients, and one for the log"],
      ["doctor --host 0.0.0.0", "what would be wrong with these settings"]
    )
  )
)
