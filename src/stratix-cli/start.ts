/**
 * Runs the command line to its end.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { run } from "./Cli.js"
import { teardown } from "./ExitCode.js"

NodeRuntime.runMain(run(process.argv), { disableErrorReporting: true, disablePrettyLogger: true, teardown })
