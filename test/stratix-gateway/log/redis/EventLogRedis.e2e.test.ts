import * as Vitest from "@effect/vitest"
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Layer, Redacted, TestServices } from "effect"
import { EventLog, EventLogRedis } from "../../../../src/stratix-gateway/index.js"
import { eventLogSuite } from "../../../../src/stratix-testing/index.js"
import { RedisServer } from "../../support/redis.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

let namespaces = 0

/** An empty log each time. What it says is timed by the test; the network is real, and timed by the real clock. */
const layer = Layer.unwrapScoped(
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const log = EventLogRedis.layer({
      url: Redacted.make(server.url),
      namespace: `suite-${++namespaces}`,
      time: () => clock.unsafeCurrentTimeMillis()
    })
    return Layer.scopedContext(TestServices.provideLive(Layer.build(log)))
  })
)

eventLogSuite(Vitest, "Redis", layer, {
  settle: Effect.flatMap(EventLog.EventLog, (log) => Effect.asVoid(log.append([]))),
  // Each is a log of its own over two connections: with 40 runs the property takes seconds, as the memory's does with 300.
  runs: 40
})
