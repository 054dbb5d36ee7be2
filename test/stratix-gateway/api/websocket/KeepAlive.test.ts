/** A sync client hears something often enough to tell a quiet gateway from a dead one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { SYNC_PROTOCOL } from "../../../../src/stratix-core/stratix-protocol.js"
import { StatusSync } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"

const sync = { protocols: [SYNC_PROTOCOL] }

describe("a quiet gateway", () => {
  it.effect("says something to every sync client every 4 s, and nothing to a plain one", () =>
    Effect.gen(function* () {
      const clients = [yield* TestClients.connect(sync), yield* TestClients.connect(sync)]
      const plain = yield* TestClients.connect()
      yield* TestClock.adjust("28 seconds")
      for (const client of clients) {
        const words = (yield* client.received).filter(({ eventType }) => eventType === "stratix:heartbeat")
        assert.isAtLeast(words.length, 7)
        assert.isAtMost(words.length, 8)
      }
      assert.strictEqual((yield* plain.received).length, 1)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

describe("a gateway with events", () => {
  it.effect("says nothing else to a client that gets them", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(sync)
      yield* TestClock.adjust("1 seconds")
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      for (let second = 0; second < 20; second++) {
        yield* notifyAgentStatus("a1", "busy")
        yield* StatusSyncTest.settled
        yield* TestClock.adjust("1 seconds")
      }
      const words = (yield* client.received).filter(({ eventType }) => eventType === "stratix:heartbeat")
      assert.strictEqual(words.length, 0)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})
