import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Withdrawals from "../../../src/stratix-gateway/fanout/Withdrawals.js"
import { EventLog } from "../../../src/stratix-gateway/index.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as Stamps from "../../../src/stratix-gateway/log/Stamps.js"
import { draft } from "../../support/draft.js"
import { answer, entry, over } from "./scriptedLog.js"

const json = (eventType: string, payload: object) => JSON.stringify({ eventType, payload })

const status = (agentId: string) =>
  draft({
    eventType: "stratix:agent_status_update",
    agentId,
    key: `agent:${agentId}`,
    json: json("stratix:agent_status_update", { agentId })
  })
const created = (agentId: string) =>
  draft({
    eventType: "stratix:agent_create",
    agentId,
    key: `agent-info:${agentId}`,
    json: json("stratix:agent_create", { agentId })
  })
const command = (commandId: string, agentId: string) =>
  draft({
    eventType: "stratix:command_status_update",
    agentId,
    commandId,
    key: `command:${commandId}`,
    json: json("stratix:command_status_update", { commandId, agentId })
  })

const agents = (...names: ReadonlyArray<string>) => Filter.fromFields({ agents: names })

/** Withdrawals from a log of these events, which answers `since` by what the test says. */
const world = (drafts: ReadonlyArray<EventLog.Draft>, steps: Record<string, EventLog.CatchUp> = {}) =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const stamps = yield* Stamps.Stamps
    yield* log.append(drafts)
    const reads: Array<Filter.Filter | undefined> = []
    const asked: Array<readonly [string | undefined, EventLog.SinceOptions | undefined]> = []
    const withdraw = Withdrawals.make(
      {
        ...log,
        latest: (filter) => {
          reads.push(filter)
          return log.latest(filter)
        },
        since: (cursor, options) => {
          asked.push([cursor, options])
          return Effect.succeed(steps[cursor ?? ""] ?? answer("resume", "end", false))
        }
      },
      stamps.next
    )
    /** What one in this place is told: the type and the payload of each event. */
    const told = (from: Filter.Filter, to: Filter.Filter, place: Partial<Parameters<Withdrawals.Withdraw>[2]> = {}) =>
      withdraw(from, to, { state: "live", cursor: undefined, conflateFrom: undefined, ...place })
        .map((text) => JSON.parse(text))
        .map(({ eventType, payload }) => [eventType, payload])
    return { append: log.append, asked, reads, told, withdraw }
  })

const gone = (agentId: string) => ["stratix:agent_remove", { agentId }]

describe("what is withdrawn from one at the head", () => {
  it.effect("are the things that it sees no more, each once", () =>
    Effect.gen(function* () {
      const { asked, told } = yield* world([
        created("a"),
        status("a"),
        status("b"),
        command("c", "a"),
        command("d", "b")
      ])
      assert.deepStrictEqual(told(agents("a", "b"), agents("b")), [
        gone("a"),
        ["stratix:command_remove", { commandId: "c", agentId: "a" }]
      ])
      assert.deepStrictEqual(told(agents("b"), agents("a", "b")), [])
      assert.deepStrictEqual(asked, [])
    }).pipe(over())
  )

  it.effect("takes along what stays in sight, which is said again, and nothing else", () =>
    Effect.gen(function* () {
      const { told } = yield* world([created("a"), status("a"), created("b")])
      assert.deepStrictEqual(told(Filter.all, Filter.fromFields({ events: ["agent_create"] })), [
        gone("a"),
        ["stratix:agent_create", { agentId: "a" }]
      ])
    }).pipe(over())
  )

  it.effect("is read from the log once for all who lose the same at the same moment", () =>
    Effect.gen(function* () {
      const { append, reads, told, withdraw } = yield* world([status("a"), status("b"), status("c")])
      const place = { state: "live", cursor: undefined, conflateFrom: undefined } as const
      const first = withdraw(agents("a", "b"), agents("b"), place)
      const readsOfOne = reads.length
      assert.strictEqual(withdraw(agents("a", "b"), agents("b"), place), first)
      assert.strictEqual(reads.length, readsOfOne)
      assert.deepStrictEqual(told(agents("a", "b"), agents("a")), [gone("b")])
      assert.deepStrictEqual(told(agents("a", "c"), agents("a")), [gone("c")])
      yield* append([draft({ eventType: "stratix:agent_remove", agentId: "c", removes: ["agent:c"] })])
      assert.deepStrictEqual(told(agents("a", "c"), agents("a")), [])
    }).pipe(over())
  )

  it.effect("is read from the log only once where nothing is", () =>
    Effect.gen(function* () {
      const { reads, told } = yield* world([status("b")])
      assert.deepStrictEqual(told(agents("a", "b"), agents("b")), [])
      assert.strictEqual(reads.length, 1)
      assert.deepStrictEqual(told(agents("a", "b"), agents("b")), [])
      assert.strictEqual(reads.length, 1)
    }).pipe(over())
  )
})

describe("what is withdrawn from one that is behind", () => {
  const removal = (agentId: string) => ({
    ...entry(json("stratix:agent_remove", { agentId })),
    eventType: "stratix:agent_remove",
    agentId,
    removes: [`agent:${agentId}`]
  })

  it.effect("is nothing before its first step", () =>
    Effect.gen(function* () {
      const { asked, reads, told } = yield* world([status("a")])
      assert.deepStrictEqual(told(agents("a"), agents("b"), { state: "behind" }), [])
      assert.deepStrictEqual([asked, reads], [[], []])
    }).pipe(over())
  )

  it.effect("are also the removals since its place that it would not be told any more, step by step", () =>
    Effect.gen(function* () {
      const { asked, told } = yield* world([status("c"), status("b")], {
        h1: answer("conflated", "h2", true, {
          entries: [{ ...removal("a"), removes: [] }, removal("a"), removal("b")]
        }),
        h2: answer("conflated", "h3", false, { entries: [removal("d")] })
      })
      const from = agents("a", "b", "c", "d")
      for (const [place, conflateFrom] of [
        [{}, "h1"],
        [{ conflateFrom: "h0" }, "h0"]
      ] as const) {
        assert.deepStrictEqual(told(from, agents("b"), { state: "stalled", cursor: "h1", ...place }), [
          gone("a"),
          gone("d"),
          gone("c")
        ])
        assert.deepStrictEqual(asked.splice(0), [
          ["h1", { filter: from, conflateFrom, neverSnapshot: true }],
          ["h2", { filter: from, conflateFrom, neverSnapshot: true }]
        ])
      }
    }).pipe(over())
  )
})
