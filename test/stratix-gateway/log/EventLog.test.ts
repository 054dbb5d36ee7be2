import { EventLogMemory } from "../../../src/stratix-gateway/index.js"
import { eventLogSuite } from "../suites/eventLogSuite.js"

eventLogSuite("memory", EventLogMemory.layer)
