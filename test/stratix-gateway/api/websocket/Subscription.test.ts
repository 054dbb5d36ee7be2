import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Scope, Stream } from "effect"
import { StatusSync } from "../../../../src/stratix-gateway/index.js"
import { over } from "../../support/gateways.js"

const take = (stream: Stream.Stream<StatusSync.SubscribedEvent>, count: number) =>
  Effect.map(Stream.runCollect(Stream.take(stream, count)), Chunk.toReadonlyArray)

/** Publishes the statuses of the agents `a1` to `a<count>`. */
const publish = (count: number) =>
  Effect.flatMap(StatusSync.StatusSync, (sync) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `a${i + 1}`),
      (id) => sync.notifyAgentStatus(id, "busy")
    )
  )

describe("a subscription", () => {
  it.scoped(
    "has begun when its effect returns: what is published before the first pull is in it, with its offset",
    () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* publish(1)
        const stream = yield* sync.subscribe
        const offsets = yield* publish(3)
        const heard = yield* take(stream, 3)
        assert.deepStrictEqual(
          heard.map(({ lost, offset, payload }) => [payload, offset, lost]),
          offsets.map((offset, i) => [{ agentId: `a${i + 1}`, status: "busy" }, offset, 0])
        )
      }).pipe(Effect.provide(over()))
  )

  it.scoped("that falls behind is told how many events it lost, and keeps no more than a history", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const stream = yield* sync.subscribe
      yield* publish(100)
      const heard = yield* take(stream, 16)
      assert.deepStrictEqual(
        heard.map(({ lost, payload }) => [payload, lost]),
        Array.from({ length: 16 }, (_, i) => [{ agentId: `a${i + 85}`, status: "busy" }, i === 0 ? 84 : 0])
      )
    }).pipe(Effect.provide(over({ historyCapacity: 16 })))
  )

  it.scoped("ends with its scope", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const scope = yield* Scope.make()
      const stream = yield* Scope.extend(sync.subscribe, scope)
      yield* publish(1)
      yield* Scope.close(scope, Exit.void)
      yield* publish(1)
      assert.isTrue(Chunk.isEmpty(yield* Stream.runCollect(stream)))
    }).pipe(Effect.provide(over()))
  )
})
