import * as Vitest from "@effect/vitest"
import { Layer, Logger } from "effect"
import { StatusSyncTest, transportSuite } from "../../../src/stratix-testing/index.js"

const quiet = Logger.remove(Logger.defaultLogger)

transportSuite(Vitest, "memory", Layer.provideMerge(StatusSyncTest.layer, quiet))
transportSuite(Vitest, "ws", Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second" }), quiet))
