import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as StatusSyncConfig from "../../stratix-gateway/config/StatusSyncConfig.js"
import * as EventLog from "../../stratix-gateway/log/EventLog.js"
import * as Filter from "../../stratix-gateway/log/Filter.js"
import * as assert from "./assert.js"
import { agent, type Draft, inTenant, note, own, ownRemoval } from "./drafts.js"
import type { Runner } from "./runner.js"

const TYPE = "stratix:zone_update"

const ended = (draft: Draft): Draft => ({ ...draft, finished: true })

/** What a log does with the keys of declared event types. */
export const eventLogOwnKeys = <E>({
  pass,
  run,
  runner: { it }
}: {
  readonly runner: Runner
  readonly run: (
    settings: Partial<StatusSyncConfig.Settings>
  ) => <A, E2>(effect: Effect.Effect<A, E2, EventLog.EventLog>) => Effect.Effect<A, E | E2>
  readonly pass: (time: Duration.DurationInput) => Effect.Effect<void, EventLog.EventLogError, EventLog.EventLog>
}) => {
  const jsons = (entries: ReadonlyArray<EventLog.LogEntry>) => entries.map(({ json }) => json)
  const state = Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    return jsons((yield* log.latest()).entries)
  })
  /** What is said of each entry: a removal of the log's own by its payload, anything else as it was published. */
  const told = (entries: ReadonlyArray<EventLog.LogEntry>) =>
    entries.map(({ json }): unknown => {
      const { eventType, payload } = JSON.parse(json)
      return eventType === "stratix:key_remove" ? payload : json
    })
  const removed = (key: string) => ({ eventType: TYPE, key })

  it.effect("an own key's last word leaves after the retention time, and above the cap the oldest first", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const [, start] = yield* log.append([ended(own("ö/1", 1)), own("open", 2)])
      yield* pass("59999 millis")
      assert.strictEqual((yield* state).length, 2)
      yield* pass("1 millis")
      assert.deepStrictEqual(yield* state, [own("open", 2).json])
      const { entries } = yield* log.since(start)
      assert.deepStrictEqual(told(entries), [removed("ö/1")])
      assert.deepStrictEqual(
        entries.map(({ eventType, own: key, removes }) => [eventType, key, removes]),
        [[TYPE, "ö/1", [`${TYPE}/ö/1`]]]
      )
      yield* log.append([ended(own("a")), ended(own("b")), own("a", 1), ended(own("c")), ended(own("d"))])
      assert.deepStrictEqual(
        yield* state,
        [own("open", 2), own("a", 1), own("c"), own("d")].map(({ json }) => json)
      )
      assert.strictEqual(log.stats().finishedDropped, 2)
    }).pipe(run({ finishedRetention: "1 minute", finishedCapacity: 2 }))
  )

  it.effect("an own key that moves to another agent is removed where only the old one is seen, at the same place", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const [start] = yield* log.append([own("z", 1, "a")])
      const [moved] = yield* log.append([own("z", 2, "b")])
      const seenBy = (agents: ReadonlyArray<string>) =>
        Effect.map(log.since(start, { filter: Filter.fromFields({ agents }) }), ({ entries }) =>
          entries.map((entry, i) => [told(entries)[i], entry.offset])
        )
      const seen = Effect.all([seenBy(["a"]), seenBy(["b"]), seenBy(["a", "b"]), seenBy(["x"])])
      const now = [[own("z", 2, "b").json, moved]]
      const expected: Effect.Effect.Success<typeof seen> = [[[removed("z"), moved]], now, now, []]
      assert.deepStrictEqual(yield* seen, expected)
      yield* log.append([note(), note(), note(), note()])
      assert.strictEqual((yield* log.since(start)).mode, "conflated")
      assert.deepStrictEqual(yield* seen, expected)
    }).pipe(run({ historyCapacity: 3 }))
  )

  it.effect("the end of an own key reaches who sees its agent, though its publisher knows none", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const [start] = yield* log.append([own("z", 1, "a"), own("y")])
      yield* log.append([ownRemoval("z"), ownRemoval("never")])
      const seenBy = (fields: Parameters<typeof Filter.fromFields>[0]) =>
        Effect.map(log.since(start, { filter: Filter.fromFields(fields) }), ({ entries }) =>
          entries.map(({ removes }) => removes)
        )
      assert.deepStrictEqual(yield* seenBy({ agents: ["a"] }), [[`${TYPE}/z`]])
      assert.deepStrictEqual(yield* seenBy({ agents: ["b"] }), [])
      assert.deepStrictEqual(yield* state, [own("y").json])
      yield* log.append([note(), note(), note(), note()])
      assert.deepStrictEqual(yield* seenBy({ agents: ["a"] }), [[`${TYPE}/z`]])
      assert.deepStrictEqual(yield* seenBy({ events: ["zone_update"] }), [[], [`${TYPE}/z`]])
    }).pipe(run({ historyCapacity: 3 }))
  )

  it.effect("own keys count towards the bounds of the state, and leave it as events of their tenant", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const mine = inTenant("acme", own("z", 1, "a"))
      const [start] = yield* log.append([mine, own("z", 2, "a"), agent("a")])
      yield* log.append([own("y", 3)])
      assert.deepStrictEqual(
        yield* state,
        [own("z", 2, "a"), agent("a"), own("y", 3)].map(({ json }) => json)
      )
      const seenBy = (tenant: string) =>
        Effect.map(
          log.since(start, { filter: Filter.inTenant(Filter.fromFields({ agents: ["a"] }), tenant) }),
          (result) => told(result.entries)
        )
      assert.deepStrictEqual(yield* seenBy("acme"), [removed("z")])
      assert.deepStrictEqual(yield* seenBy("default"), [own("z", 2, "a").json, agent("a").json])
      assert.strictEqual(log.stats().keysDropped, 1)
    }).pipe(run({ latestCapacity: 3 }))
  )
}
