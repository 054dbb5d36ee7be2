import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import type * as StatusSyncConfig from "../../stratix-gateway/config/StatusSyncConfig.js"
import * as EventLog from "../../stratix-gateway/log/EventLog.js"
import * as Filter from "../../stratix-gateway/log/Filter.js"
import * as assert from "./assert.js"
import { agent, commandOf, type Draft, inTenant, leased, note, removal } from "./drafts.js"
import { property, type Runner } from "./runner.js"

const running = (commandId: string, agentId: string, n: number): Draft => ({
  ...commandOf(commandId, agentId, n),
  status: "running"
})

/** What two tenants of a log may know of each other: nothing. */
export const eventLogTenants = <E>({
  pass,
  run,
  runner,
  runs
}: {
  readonly runner: Runner
  readonly run: (
    settings: Partial<StatusSyncConfig.Settings>
  ) => <A, E2>(effect: Effect.Effect<A, E2, EventLog.EventLog>) => Effect.Effect<A, E | E2>
  readonly pass: (time: Duration.DurationInput) => Effect.Effect<void, EventLog.EventLogError, EventLog.EventLog>
  readonly runs: number
}) => {
  const { it } = runner
  const left = "acme"
  const right = "__proto__"
  const filterOf = (tenant: string, fields: Parameters<typeof Filter.fromFields>[0] = {}) =>
    Filter.inTenant(Filter.fromFields(fields), tenant)
  const jsons = (entries: ReadonlyArray<EventLog.LogEntry>) => entries.map(({ json }) => json)
  const stateOf = (tenant: string) =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      return jsons((yield* log.latest(filterOf(tenant))).entries)
    })

  it.effect("two tenants' cmd-1 are two commands: neither replaces, moves or removes the other's", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const mine = inTenant(left, commandOf("cmd-1", "a", 1))
      const theirs = inTenant(right, commandOf("cmd-1", "b", 2))
      const nobodys = commandOf("cmd-1", "c", 3)
      const offsets = yield* log.append([mine, inTenant(left, agent("a", 1)), theirs, nobodys])
      assert.deepStrictEqual(yield* stateOf(left), [mine.json, inTenant(left, agent("a", 1)).json])
      assert.deepStrictEqual(yield* stateOf(right), [theirs.json])
      assert.deepStrictEqual(yield* stateOf("default"), [nobodys.json])
      // With the other's offsets, and from the beginning.
      for (const offset of [...offsets, undefined]) {
        const { entries } = yield* log.since(offset, { filter: filterOf(right) })
        assert.isTrue(jsons(entries).every((json) => json === theirs.json))
      }
      // Its command left no agent of another tenant.
      for (const agents of [["a"], ["c"]]) {
        const { entries } = yield* log.since(offsets[0], { filter: filterOf(right, { agents }) })
        assert.deepStrictEqual(entries, [])
      }
      const { offset } = log.head()
      yield* log.append([inTenant(right, removal("a")), removal("a")])
      assert.deepStrictEqual(yield* stateOf(left), [mine.json, inTenant(left, agent("a", 1)).json])
      assert.deepStrictEqual((yield* log.since(offset, { filter: filterOf(left) })).entries, [])
    }).pipe(run({}))
  )

  it.effect("a tenant's lease is its own: the other renews nothing, and nothing of the other ends with it", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      yield* log.append([
        inTenant(left, leased("a", 15_000)),
        inTenant(left, running("c", "a", 1)),
        inTenant(right, leased("a", 60_000)),
        inTenant(right, running("c", "a", 2)),
        running("c", "a", 3)
      ])
      assert.deepStrictEqual(
        [yield* log.renew("a", left), yield* log.renew("a", right), yield* log.renew("a")],
        [true, true, false]
      )
      yield* pass("10 seconds")
      assert.isTrue(yield* log.renew("a", right))
      const { offset } = log.head()
      yield* pass("10 seconds")
      const { entries } = yield* log.since(offset, { filter: filterOf(left) })
      assert.deepStrictEqual(
        entries.map(({ json }) => JSON.parse(json).payload),
        [
          { commandId: "c", agentId: "a", commandStatus: "failed", error: "lease expired" },
          { agentId: "a", status: "offline", reason: "lease expired" }
        ]
      )
      assert.deepStrictEqual((yield* log.since(offset, { filter: filterOf(right) })).entries, [])
      assert.deepStrictEqual((yield* log.since(offset)).entries, [])
      assert.deepStrictEqual([yield* log.renew("a", left), yield* log.renew("a", right)], [false, true])
    }).pipe(run({}))
  )

  it.effect("ids and tenants with separators in them stay apart", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const drafts = [
        agent("@acme/agent:a", 1),
        agent("acme/a", 2),
        inTenant("acme", agent("a", 3)),
        inTenant("acme", agent("/a", 4)),
        inTenant("acme:agent", agent("a", 5)),
        inTenant("@acme", agent("a", 6)),
        inTenant("acme", agent("@default/agent:a", 7)),
        agent("a", 8)
      ]
      yield* log.append(drafts)
      for (const tenant of new Set(drafts.map((draft) => draft.tenant))) {
        assert.deepStrictEqual(
          yield* stateOf(tenant),
          drafts.filter((draft) => draft.tenant === tenant).map(({ json }) => json)
        )
      }
    }).pipe(run({}))
  )

  const id = fc.integer({ min: 0, max: 2 })
  property(
    runner,
    Math.ceil(runs / 6),
    "what a tenant reads is the same whether or not others publish",
    fc.array(
      fc.record({
        t: fc.constantFrom("agent", "command", "finish", "run", "lease", "remove", "note", "later"),
        tenant: fc.constantFrom(left, right, "default"),
        id,
        of: id
      }),
      { maxLength: 40 }
    ),
    (script) => {
      const play = (steps: typeof script, reader: string) =>
        Effect.gen(function* () {
          const log = yield* EventLog.EventLog
          const heard: Array<unknown> = []
          let cursor = log.head().offset
          for (const [index, { id, of, t, tenant }] of steps.entries()) {
            // The same event in both plays.
            const n = script.indexOf(steps[index] ?? { t: "later", tenant, id, of })
            if (t === "agent") yield* log.append([inTenant(tenant, agent(`${id}`, n))])
            else if (t === "command") yield* log.append([inTenant(tenant, commandOf(`${id}`, `${of}`, n))])
            else if (t === "finish")
              yield* log.append([inTenant(tenant, { ...commandOf(`${id}`, `${of}`, n), finished: true })])
            else if (t === "run") yield* log.append([inTenant(tenant, running(`${id}`, `${of}`, n))])
            // No two end in the same millisecond, whose order nothing says.
            else if (t === "lease") yield* log.append([inTenant(tenant, leased(`${id}`, 15_000 + n, n))])
            else if (t === "remove") yield* log.append([inTenant(tenant, removal(`${id}`))])
            else if (t === "note") yield* log.append([inTenant(tenant, note(n))])
            else yield* pass("20 seconds")
            const { entries, to } = yield* log.since(cursor, { filter: filterOf(reader, { agents: ["0", "1"] }) })
            cursor = to
            // The stamps of the log's own events name their places and times.
            for (const { json } of entries) heard.push(JSON.parse(json).payload ?? json)
          }
          const own = (json: string) => JSON.parse(json).payload ?? json
          return { heard, state: (yield* stateOf(reader)).map(own) }
        }).pipe(run({ finishedRetention: "1 minute" }))
      return Effect.gen(function* () {
        for (const reader of [left, right, "default"]) {
          const alone = script.filter(({ t, tenant }) => t === "later" || tenant === reader)
          const together = yield* play(script, reader)
          const apart = yield* play(alone, reader)
          assert.deepStrictEqual(together, apart)
        }
      })
    }
  )
}
