import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { StatusSync } from "stratix-status-sync"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"

const messageOf = <A>(exit: Exit.Exit<A>) => (Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "")

describe("a test client", () => {
  it.effect("that waits for what never comes fails with what had arrived, in virtual time too", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect({ takeTimeout: "50 millis" })
      yield* sync.notifyAgentStatus("a1", "busy")
      yield* StatusSyncTest.settled
      const message = messageOf(yield* Effect.exit(client.takeN(3)))
      assert.match(message, /no further message within 50ms; it had received, all 2:\n.*stratix:connected.*\n.*"a1"/)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("whose connection has ended does not wait at all", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ takeTimeout: "1 hour" })
      yield* client.take
      yield* client.close(1000)
      assert.include(messageOf(yield* Effect.exit(client.take)), "its connection ended (1000)")
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )

  it.effect("takes what arrives while it waits", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      yield* client.take
      const next = yield* Effect.fork(client.take)
      yield* Effect.yieldNow()
      yield* sync.notifyAgentStatus("a1", "busy")
      assert.nestedInclude(yield* next, { "payload.agentId": "a1" })
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

describe("settled", () => {
  it.effect("waits for clients that catch up, and not for one that is frozen and stalled", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const frozen = yield* TestClients.connect()
      const reading = yield* TestClients.connect()
      yield* frozen.freeze
      for (let i = 0; i < 40; i++) yield* sync.notifyAgentStatus(`a${i}`, "busy")
      yield* StatusSyncTest.settled
      const late = yield* TestClients.connect()
      yield* StatusSyncTest.settled
      assert.strictEqual((yield* reading.received).length, 41)
      assert.strictEqual((yield* frozen.received).length, 1)
      assert.isAbove((yield* late.received).length, 0)
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ highWaterMark: 1000 })))
  )
})
