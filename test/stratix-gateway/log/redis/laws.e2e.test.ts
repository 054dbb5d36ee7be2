import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Clock, Effect, FastCheck as fc } from "effect"
import { Filter } from "../../../../src/stratix-gateway/index.js"
import {
  agent,
  commandOf,
  type Draft,
  note,
  own,
  ownRemoval,
  removal
} from "../../../../src/stratix-testing/suites/drafts.js"
import { RedisServer } from "../../support/redis.js"
import { eventually, newNamespace, openLog, patient, Reader, stateOf } from "../../support/redisLogs.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

const sorted = (state: ReadonlyMap<string, string>) => [...state].sort()

describe("one log for many gateways", () => {
  it.live("what one gateway appends, every other one has, at the same offset", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const logs = yield* Effect.all([1, 2, 3].map(() => openLog(server.url, namespace)))
      const [first, second, third] = logs
      assert.isDefined(first)
      assert.isDefined(second)
      assert.isDefined(third)
      const [start] = yield* first.append([agent("a")])
      const written = yield* Effect.all(
        logs.flatMap((log, i) => [0, 1, 2].map((n) => log.append([agent(`${i}`, n), note(n)]))),
        { concurrency: "unbounded" }
      )
      for (const log of logs) yield* log.append([])
      const seen = yield* Effect.forEach(logs, (log) => log.since(start))
      const [one] = seen
      assert.lengthOf(new Set(written.flat()), 18)
      assert.sameMembers(one?.entries.map(({ offset }) => offset) ?? [], written.flat())
      for (const { entries, mode } of seen) {
        assert.strictEqual(mode, "resume")
        assert.deepStrictEqual(
          entries.map(({ json, offset }) => [json, offset]),
          one?.entries.map(({ json, offset }) => [json, offset])
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("a cursor that another gateway gave a moment ago is waited for, and one from nowhere is not", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [here, there] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      const offsets = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) =>
          Effect.gen(function* () {
            const [offset = ""] = yield* here.append([agent("a", n)])
            yield* there.reached(offset)
            return (yield* there.since(offset)).mode
          })
      )
      assert.deepStrictEqual([...new Set(offsets)], ["resume"])
      yield* there.reached("nowhere-1-0")
      assert.strictEqual((yield* there.since("nowhere-1-0")).mode, "snapshot")
    }).pipe(Effect.scoped)
  )

  it.live("a gateway that starts later holds the same state, history and removals", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const settings = { ...patient, historyCapacity: 6 }
      const first = yield* openLog(server.url, namespace, settings)
      const [start] = yield* first.append([
        agent("a"),
        commandOf("c", "a", 1),
        agent("gone"),
        own("z", 1, "a"),
        own("y", 1, "a")
      ])
      yield* first.append([
        commandOf("c", "b", 2),
        removal("gone"),
        own("z", 2, "b"),
        ownRemoval("y"),
        note(),
        note(),
        note(),
        note(),
        note(),
        agent("a", 1)
      ])
      const second = yield* openLog(server.url, namespace, settings)
      assert.deepStrictEqual(yield* stateOf(second), yield* stateOf(first))
      for (const filter of [{}, { agents: ["a"] }, { agents: ["b"] }].map(Filter.fromFields)) {
        const told = (log: typeof first) =>
          Effect.map(log.since(start, { filter }), ({ entries, lost, mode, to }) => ({
            mode,
            lost,
            to,
            events: entries.map(({ json, offset }) => [json, offset])
          }))
        assert.deepStrictEqual(yield* told(second), yield* told(first))
      }
      const { historyEvents, keys, removalMarks } = second.stats()
      assert.deepStrictEqual([historyEvents, keys, removalMarks], [6, 3, 5])
    }).pipe(Effect.scoped)
  )

  it.live("an idempotency key counts at every gateway", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [here, there] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      const options = { idempotencyKey: "once" }
      const first = yield* here.append([agent("a"), note()], options)
      assert.deepStrictEqual(yield* there.append([agent("a"), note()], options), first)
      assert.strictEqual(there.head().offset, first[1])
    }).pipe(Effect.scoped)
  )

  it.live("clocks of gateways that are hours apart change nothing: the state ages by the clock of Redis", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const settings = { ...patient, finishedRetention: "1 second" } as const
      const real = Clock.make()
      const shifted = (millis: number): Clock.Clock => ({
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => real.unsafeCurrentTimeMillis() + millis,
        currentTimeMillis: Effect.map(real.currentTimeMillis, (now) => now + millis),
        unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos() + BigInt(millis) * 1_000_000n,
        currentTimeNanos: Effect.map(real.currentTimeNanos, (now) => now + BigInt(millis) * 1_000_000n),
        sleep: (duration) => real.sleep(duration)
      })
      const [early, late] = yield* Effect.all([
        Effect.withClock(openLog(server.url, namespace, settings), shifted(-3_600_000)),
        Effect.withClock(openLog(server.url, namespace, settings), shifted(3_600_000))
      ])
      yield* late.append([agent("a"), { ...commandOf("c", "a", 1), finished: true }])
      assert.strictEqual((yield* early.append([])).length, 0)
      assert.deepStrictEqual(yield* stateOf(early), yield* stateOf(late))
      assert.strictEqual((yield* stateOf(early)).size, 2)
      yield* eventually(
        Effect.all([stateOf(early), stateOf(late)]),
        ([one, other]) => one.size === 1 && other.size === 1
      )
      assert.strictEqual(early.head().offset, late.head().offset)
    }).pipe(Effect.scoped)
  )

  it.live("a lease that nobody renews ends once, whoever looks", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [here, there] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      const busy: Draft = { ...agent("a"), status: "busy", lease: { millis: 150, endCommands: true } }
      const [start] = yield* here.append([busy, { ...commandOf("c", "a", 1), status: "running" }])
      yield* eventually(
        Effect.sync(() => there.head()),
        () => there.stats().historyEvents === 4
      )
      yield* here.append([])
      const { entries } = yield* there.since(start)
      assert.deepStrictEqual(
        entries.slice(1).map(({ json }) => JSON.parse(json).payload),
        [
          { commandId: "c", agentId: "a", commandStatus: "failed", error: "lease expired" },
          { agentId: "a", status: "offline", reason: "lease expired" }
        ]
      )
      assert.strictEqual(here.head().offset, there.head().offset)
      assert.isFalse(yield* there.renew("a"))
    }).pipe(Effect.scoped)
  )

  it.live("a lease is renewed at any gateway", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [here, there] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      yield* here.append([{ ...agent("a"), status: "busy", lease: { millis: 3_600_000, endCommands: false } }])
      assert.isTrue(yield* there.renew("a"))
      assert.isFalse(yield* there.renew("b"))
    }).pipe(Effect.scoped)
  )

  const id = fc.integer({ min: 0, max: 3 })
  const at = fc.integer({ min: 0, max: 2 })
  const step = fc.oneof(
    ...(
      [
        "agent",
        "command",
        "finish",
        "remove",
        "own",
        "ownFinish",
        "ownRemove",
        "note",
        "read",
        "read",
        "start"
      ] as const
    ).map((t) => fc.record({ t: fc.constant(t), id, of: id, at }))
  )

  it.effect.prop(
    "law B: a reader that hops between gateways folds what one folds that stays",
    [fc.array(step, { maxLength: 60 }), fc.constantFrom({}, { agents: ["0", "1"] }, { commands: ["0", "2"] })],
    ([script, fields]) =>
      Effect.gen(function* () {
        const namespace = newNamespace()
        const settings = { ...patient, historyCapacity: 6, latestCapacity: 6, finishedCapacity: 1, removalMarks: 3 }
        const open = openLog(server.url, namespace, settings)
        const logs = yield* Effect.all([open, open, open])
        const filter = Filter.fromFields(fields)
        const hopping = new Reader(filter)
        const staying = new Reader(filter)
        let n = 0
        for (const { at: gateway, id: name, of, t } of script) {
          n++
          const log = logs[gateway] ?? logs[0]
          if (t === "agent") yield* log.append([agent(`${name}`, n)])
          else if (t === "command") yield* log.append([commandOf(`${name}`, `${of}`, n)])
          else if (t === "finish") yield* log.append([{ ...commandOf(`${name}`, `${of}`, n), finished: true }])
          else if (t === "remove") yield* log.append([removal(`${name}`)])
          else if (t === "own") yield* log.append([own(`${name}`, n, of === 0 ? undefined : `${of}`)])
          else if (t === "ownFinish") yield* log.append([{ ...own(`${name}`, n, `${of}`), finished: true }])
          else if (t === "ownRemove") yield* log.append([ownRemoval(`${name}`)])
          else if (t === "note") yield* log.append([note(n)])
          else if (t === "read") yield* hopping.read(log)
          else logs[gateway] = yield* open
          yield* staying.read(logs[0])
        }
        for (const log of logs) {
          yield* log.append([])
          yield* hopping.read(log)
        }
        yield* staying.read(logs[0])
        const { entries } = yield* logs[0].latest(filter)
        const truth = sorted(new Map(entries.map(({ json, key }) => [key ?? "", json])))
        assert.deepStrictEqual(sorted(hopping.state), truth)
        assert.deepStrictEqual(sorted(staying.state), truth)
      }).pipe(Effect.scoped, Effect.withClock(Clock.make())),
    { timeout: 120_000, fastCheck: { numRuns: 15 } }
  )
})
