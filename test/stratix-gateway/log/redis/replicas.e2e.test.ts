import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import type { RedisServer } from "../../support/redis.js"
import { eventually, newNamespace, openLog, Reader, stateOf } from "../../support/redisLogs.js"
import { command, hasty, insist, rebuilt, redis, refusal, replicated, wireTo } from "./engines.js"

describe("replicas", () => {
  const replicaOf = (primary: RedisServer) =>
    Effect.tap(redis(), (replica) =>
      Effect.zipRight(command(replica, "REPLICAOF", "127.0.0.1", String(primary.port)), replicated(primary, replica))
    )

  it.live("the first replica is attached: no reader notices", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const log = yield* openLog(server.url, newNamespace())
      const reader = new Reader()
      yield* log.append([agent("a")])
      yield* reader.read(log)
      yield* replicaOf(server)
      yield* insist(log, [agent("b")])
      yield* eventually(
        Effect.sync(() => log.health().epochChanges),
        (changes) => changes === 1
      )
      yield* insist(log, [agent("c")])
      yield* reader.read(log)
      assert.deepStrictEqual(reader.modes, ["snapshot", "resume"])
      assert.strictEqual(log.health().rebuilds, 0)
    }).pipe(Effect.scoped)
  )

  it.live("failover to a replica that lags, and back: cursors up to the fork resume, those past it start afresh", () =>
    Effect.gen(function* () {
      const [first] = yield* Effect.all([redis()])
      const second = yield* replicaOf(first)
      const wire = yield* wireTo(first)
      const namespace = newNamespace()
      const log = yield* openLog(wire.url, namespace)
      const [before, past, staying] = [new Reader(), new Reader(), new Reader()]
      yield* log.append([agent("a"), note(1)])
      yield* before.read(log)
      yield* staying.read(log)
      yield* replicated(first, second)

      // Events that the replica never gets.
      yield* command(second, "REPLICAOF", "NO", "ONE")
      yield* log.append(Array.from({ length: 40 }, (_, n) => agent("lost", n)))
      yield* past.read(log)
      assert.isTrue(past.state.has("agent:lost"))
      wire.cut()
      wire.targets = [second.port]
      wire.mend()
      yield* rebuilt(log)
      const places = yield* insist(log, [agent("b"), agent("c")])
      for (const reader of [before, past]) yield* reader.read(log)
      assert.deepStrictEqual(before.modes, ["snapshot", "resume"])
      assert.deepStrictEqual(past.modes, ["snapshot", "snapshot"])
      const truth = yield* stateOf(log)
      assert.deepStrictEqual([...truth.keys()], ["agent:a", "agent:b", "agent:c"])
      assert.deepStrictEqual(before.state, truth)
      assert.deepStrictEqual(past.state, truth)

      // The old primary follows the new one, and takes over again.
      yield* command(first, "REPLICAOF", "127.0.0.1", String(second.port))
      yield* replicated(second, first)
      wire.cut()
      yield* command(first, "REPLICAOF", "NO", "ONE")
      wire.targets = [first.port]
      wire.mend()
      const [again] = yield* insist(log, [agent("d")])
      for (const reader of [before, past, staying]) yield* reader.read(log)
      assert.strictEqual(before.modes.at(-1), "resume")
      assert.strictEqual(staying.modes.at(-1), "resume")
      assert.lengthOf(new Set([...places, again]), 3)
      for (const reader of [before, past, staying]) assert.deepStrictEqual(reader.state, yield* stateOf(log))
    }).pipe(Effect.scoped)
  )

  it.live("split brain: what only the old primary has is lost with a new epoch, and no offset is given twice", () =>
    Effect.gen(function* () {
      const first = yield* redis()
      const second = yield* replicaOf(first)
      const namespace = newNamespace()
      const wire = yield* wireTo(first)
      const left = yield* openLog(wire.url, namespace)
      const readers = [new Reader(), new Reader()] as const
      yield* left.append([agent("a"), note(1)])
      for (const reader of readers) yield* reader.read(left)
      yield* replicated(first, second)
      yield* command(second, "REPLICAOF", "NO", "ONE")
      const right = yield* openLog(second.url, namespace)
      // Both sides take events, under the same numbers.
      const lost = yield* left.append(Array.from({ length: 20 }, (_, n) => agent("left", n)))
      const kept = yield* right.append(Array.from({ length: 30 }, (_, n) => agent("right", n)))
      assert.lengthOf(new Set([...lost, ...kept]), 50)
      yield* readers[0].read(left)
      yield* readers[1].read(right)
      assert.deepStrictEqual(readers[1].modes, ["snapshot", "resume"])
      // The other side is reached again: it follows, and so does its gateway.
      yield* command(first, "REPLICAOF", "127.0.0.1", String(second.port))
      wire.cut()
      wire.targets = [second.port]
      wire.mend()
      yield* rebuilt(left)
      const truth = yield* stateOf(right)
      yield* insist(left, [])
      for (const reader of readers) {
        yield* reader.read(left)
        assert.deepStrictEqual(reader.state, truth)
      }
      assert.deepStrictEqual(readers[0].modes, ["snapshot", "resume", "snapshot"])
      assert.strictEqual(readers[1].modes.at(-1), "resume")
      assert.deepStrictEqual([...truth.keys()], ["agent:a", "agent:right"])
    }).pipe(Effect.scoped)
  )

  it.live("a primary that becomes a replica: the gateway leaves it, and says so to publishers", () =>
    Effect.gen(function* () {
      const [first, second] = yield* Effect.all([redis(), redis()])
      const log = yield* openLog(first.url, newNamespace(), hasty)
      yield* insist(log, [agent("a")])
      yield* command(first, "REPLICAOF", "127.0.0.1", String(second.port))
      yield* eventually(refusal(log, [agent("b")]), (reason) => reason === "Unavailable")
      assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a"])
    }).pipe(Effect.scoped)
  )
})
