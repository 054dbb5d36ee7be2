import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, type Scope, TestClock } from "effect"
import type { EventLog } from "../../../../src/stratix-gateway/index.js"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import { type Options, RedisServer } from "../../support/redis.js"
import { eventually, type Log, newNamespace, openLog, patient, Reader, stateOf } from "../../support/redisLogs.js"
import { Wire } from "../../support/wire.js"

/** Appends fail soon. */
const hasty = { eventLogTimeout: "1 second" } as const

const redis = (options: Options = {}): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => RedisServer.start(options)),
    (server) => Effect.promise(() => server.end())
  )

const wireTo = (...servers: ReadonlyArray<RedisServer>): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => Wire.open(...servers.map(({ port }) => port))),
    (wire) => Effect.promise(() => wire.close())
  )

const command = (server: RedisServer, ...args: ReadonlyArray<string>) => Effect.promise(() => server.command(...args))

/** Appends until the log takes it. */
const insist = (log: Log, ...args: Parameters<Log["append"]>) =>
  Effect.map(eventually(Effect.exit(log.append(...args)), Exit.isSuccess), (exit) =>
    Exit.isSuccess(exit) ? exit.value : []
  )

/** The reason for which an append fails. */
const refusal = (log: Log, ...args: Parameters<Log["append"]>): Effect.Effect<string> =>
  Effect.match(log.append(...args), {
    onFailure: ({ reason }: EventLog.EventLogError) => reason,
    onSuccess: () => "ok"
  })

const rebuilt = (log: Log, times = 1) =>
  eventually(
    Effect.sync(() => log.health()),
    ({ rebuilds, staleMillis }) => rebuilds >= times && staleMillis === 0
  )

const inTouch = (log: Log) =>
  eventually(
    Effect.sync(() => log.health().staleMillis),
    (stale) => stale === 0
  )

/** Waits until a replica has all that its primary has. */
const replicated = (primary: RedisServer, replica: RedisServer) =>
  eventually(
    Effect.all([command(primary, "INFO", "replication"), command(replica, "INFO", "replication")]),
    ([one, other]) =>
      /master_link_status:up/.test(String(other)) &&
      /master_repl_offset:(\d+)/.exec(String(one))?.[1] === /slave_repl_offset:(\d+)/.exec(String(other))?.[1]
  )

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
