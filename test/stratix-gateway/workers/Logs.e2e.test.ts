import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { describeFile, folder } from "../log/file/files.js"
import { RedisServer } from "../support/redis.js"
import { eventually, newNamespace } from "../support/redisLogs.js"
import * as Workers from "./gateway.js"

/** The statuses of all agents, as a gateway tells them. */
const agentsAt = (port: number) =>
  Effect.promise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/state?events=agent_status_update`, {
      headers: { connection: "close" }
    })
    const { events } = await answer.json()
    return new Map(
      events.map(({ payload }: { payload: Record<string, unknown> }) => [payload["agentId"], payload["status"]])
    )
  })

/** Kills a worker, and the primary, and each of them again: what was published is at every screen once, in order, without a snapshot. */
const survives = (log: Effect.Effect<Record<string, string>, never, Scope.Scope>) =>
  Effect.gen(function* () {
    const environment = { ...(yield* log), STRATIX_EVENT_LOG_TIMEOUT: "30 seconds" }
    let { port, program } = yield* Workers.start(environment)
    const screens = yield* Workers.screens(port, 6)
    yield* eventually(
      Effect.sync(() => screens.filter(({ modes }) => modes.length > 0).length),
      (count) => count === screens.length
    )
    let n = 0
    const statuses = ["online", "busy", "offline"]
    const expected = new Map<string, string>()
    const publish = Effect.suspend(() => {
      const [agentId, of] = [`a${n % 5}`, statuses[n % 3] ?? ""]
      expected.set(agentId, of)
      return Workers.publish(port, `note-${n}`, Workers.note(n++), Workers.status(agentId, of))
    })
    const some = Effect.repeatN(publish, 9)
    for (let round = 0; round < 2; round++) {
      yield* some
      const [dies = 0] = Workers.workersOf(program)
      process.kill(dies, "SIGKILL")
      yield* some
      yield* Effect.promise(() => program.prints(/worker 3 is ready/))

      // One is on its way when the primary dies: it is published again, and is there once.
      const last = yield* Effect.fork(publish)
      yield* Workers.kill(program)
      program = (yield* Workers.start({ ...environment, STRATIX_PORT: String(port) })).program
      yield* last
      assert.deepStrictEqual(yield* agentsAt(port), expected)
    }
    yield* some
    yield* eventually(
      Effect.sync(() => Math.min(...screens.map(({ numbers }) => numbers.length))),
      (count) => count >= n
    )
    for (const { agents, closed, modes, numbers } of screens) {
      assert.deepStrictEqual(
        numbers,
        Array.from({ length: n }, (_, i) => i)
      )
      assert.deepStrictEqual(agents, expected)
      assert.deepStrictEqual([...new Set(modes)], ["snapshot", "resume"])
      assert.isAtLeast(closed, 2)
    }
  }).pipe(Effect.scoped)

describeFile("a gateway with workers and a log in a file", () => {
  it.live(
    "survives kill -9 of a worker and of the primary: screens resume exactly",
    () => survives(Effect.map(folder, (path) => ({ STRATIX_EVENT_LOG: `file:${join(path, "log.db")}` }))),
    Workers.PATIENCE
  )
})

describe("a gateway with workers and a log in Redis", () => {
  it.live(
    "survives kill -9 of a worker and of the primary: screens resume exactly",
    () =>
      survives(
        Effect.acquireRelease(
          Effect.promise(() => RedisServer.start()),
          (redis) => Effect.promise(() => redis.end())
        ).pipe(Effect.map(({ url }) => ({ STRATIX_EVENT_LOG: url, STRATIX_EVENT_LOG_NAMESPACE: newNamespace() })))
      ),
    Workers.PATIENCE
  )
})
