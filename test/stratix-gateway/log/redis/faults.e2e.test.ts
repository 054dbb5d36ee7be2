import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, TestClock } from "effect"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import { eventually, newNamespace, openLog, patient, Reader, stateOf } from "../../support/redisLogs.js"
import { command, hasty, insist, inTouch, rebuilt, redis, refusal, wireTo } from "./engines.js"

describe("faults of the engine", () => {
  it.live("kill -9 with appendfsync always: nothing acknowledged is lost, and readers resume", () =>
    Effect.gen(function* () {
      const server = yield* redis({ persistence: "always" })
      const namespace = newNamespace()
      const [log, other] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      const reader = new Reader()
      yield* log.append([agent("a")])
      yield* reader.read(log)
      const acknowledged: Array<string> = []
      const writer = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 1000 }, (_, n) => n),
          (n) => Effect.map(log.append([agent(`w${n % 10}`, n)]), () => acknowledged.push(agent(`w${n % 10}`, n).json)),
          { concurrency: 20, discard: true }
        ).pipe(Effect.ignore)
      )
      yield* eventually(
        Effect.sync(() => acknowledged.length),
        (count) => count > 100
      )
      yield* Effect.promise(() => server.kill())
      yield* Effect.promise(() => server.run())
      yield* Fiber.join(writer)
      yield* insist(log, [agent("after")])
      yield* insist(other, [])
      yield* reader.read(other)
      assert.deepStrictEqual([...new Set(reader.modes.slice(1))], ["resume"])
      const heard = new Set(reader.heard)
      assert.deepStrictEqual(
        acknowledged.filter((json) => !heard.has(json)),
        []
      )
      assert.lengthOf(reader.heard, heard.size)
      assert.strictEqual(log.health().epochChanges, 1)
      assert.strictEqual(log.health().rebuilds, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("kill -9, and away for long: an append is taken within two seconds after the port opens", () =>
    Effect.gen(function* () {
      const server = yield* redis({ persistence: "always" })
      const wire = yield* wireTo(server)
      const log = yield* openLog(wire.url, newNamespace())
      yield* log.append([agent("a")])
      yield* Effect.promise(() => server.kill())
      // Two connections for each attempt: after ten in vain the pauses between them are as long as they get.
      const enough = wire.accepted + 20
      const clock = yield* Effect.clock
      yield* eventually(
        Effect.withClock(TestClock.adjust("100 millis"), clock).pipe(Effect.map(() => wire.accepted)),
        (accepted) => accepted >= enough
      )
      yield* Effect.promise(() => server.run())
      const opened = yield* Clock.currentTimeMillis
      yield* TestClock.adjust("1 second")
      // An attempt that was under way when the port opened may fail only now, and then the pause begins now.
      let asked = 0
      yield* eventually(
        Effect.sync(() => log.health().staleMillis === 0 || ++asked > 200),
        (isOver) => isOver
      )
      if (log.health().staleMillis > 0) yield* TestClock.adjust("1 second")
      yield* insist(log, [agent("b")])
      assert.isAtMost((yield* Clock.currentTimeMillis) - opened, 2000)
      assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a", "agent:b"])
    }).pipe(Effect.scoped)
  )

  it.live(
    "kill -9 with appendfsync everysec: what is missing begins another epoch, and no two events have one place",
    () =>
      Effect.gen(function* () {
        const server = yield* redis({ persistence: "everysec" })
        const log = yield* openLog(server.url, newNamespace())
        const reader = new Reader()
        yield* insist(log, [agent("a")])
        yield* reader.read(log)
        const acknowledged: Array<{ readonly json: string; readonly offset: string }> = []
        const write = (n: number) =>
          Effect.map(log.append([note(n)]), ([offset = ""]) => acknowledged.push({ json: note(n).json, offset }))
        for (const round of [0, 1, 2]) {
          const { length } = acknowledged
          const numbers = Array.from({ length: 1000 }, (_, n) => round * 1000 + n)
          const writer = yield* Effect.fork(
            Effect.ignore(Effect.forEach(numbers, write, { concurrency: 20, discard: true }))
          )
          yield* eventually(
            Effect.sync(() => acknowledged.length),
            (count) => count > length + 50
          )
          yield* Effect.promise(() => server.kill())
          yield* Effect.promise(() => server.run())
          yield* Fiber.join(writer)
          yield* insist(log, [agent("after", round)])
        }
        yield* reader.read(log)
        const heard = new Set(reader.heard)
        const missing = acknowledged.filter(({ json }) => !heard.has(json))
        if (reader.modes.at(-1) === "resume") assert.deepStrictEqual(missing, [])
        assert.deepStrictEqual(reader.state, yield* stateOf(log))
        assert.lengthOf(new Set(acknowledged.map(({ offset }) => offset)), acknowledged.length)
        assert.strictEqual(log.health().epochChanges, 3)
      }).pipe(Effect.scoped)
  )

  it.live("a restart that lost everything begins another epoch: every reader is told to forget", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const log = yield* openLog(server.url, newNamespace())
      const reader = new Reader()
      yield* log.append([agent("lost")])
      yield* reader.read(log)
      const { id } = log
      yield* Effect.promise(() => server.kill())
      yield* Effect.promise(() => server.run())
      yield* rebuilt(log)
      yield* insist(log, [agent("new")])
      yield* reader.read(log)
      assert.strictEqual(reader.modes.at(-1), "snapshot")
      assert.deepStrictEqual([...reader.state.keys()], ["agent:new"])
      assert.notStrictEqual(log.id, id)
    }).pipe(Effect.scoped)
  )

  it.live("FLUSHALL, idle and under load: everybody has the new log, and nobody the old state", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const namespace = newNamespace()
      const [log, other] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      const reader = new Reader()
      yield* log.append([agent("a"), agent("b"), agent("c")])
      yield* reader.read(other)
      yield* command(server, "FLUSHALL")
      yield* rebuilt(log)
      yield* rebuilt(other)
      assert.strictEqual((yield* stateOf(other)).size, 0)
      yield* reader.read(other)
      assert.strictEqual(reader.state.size, 0)
      // More than there was before: a number that was given twice must not pass for the same place.
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => insist(log, [agent("d", n)]))
      yield* command(server, "FLUSHALL")
      yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], (n) => insist(other, [agent("e", n)]))
      yield* rebuilt(log, 2)
      yield* insist(log, [])
      yield* reader.read(log)
      assert.deepStrictEqual([...reader.state], [["agent:e", agent("e", 7).json]])
    }).pipe(Effect.scoped)
  )

  it.live("a Redis that stands still: publishers hear it in time, and nothing they gave up is appended later", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const log = yield* openLog(server.url, newNamespace(), hasty)
      yield* insist(log, [agent("a")])
      server.pause()
      assert.strictEqual(yield* refusal(log, [agent("late")]), "Uncertain")
      yield* eventually(
        Effect.sync(() => log.health().staleMillis),
        (stale) => stale > 0
      )
      assert.strictEqual(yield* refusal(log, [agent("later")]), "Unavailable")
      server.resume()
      yield* insist(log, [agent("b")])
      assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a", "agent:b"])
      assert.strictEqual(log.health().rebuilds, 0)
    }).pipe(Effect.scoped)
  )

  it.live("an answer that is lost: the append is tried again, and is there once", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const wire = yield* wireTo(server)
      const log = yield* openLog(wire.url, newNamespace())
      const reader = new Reader()
      yield* log.append([agent("a")])
      let losses = 0
      wire.losesAnswerTo = (request) => {
        const loses = losses < 2 && request.includes('"note":')
        if (loses) losses++
        return loses
      }
      const offsets = yield* log.append([note(1)])
      assert.strictEqual(losses, 2)
      assert.strictEqual(log.head().offset, offsets[0])
      yield* reader.read(log)
      yield* insist(log, [note(2)])
      yield* reader.read(log)
      assert.strictEqual(log.stats().historyEvents, 3)
    }).pipe(Effect.scoped)
  )

  it.live("an engine that is slow: appends share batches, and all arrive", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const wire = yield* wireTo(server)
      const log = yield* openLog(wire.url, newNamespace())
      wire.delay = 200
      const numbers = Array.from({ length: 300 }, (_, n) => n)
      const offsets = yield* Effect.forEach(numbers, (n) => log.append([note(n)]), { concurrency: "unbounded" })
      assert.lengthOf(new Set(offsets.flat()), 300)
    }).pipe(Effect.scoped)
  )

  it.live("a cursor whose events were trimmed while its gateway was cut off: conflated, with an exact count", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const wire = yield* wireTo(server)
      const namespace = newNamespace()
      const settings = { ...patient, historyCapacity: 100 }
      const near = yield* openLog(server.url, namespace, settings)
      const far = yield* openLog(wire.url, namespace, settings)
      const reader = new Reader()
      yield* near.append([agent("a"), agent("b")])
      yield* far.append([])
      yield* reader.read(far)
      wire.cut()
      yield* near.append(Array.from({ length: 500 }, (_, n) => note(n)))
      yield* near.append([agent("b", 1)])
      wire.mend()
      yield* rebuilt(far)
      yield* insist(far, [])
      yield* reader.read(far)
      assert.strictEqual(reader.modes.at(-1), "conflated")
      assert.strictEqual(reader.lost, 500)
      assert.deepStrictEqual(reader.state, yield* stateOf(near))
    }).pipe(Effect.scoped)
  )

  it.live("memory is full: nothing is appended, and said so; with memory it goes on", () =>
    Effect.gen(function* () {
      const server = yield* redis()
      const log = yield* openLog(server.url, newNamespace())
      yield* log.append([agent("a")])
      yield* command(server, "CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual(yield* refusal(log, [agent("b"), agent("c")]), "Unavailable")
      yield* command(server, "CONFIG", "SET", "maxmemory", "0")
      yield* insist(log, [agent("d")])
      assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a", "agent:d"])
    }).pipe(Effect.scoped)
  )

  it.live("what was acknowledged and does not come back is uncertain, not published", () =>
    Effect.gen(function* () {
      // Writes go to one server, and reads come from another: a primary that was cut off from those who replaced it.
      const [one, other] = yield* Effect.all([redis(), redis()])
      const wire = yield* wireTo(one)
      const log = yield* openLog(wire.url, newNamespace(), hasty)
      yield* insist(log, [agent("a")])
      wire.cut()
      wire.targets = [one.port, other.port]
      wire.mend()
      yield* inTouch(log)
      const reasons = yield* Effect.forEach([1, 2, 3], (n) => refusal(log, [agent("b", n)]))
      assert.notInclude(reasons, "ok")
    }).pipe(Effect.scoped)
  )
})
