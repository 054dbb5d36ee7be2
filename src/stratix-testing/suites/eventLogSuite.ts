import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import * as StatusSyncConfig from "../../stratix-gateway/config/StatusSyncConfig.js"
import * as EventLog from "../../stratix-gateway/log/EventLog.js"
import * as Filter from "../../stratix-gateway/log/Filter.js"
import * as assert from "./assert.js"
import { agent, command, commandOf, type Draft, leased, note, removal } from "./drafts.js"
import { eventLogLaws } from "./eventLogLaws.js"
import { eventLogOwnKeys } from "./eventLogOwnKeys.js"
import { eventLogTenants } from "./eventLogTenants.js"
import type { Runner } from "./runner.js"

/** Milliseconds between two looks at the clock: gateways ask their log at least once a second. */
const STEP = 2000

/** How the suite of an event log is run.
 * @since 0.1.0
 * @category models */
export interface EventLogSuiteOptions {
  /** Completes once the log has done what the time of now asks for. Without it the log does so as the clock moves. */
  readonly settle?: Effect.Effect<void, EventLog.EventLogError, EventLog.EventLog>
  /** How many random histories each law is tried with. */
  readonly runs?: number
}

/** What any event log must do, as tests. The layer is built for each test, on an empty log; it takes its settings from `StatusSyncConfig`, and its
 * time from the `Clock`, which is virtual.
 * @since 0.1.0
 * @category suites
 * @example
 * import * as Vitest from "@effect/vitest"
 * import { EventLogMemory } from "stratix-status-sync"
 * import { eventLogSuite } from "stratix-status-sync/testing"
 *
 * eventLogSuite(Vitest, "memory", EventLogMemory.layer) */
export const eventLogSuite = <E>(
  runner: Runner,
  name: string,
  layer: Layer.Layer<EventLog.EventLog, E, StatusSyncConfig.StatusSyncConfig>,
  { runs = 300, settle }: EventLogSuiteOptions = {}
): void => {
  const { describe, it } = runner
  // In steps: an owner of the log that hears nothing for longer takes it for an outage, which counts for no lease.
  const pass = (time: Duration.DurationInput) =>
    Effect.gen(function* () {
      if (settle === undefined) return yield* TestClock.adjust(time)
      for (let left = Duration.toMillis(time); left > 0; left -= STEP) {
        yield* TestClock.adjust(Math.min(left, STEP))
        yield* settle
      }
    })
  const run =
    (settings: Partial<StatusSyncConfig.Settings> = {}) =>
    <A, E2>(effect: Effect.Effect<A, E2, EventLog.EventLog>) =>
      Effect.provide(effect, Layer.provide(layer, StatusSyncConfig.layer(settings)))

  const jsons = (entries: ReadonlyArray<EventLog.LogEntry>) => entries.map((entry) => entry.json)

  describe(`event log: ${name}`, () => {
    it.effect("gives every event its own offset, and tells exactly what came after one", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const offsets = yield* log.append([agent("a"), note(), agent("a", 1), agent("b")])
        assert.strictEqual(new Set(offsets).size, 4)
        assert.strictEqual(log.head().offset, offsets[3])
        const result = yield* log.since(offsets[0])
        assert.deepStrictEqual(
          { ...result, entries: jsons(result.entries) },
          {
            mode: "resume",
            entries: [note(), agent("a", 1), agent("b")].map((draft) => draft.json),
            to: offsets[3] ?? "",
            more: false,
            lost: 0
          }
        )
        const nothing = yield* log.since(offsets[3])
        assert.deepStrictEqual([nothing.mode, nothing.entries.length, nothing.to], ["resume", 0, offsets[3] ?? ""])
      }).pipe(run())
    )

    it.effect(
      "no cursor, or one it never gave, is answered with a snapshot: the newest of every key, in offset order",
      () =>
        Effect.gen(function* () {
          const log = yield* EventLog.EventLog
          yield* log.append([agent("a"), note(), agent("b"), command("c", false), agent("a", 1)])
          const expected = [agent("b"), command("c", false), agent("a", 1)].map((draft) => draft.json)
          const { offset } = log.head()
          for (const cursor of [undefined, "", "junk", "other-1-0", `${offset}0`, offset.replace(/-.*/, "-zzz-0")]) {
            const result = yield* log.since(cursor)
            assert.strictEqual(result.mode, "snapshot", `cursor ${cursor}`)
            assert.deepStrictEqual(jsons(result.entries), expected)
            assert.strictEqual(result.to, offset)
          }
          assert.deepStrictEqual(jsons((yield* log.latest()).entries), expected)
          const filtered = yield* log.latest(Filter.fromFields({ agents: ["b"] }))
          assert.deepStrictEqual(jsons(filtered.entries), [agent("b").json])
        }).pipe(run())
    )

    it.effect("tells the events of its history one by one, and the oldest of them", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        assert.isUndefined(log.at())
        yield* log.append([agent("a"), agent("b"), note(1), agent("c")])
        const { index } = log.head()
        assert.deepStrictEqual(
          [index, index - 1, index - 2, index - 3, index + 1].map((place) => log.at(place)?.json),
          [agent("c").json, note(1).json, agent("b").json, undefined, undefined]
        )
        assert.strictEqual(log.at()?.json, agent("b").json)
      }).pipe(run({ historyCapacity: 3 }))
    )

    it.effect("beyond its history it conflates, and counts what had no key", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const [start] = yield* log.append([agent("a")])
        yield* log.append([note(1), note(2), agent("b"), agent("b", 1), agent("c"), note(3), agent("c", 1)])
        const result = yield* log.since(start)
        assert.strictEqual(result.mode, "conflated")
        assert.deepStrictEqual(
          jsons(result.entries),
          [agent("b", 1), agent("c", 1)].map((draft) => draft.json)
        )
        assert.strictEqual(result.lost, 3)
        const keyed = yield* log.since(start, { filter: Filter.fromFields({ events: ["agent_status_update"] }) })
        assert.strictEqual(keyed.lost, 0)
      }).pipe(run({ historyCapacity: 4 }))
    )

    it.effect("goes in steps; each step's end is a cursor to go on from", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const [start] = yield* log.append([agent("x")])
        const drafts = Array.from({ length: 20 }, (_, i) => agent(`a${i}`))
        yield* log.append(drafts)
        for (const from of [start, undefined]) {
          const got: Array<string> = []
          let cursor = from
          let conflateFrom: string | undefined
          let steps = 0
          for (let more = true; more; steps++) {
            const result = yield* log.since(cursor, {
              maxBytes: 60,
              ...(conflateFrom !== undefined && { conflateFrom })
            })
            if (result.mode === "snapshot") conflateFrom = log.head().offset
            got.push(...jsons(result.entries))
            cursor = result.to
            more = result.more
          }
          assert.isAbove(steps, 5)
          assert.deepStrictEqual(
            got,
            (from === undefined ? [agent("x"), ...drafts] : drafts).map((draft) => draft.json)
          )
          assert.strictEqual(cursor, log.head().offset)
        }
      }).pipe(run())
    )

    it.effect("`until` keeps what came later out", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const [first, second] = yield* log.append([agent("a"), agent("b"), agent("c")])
        const result = yield* log.since(first, { until: second ?? "" })
        assert.deepStrictEqual(
          [jsons(result.entries), result.to, result.more],
          [[agent("b").json], second ?? "", false]
        )
      }).pipe(run())
    )

    it.effect(
      "finished commands leave the state after the retention time, and above the cap the oldest first; both counted",
      () =>
        Effect.gen(function* () {
          const log = yield* EventLog.EventLog
          yield* log.append([command("old", true), command("runs", false)])
          yield* pass("59999 millis")
          yield* log.append([command("again", true), command("again", false)])
          assert.strictEqual((yield* log.latest()).entries.length, 3)
          yield* pass("1 millis")
          assert.deepStrictEqual(jsons((yield* log.latest()).entries), [
            command("runs", false).json,
            command("again", false).json
          ])
          assert.strictEqual(log.stats().finishedDropped, 1)
          yield* log.append([1, 2, 3, 4].map((n) => command(`f${n}`, true)))
          assert.deepStrictEqual(jsons((yield* log.latest()).entries).slice(2), [
            command("f2", true).json,
            command("f3", true).json,
            command("f4", true).json
          ])
          assert.strictEqual(log.stats().finishedDropped, 2)
        }).pipe(run({ finishedRetention: "1 minute", finishedCapacity: 3 }))
    )

    const ghost = Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const [start] = yield* log.append([command("c", false)])
      yield* log.append([command("c", true), agent("a"), agent("a", 1), agent("a", 2)])
      yield* pass("1 minute")
      yield* pass("1 minute")
      return yield* log.since(start)
    })

    it.effect("what leaves the state by age leaves it as an event, which a conflated catch-up tells", () =>
      Effect.gen(function* () {
        const { entries, lost, mode } = yield* ghost
        assert.deepStrictEqual([mode, lost], ["conflated", 0])
        assert.strictEqual(entries[0]?.json, agent("a", 2).json)
        assert.deepInclude(JSON.parse(entries[1]?.json ?? ""), {
          eventType: "stratix:command_remove",
          payload: { commandId: "c", agentId: "a" },
          timestamp: 60_000
        })
      }).pipe(run({ historyCapacity: 2, finishedRetention: "1 minute" }))
    )

    it.effect("a reader from before the oldest removal mark is told to forget, not left with a ghost", () =>
      Effect.gen(function* () {
        const { entries, mode } = yield* ghost
        assert.strictEqual(mode, "snapshot")
        assert.deepStrictEqual(jsons(entries), [agent("a", 2).json])
      }).pipe(run({ historyCapacity: 2, finishedRetention: "1 minute", removalMarks: 0 }))
    )

    it.effect("removal marks are bounded, whatever is removed; what was not there needs none", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        for (let i = 0; i < 100; i++) yield* log.append([agent(`a${i}`), removal(`a${i}`), removal("never")])
        assert.deepInclude(log.stats(), { keys: 0, removalMarks: 5 })
      }).pipe(run({ removalMarks: 5 }))
    )

    it.effect(
      "a command that moves to another agent is removed where only the old one is seen, at the same place",
      () =>
        Effect.gen(function* () {
          const log = yield* EventLog.EventLog
          const [start] = yield* log.append([commandOf("c", "a", 1)])
          const [moved] = yield* log.append([commandOf("c", "b", 2)])
          const told = (agents: ReadonlyArray<string>, cursor = start) =>
            Effect.map(log.since(cursor, { filter: Filter.fromFields({ agents }) }), ({ entries }) =>
              entries.map(({ eventType, offset }) => [eventType, offset])
            )
          const seen = Effect.all([told(["a"]), told(["b"]), told(["a", "b"]), told(["x"])])
          const expected = [
            [["stratix:command_remove", moved]],
            [["stratix:command_status_update", moved]],
            [["stratix:command_status_update", moved]],
            []
          ]
          assert.deepStrictEqual(yield* seen, expected)
          yield* log.append([note(), note(), note(), note()])
          assert.strictEqual((yield* log.since(start)).mode, "conflated")
          assert.deepStrictEqual(yield* seen, expected)
        }).pipe(run({ historyCapacity: 3 }))
    )

    it.effect("too many keys remove an agent with what was said of it once, the one silent for longest first", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const info = (id: string): Draft => ({ ...agent(id), key: `agent-info:${id}`, json: `{"info":"${id}"}` })
        yield* log.append([info("a"), info("b"), agent("b"), agent("a")])
        yield* log.append([agent("c")])
        assert.deepStrictEqual(
          (yield* log.latest()).entries.map(({ key }) => key),
          ["agent-info:a", "agent:a", "agent:c"]
        )
      }).pipe(run({ latestCapacity: 4 }))
    )

    it.effect("keys are bounded: the one unchanged for longest leaves", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        for (let i = 0; i < 1000; i++) yield* log.append([agent(`a${i}`), agent("steady", i)])
        const { entries } = yield* log.latest()
        assert.strictEqual(entries.length, 10)
        assert.deepStrictEqual(entries.at(-1)?.json, agent("steady", 999).json)
        assert.strictEqual(log.stats().keysDropped, 991)
      }).pipe(run({ latestCapacity: 10 }))
    )

    it.effect("keys are bounded in characters too, and what leaves is counted", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        for (let i = 0; i < 100; i++) yield* log.append([agent(`a${i}`)])
        const { entries } = yield* log.latest()
        assert.isAtMost(jsons(entries).join("").length, 200)
        assert.strictEqual(log.stats().keysDropped, 100 - entries.length)
        assert.strictEqual(entries.at(-1)?.json, agent("a99").json)
      }).pipe(run({ latestBytes: 200 }))
    )

    it.effect("history is bounded in characters too", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        for (let i = 0; i < 100; i++) yield* log.append([agent(`a${i}`)])
        assert.isAtMost(log.stats().historyBytes, 200)
        assert.isAbove(log.stats().historyEvents, 3)
      }).pipe(run({ historyBytes: 200 }))
    )

    it.effect("appends once under one idempotency key, and answers every try with the same offsets", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const first = yield* log.append([agent("a"), note()], { idempotencyKey: "k" })
        const again = yield* log.append([agent("a"), note()], { idempotencyKey: "k" })
        assert.deepStrictEqual(again, first)
        assert.strictEqual(log.stats().historyEvents, 2)
        assert.notDeepEqual(yield* log.append([agent("a"), note()], { idempotencyKey: "other" }), first)
      }).pipe(run())
    )

    it.effect(
      "a lease that is not renewed ends in offline and fails what the agent runs, at one place of the log",
      () =>
        Effect.gen(function* () {
          const log = yield* EventLog.EventLog
          yield* log.append([leased("a", 15_000), { ...commandOf("c", "a", 1), status: "running" }])
          yield* pass("10 seconds")
          assert.deepStrictEqual([yield* log.renew("a"), yield* log.renew("b")], [true, false])
          const { index, offset } = log.head()
          yield* pass("10 seconds")
          assert.deepStrictEqual(log.tail(index), [])
          yield* pass("10 seconds")
          const { entries } = yield* log.since(offset)
          assert.deepStrictEqual(
            entries.map(({ json }) => JSON.parse(json).payload),
            [
              { commandId: "c", agentId: "a", commandStatus: "failed", error: "lease expired" },
              { agentId: "a", status: "offline", reason: "lease expired" }
            ]
          )
          assert.isFalse(yield* log.renew("a"))
        }).pipe(run())
    )

    it.effect("announces every event to its subscribers, and to the tail", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        yield* log.append([agent("before")])
        const { index } = log.head()
        const subscription = yield* log.subscribe
        yield* log.append([agent("a"), note()])
        yield* log.append([agent("b")])
        const heard = Chunk.toReadonlyArray(yield* Queue.takeAll(subscription))
        assert.deepStrictEqual(
          jsons(heard),
          [agent("a"), note(), agent("b")].map((draft) => draft.json)
        )
        assert.deepStrictEqual(
          log.tail(index)?.map((entry) => entry.offset),
          heard.map((entry) => entry.offset)
        )
        assert.deepStrictEqual(log.tail(log.head().index), [])
      }).pipe(Effect.scoped, run())
    )

    it.effect("appends of many fibers keep one order for everybody", () =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const subscription = yield* log.subscribe
        const writer = (w: number) =>
          Effect.forEach(
            Array.from({ length: 300 }, (_, i) => i),
            (i) =>
              Effect.zipRight(i % 7 === 0 ? Effect.yieldNow() : Effect.void, log.append([agent(`w${w}`, i), note(i)]))
          )
        yield* Effect.all([0, 1, 2, 3].map(writer), { concurrency: "unbounded" })
        const heard = Chunk.toReadonlyArray(yield* Queue.takeAll(subscription))
        assert.deepStrictEqual(
          heard.map((entry) => entry.index),
          heard.map((_, i) => i + 1)
        )
        const { entries } = yield* log.since(undefined)
        assert.strictEqual(entries.length, 4)
      }).pipe(Effect.scoped, run())
    )

    eventLogLaws({ runner, run, pass, runs })
    eventLogOwnKeys({ runner, run, pass })
    eventLogTenants({ runner, run, pass, runs })
  })
}
