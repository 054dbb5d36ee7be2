/**
 * Runs the command line to its end.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { run } from "./Cli.js"
import { teardown } from "./ExitCode.js"
import * as Stdio from "./Stdio.js"

NodeRuntime.runMain(Effect.provide(run(process.argv), Stdio.layer), {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown
})
