import { Layer, Logger } from "effect"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { transportSuite } from "../suites/transportSuite.js"

const quiet = Logger.remove(Logger.defaultLogger)

transportSuite("memory", Layer.provideMerge(StatusSyncTest.layer, quiet))
transportSuite("ws", Layer.provideMerge(StatusSyncTest.layerWs({ drainTimeout: "1 second" }), quiet))
