/** What your own test of the heartbeat may look like: in virtual time, over no sockets, within milliseconds. */
import { assert, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"

it.effect("a dashboard that has gone silent is given up at exactly 60 s", () =>
  Effect.gen(function* () {
    const dashboard = yield* TestClients.connect({ answersPings: false })
    yield* TestClock.adjust("59999 millis")
    assert.isTrue(yield* dashboard.isOpen)
    yield* TestClock.adjust("1 millis")
    assert.isFalse(yield* dashboard.isOpen)
  }).pipe(Effect.provide(StatusSyncTest.layer))
)
