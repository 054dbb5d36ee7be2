import { join } from "node:path"
import * as Vitest from "@effect/vitest"
import { Effect, Layer } from "effect"
import { EventLog, EventLogFile } from "../../../../src/stratix-gateway/index.js"
import { eventLogSuite } from "../../../../src/stratix-testing/index.js"
import { describeFile, folder } from "./files.js"

/** An empty log each time. */
const layer = Layer.unwrapScoped(Effect.map(folder, (path) => EventLogFile.layer({ path: join(path, "log.db") })))

describeFile("the log in a file", () => {
  eventLogSuite(Vitest, "file", layer, {
    settle: Effect.flatMap(EventLog.EventLog, (log) => Effect.asVoid(log.append([]))),
    // Each is a file and a thread of its own.
    runs: 8
  })
})
