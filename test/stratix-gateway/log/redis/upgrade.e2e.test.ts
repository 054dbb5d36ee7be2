import { readFileSync } from "node:fs"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Filter, StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import * as Commands from "../../../../src/stratix-gateway/log/redis/Commands.js"
import * as Wire from "../../../../src/stratix-gateway/log/redis/Wire.js"
import { agent, commandOf, type Draft, note, removal } from "../../../../src/stratix-testing/suites/drafts.js"
import { recorded } from "../../support/gateway.js"
import { RedisServer } from "../../support/redis.js"
import { eventually, newNamespace, openLog, patient, Reader } from "../../support/redisLogs.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

/** What gateways of format 1 ran, as it was. */
const SCRIPT = readFileSync(new URL("append-format-1.lua", import.meta.url), "utf8")

/** A small history, so that some cursors are behind it. */
const settings = { ...patient, historyCapacity: 6 } as const

/** Events had no tenant and no keys of the author's own. */
const argumentsOf = (draft: Draft): ReadonlyArray<string> => {
  const [header = "", ...others] = Wire.argumentsOf(draft)
  const fields: ReadonlyArray<unknown> = JSON.parse(header)
  return [JSON.stringify(fields.slice(0, 11)), ...others]
}

/** A gateway of format 1. */
const old = (namespace: string) => {
  const key = (name: string) => `{stratix:${namespace}}:${name}`
  const names = "meta log last evict fin chain gone mark due run idem idemdue sizes gateways w:old".split(" ")
  const all = { ...StatusSyncConfig.defaults, ...settings }
  let batch = 0
  const call = (number: number, elements: ReadonlyArray<string>) =>
    Effect.promise(async () => {
      const bounds = [6, 1e9, 1000, 1e9, 3_600_000, 1000, 100, 600_000, 1000, 3000].map(String)
      const meta = ["", "1", Commands.agreement(all), "old", String(number), "", "epoch1"]
      const answer = await server.command(
        "EVAL",
        SCRIPT,
        String(names.length),
        ...names.map(key),
        ...meta,
        ...bounds,
        ...elements
      )
      assert.isTrue(Array.isArray(answer) && answer[0] === "ok", JSON.stringify(answer))
      const places = Array.isArray(answer) ? String(answer[5]) : ""
      const [epoch, seq, keyless, bits = ""] = places.split(" ")
      const last = [Number(seq) + bits.length, Number(keyless) + [...bits].filter((bit) => bit === "1").length]
      return `${epoch}-${last.map((n) => n.toString(36)).join("-")}`
    })
  return {
    append: (drafts: ReadonlyArray<Draft>, idempotencyKey = "") =>
      call(++batch, [idempotencyKey, String(drafts.length), ...drafts.flatMap(argumentsOf)]),
    /** It looks after the log, as one does every second that is running. */
    lookAfter: call(0, [])
  }
}

describe("a log of an older format", () => {
  it.live("is carried over: state, history, removals, cursors and idempotency keys are as they were", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const gateway = old(namespace)
      const early = yield* gateway.append([agent("a"), commandOf("c", "a", 1), commandOf("d/e", "a", 1), agent("gone")])
      yield* gateway.append([commandOf("c", "b", 2), removal("gone"), note(1)])
      const given = yield* gateway.append([agent("ü", 1)], "once")
      const recent = yield* gateway.append([note(2)])
      yield* gateway.append([agent("a", 2), note(3), note(4), commandOf("d/e", "b", 2)])

      const lines: Array<string> = []
      const log = yield* openLog(server.url, namespace, settings, recorded(lines))
      assert.isTrue(lines.some((line) => line.includes("the log had format 1, and has format 3 now")))
      const { entries } = yield* log.latest()
      assert.deepStrictEqual(
        entries.map(({ commandId, json, key, tenant }) => [key, commandId, json, tenant]),
        [commandOf("c", "b", 2), agent("ü", 1), agent("a", 2), commandOf("d/e", "b", 2)].map(
          ({ commandId, json, key }) => [key, commandId, json, "default"]
        )
      )
      const resumed = yield* log.since(recent)
      assert.deepStrictEqual(
        [resumed.mode, ...resumed.entries.map(({ json }) => json)],
        ["resume", agent("a", 2).json, note(3).json, note(4).json, commandOf("d/e", "b", 2).json]
      )
      const reader = new Reader(Filter.fromFields({ agents: ["a"] }))
      reader.cursor = early
      for (const { json, key } of [agent("a"), commandOf("c", "a", 1), commandOf("d/e", "a", 1)])
        reader.state.set(key ?? "", json)
      yield* reader.read(log)
      assert.deepStrictEqual(reader.modes, ["conflated"])
      assert.deepStrictEqual([...reader.state], [["agent:a", agent("a", 2).json]])
      const all = yield* log.since(early)
      assert.deepStrictEqual([all.mode, all.lost], ["conflated", 4])
      assert.includeDeepMembers(
        all.entries.map(({ removes }) => removes),
        [["agent:gone", "agent-info:gone"]]
      )
      assert.deepStrictEqual(yield* log.append([agent("ü", 1)], { idempotencyKey: "once" }), [given])
      // What the script makes of the old events.
      yield* log.append([removal("a"), commandOf("c", "x", 3)])
      const later = yield* openLog(server.url, namespace, settings)
      assert.deepStrictEqual(
        (yield* later.since(early)).entries.map(({ json }) => json),
        (yield* log.since(early)).entries.map(({ json }) => json)
      )
    }).pipe(Effect.scoped)
  )

  it.live("waits until no gateway of that format is running, and says so", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const gateway = old(namespace)
      yield* gateway.append([agent("a")])
      yield* gateway.lookAfter
      const lines: Array<string> = []
      const starting = yield* Effect.fork(openLog(server.url, namespace, settings, recorded(lines)))
      yield* eventually(
        Effect.sync(() => lines),
        (said) => said.some((line) => line.includes("gateways of that format are running"))
      )
      const key = `{stratix:${namespace}}:`
      assert.strictEqual(yield* Effect.promise(() => server.command("HGET", `${key}meta`, "format")), "1")
      yield* Effect.promise(() => server.command("DEL", `${key}gateways`))
      const log = yield* Fiber.join(starting)
      assert.strictEqual(log.stats().keys, 1)
    }).pipe(Effect.scoped)
  )
})
