import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import type * as StatusSyncConfig from "../../stratix-gateway/config/StatusSyncConfig.js"
import * as EventLog from "../../stratix-gateway/log/EventLog.js"
import * as Filter from "../../stratix-gateway/log/Filter.js"
import * as assert from "./assert.js"
import { agent, commandOf, leased, note, own, ownRemoval, removal } from "./drafts.js"
import { property, type Runner } from "./runner.js"

/** The laws of a log, against random histories of it. */
export const eventLogLaws = <E>({
  pass,
  run,
  runner,
  runs
}: {
  readonly runner: Runner
  readonly run: (
    settings: Partial<StatusSyncConfig.Settings>
  ) => <A, E2>(effect: Effect.Effect<A, E2, EventLog.EventLog>) => Effect.Effect<A, E | E2>
  /** Lets so much time go by on the log. */
  readonly pass: (time: Duration.DurationInput) => Effect.Effect<void, EventLog.EventLogError, EventLog.EventLog>
  readonly runs: number
}) => {
  const id = fc.integer({ min: 0, max: 4 })
  const filters = [
    {},
    { agents: ["0", "1"] },
    { commands: ["0", "1", "2"] },
    { events: ["agent_status_update"] },
    { events: ["zone_update"] }
  ]
  const step = <T extends string>(t: T, weight: number) => ({
    weight,
    arbitrary: fc.record({ t: fc.constant(t), id, of: id })
  })

  property(
    runner,
    runs,
    "laws 3 and 4: what a reader folds over any pauses is the state under its filter, keys and events",
    fc.tuple(
      fc.array(
        fc.oneof(
          step("agent", 4),
          step("command", 5),
          step("finish", 3),
          step("run", 3),
          step("lease", 3),
          step("remove", 2),
          step("own", 4),
          step("ownFinish", 2),
          step("ownRemove", 2),
          step("note", 1),
          step("later", 1),
          {
            weight: 4,
            arbitrary: fc.record({ t: fc.constant("read" as const), id: fc.integer({ min: 1, max: 200 }), of: id })
          }
        ),
        { maxLength: 80 }
      ),
      fc.constantFrom(...filters.map(Filter.fromFields)),
      fc.integer({ min: 0, max: 6 })
    ),
    ([script, filter, removalMarks]) =>
      Effect.gen(function* () {
        const log = yield* EventLog.EventLog
        const state = new Map<string, string>()
        let cursor: string | undefined
        let conflateFrom: string | undefined
        let seen = 0
        const read = (maxBytes: number) =>
          Effect.gen(function* () {
            const { offset } = log.head()
            const result = yield* log.since(cursor, {
              filter,
              maxBytes,
              ...(conflateFrom !== undefined && { conflateFrom })
            })
            if (result.mode === "snapshot") {
              state.clear()
              seen = 0
            }
            for (const entry of result.entries) {
              // Law 1: never two events of one place.
              assert.isAbove(entry.index, seen)
              seen = entry.index
              for (const key of entry.removes) state.delete(key)
              if (entry.key !== undefined) state.set(entry.key, entry.json)
            }
            if (result.mode === "snapshot") conflateFrom = offset
            else if (result.mode === "conflated") conflateFrom ??= cursor
            cursor = result.to
            if (!result.more) conflateFrom = undefined
            return result.more
          })
        let n = 0
        for (const { id, of, t } of script) {
          n++
          if (t === "agent") yield* log.append([agent(`${id}`, n)])
          else if (t === "command") yield* log.append([commandOf(`${id}`, `${of}`, n)])
          else if (t === "finish") yield* log.append([{ ...commandOf(`${id}`, `${of}`, n), finished: true }])
          else if (t === "run") yield* log.append([{ ...commandOf(`${id}`, `${of}`, n), status: "running" }])
          else if (t === "lease") yield* log.append([leased(`${id}`, 15_000, n)])
          else if (t === "remove") yield* log.append([removal(`${id}`)])
          else if (t === "own") yield* log.append([own(`${id}`, n, of === 0 ? undefined : `${of}`)])
          else if (t === "ownFinish") yield* log.append([{ ...own(`${id}`, n, `${of}`), finished: true }])
          else if (t === "ownRemove") yield* log.append([ownRemoval(`${id}`)])
          else if (t === "note") yield* log.append([note(n)])
          else if (t === "later") yield* pass("20 seconds")
          else yield* read(id)
        }
        // Then no lease is left that could expire between the two looks.
        yield* pass("20 seconds")
        assert.strictEqual(log.stats().leases, 0)
        while (yield* read(50)) {}
        const { entries } = yield* log.latest(filter)
        assert.deepStrictEqual([...state].sort(), entries.map(({ json, key }) => [key ?? "", json]).sort())
      }).pipe(
        run({
          historyCapacity: 6,
          latestCapacity: 6,
          finishedRetention: "1 minute",
          finishedCapacity: 2,
          removalMarks
        })
      )
  )
}
