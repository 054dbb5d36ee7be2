/** What tells a sync client how old a message is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { SYNC_PROTOCOL } from "../../../../src/stratix-core/stratix-protocol.js"
import * as StatusSyncTest from "../../../../src/stratix-testing/StatusSyncTest.js"
import * as TestClients from "../../../../src/stratix-testing/TestClients.js"

const sync = { protocols: [SYNC_PROTOCOL] }

describe("a message to a sync client", () => {
  it.effect("says when it was sent, last, on the clock that is never set back", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(sync)
      yield* TestClock.adjust("1500 millis")
      yield* client.send({ type: "ping" })
      yield* client.sendText("junk")
      yield* client.send({ type: "subscribe", agents: ["a1"] })
      const texts = yield* client.raw
      const sentAt = texts
        .filter((text) => !text.includes("stratix:sync"))
        .map((text) => /"requestId":"[^"]+","sentAt":(\d+)\}$/.exec(text)?.[1])
      assert.deepStrictEqual(sentAt, ["0", "1500", "1500", "1500"])
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("that answers a ping repeats its `at`", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(sync)
      yield* client.takeN(2)
      yield* client.send({ type: "ping", at: 12.25, cursor: "anything" })
      yield* client.send({ type: "ping" })
      const [first, second] = yield* client.takeN(2)
      assert.propertyVal(first?.payload, "at", 12.25)
      assert.notProperty(second?.payload, "at")
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

it.effect("a plain client sees nothing of it", () =>
  Effect.gen(function* () {
    const client = yield* TestClients.connect()
    yield* client.send({ type: "ping" })
    for (const text of yield* client.raw) assert.notInclude(text, "sentAt")
  }).pipe(Effect.provide(StatusSyncTest.layer))
)
