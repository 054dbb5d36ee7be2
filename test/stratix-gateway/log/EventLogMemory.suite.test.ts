import * as Vitest from "@effect/vitest"
import { EventLogMemory } from "../../../src/stratix-gateway/index.js"
import { eventLogSuite } from "../../../src/stratix-testing/index.js"

eventLogSuite(Vitest, "memory", EventLogMemory.layer, {
  runs: Number(process.env["STRATIX_PROPERTY_RUNS"] ?? 300)
})
