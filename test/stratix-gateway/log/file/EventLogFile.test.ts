import { join } from "node:path"
import { Effect, Layer } from "effect"
import { EventLog, EventLogFile } from "../../../../src/stratix-gateway/index.js"
import { eventLogSuite } from "../../suites/eventLogSuite.js"
import { describeFile, folder } from "./files.js"

/** An empty log each time. */
const layer = Layer.unwrapScoped(Effect.map(folder, (path) => EventLogFile.layer({ path: join(path, "log.db") })))

describeFile("the log in a file", () => {
  eventLogSuite("file", layer, {
    settle: Effect.flatMap(EventLog.EventLog, (log) => Effect.asVoid(log.append([]))),
    // Each is a file and a thread of its own.
    runs: 8
  })
})
