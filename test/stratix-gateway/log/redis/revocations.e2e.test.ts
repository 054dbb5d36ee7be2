import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, type Scope } from "effect"
import type { Revocation } from "../../../../src/stratix-gateway/index.js"
import { agent } from "../../../../src/stratix-testing/suites/drafts.js"
import { recorded } from "../../support/gateway.js"
import { RedisServer } from "../../support/redis.js"
import { eventually, type Log, newNamespace, openLog, patient } from "../../support/redisLogs.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

const heardBy = (log: Log): Effect.Effect<Queue.Dequeue<Revocation>, never, Scope.Scope> =>
  Effect.flatMap(Effect.fromNullable(log.revocations), ({ subscribe }) => subscribe).pipe(Effect.orDie)

const share = (log: Log, name: string) =>
  Effect.flatMap(
    Effect.clock,
    (clock) => log.revocations?.share({ name, at: clock.unsafeCurrentTimeMillis() }) ?? Effect.void
  )

/** Waits for a name among those that are heard. */
const hears = (queue: Queue.Dequeue<Revocation>, name: string): Effect.Effect<Revocation> =>
  Effect.flatMap(Queue.take(queue), (heard) => (heard.name === name ? Effect.succeed(heard) : hears(queue, name)))

describe("revocations of a shared log", () => {
  it.live("reach gateways that run and those that start later, and no reader is told", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [here, there] = yield* Effect.all([openLog(server.url, namespace), openLog(server.url, namespace)])
      yield* here.append([agent("a")])
      const { offset } = here.head()
      const heard = yield* heardBy(there)
      yield* share(here, "goes")
      yield* hears(heard, "goes")
      const later = yield* heardBy(yield* openLog(server.url, namespace))
      assert.deepStrictEqual(
        [...(yield* Queue.takeAll(later))].map(({ name }) => name),
        ["goes"]
      )
      yield* there.append([])
      assert.strictEqual(there.head().offset, offset)
    }).pipe(Effect.scoped)
  )

  it.live("made while Redis is away reach the others when it is back, and the gateway says so", () =>
    Effect.gen(function* () {
      const own = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start()),
        (one) => Effect.promise(() => one.end())
      )
      const namespace = newNamespace()
      const lines: Array<string> = []
      const settings = { ...patient, eventLogTimeout: "100 millis" } as const
      const here = yield* openLog(own.url, namespace, settings, recorded(lines))
      const there = yield* openLog(own.url, namespace, settings)
      const heard = yield* heardBy(there)
      yield* Effect.promise(() => own.kill())
      yield* share(here, "goes").pipe(Effect.provide(recorded(lines)))
      assert.isTrue(lines.some((line) => line.includes("do not know yet that goes is revoked")))
      yield* Effect.promise(() => own.run())
      yield* hears(heard, "goes")
    }).pipe(Effect.scoped)
  )

  it.live("that Redis has lost are told again by those who know them", () =>
    Effect.gen(function* () {
      const own = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start()),
        (one) => Effect.promise(() => one.end())
      )
      const namespace = newNamespace()
      const knowing = yield* openLog(own.url, namespace)
      const [at] = yield* Effect.scoped(
        Effect.gen(function* () {
          const heard = yield* heardBy(knowing)
          const revoking = yield* openLog(own.url, namespace)
          yield* share(revoking, "goes")
          return [(yield* hears(heard, "goes")).at]
        })
      )
      yield* Effect.promise(() => own.command("FLUSHALL"))
      yield* eventually(
        Effect.promise(() => own.command("ZCARD", `{stratix:${namespace}}:revoked`)),
        (count) => count === 1
      )
      const later = yield* heardBy(yield* openLog(own.url, namespace))
      const revocation = yield* hears(later, "goes")
      // By the clock of Redis both times: off by what an answer takes, not by how long ago it was.
      assert.isBelow(Math.abs(revocation.at - (at ?? 0)), 60_000)
    }).pipe(Effect.scoped)
  )

  it.live("of one name count once", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const log = yield* openLog(server.url, namespace)
      const sharing = yield* Effect.fork(
        Effect.all(
          [1, 2, 3].map(() => share(log, "goes")),
          { concurrency: "unbounded" }
        )
      )
      yield* Fiber.join(sharing)
      yield* share(log, "other")
      yield* share(log, "goes")
      const remembered = yield* Effect.promise(() =>
        server.command("ZRANGE", `{stratix:${namespace}}:revoked`, "0", "-1")
      )
      assert.sameMembers(Array.isArray(remembered) ? remembered : [], ["goes", "other"])
    }).pipe(Effect.scoped)
  )
})
