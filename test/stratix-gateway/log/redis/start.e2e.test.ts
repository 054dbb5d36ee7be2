import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber } from "effect"
import { StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import * as Address from "../../../../src/stratix-gateway/log/redis/Address.js"
import * as Checks from "../../../../src/stratix-gateway/log/redis/Checks.js"
import * as Commands from "../../../../src/stratix-gateway/log/redis/Commands.js"
import * as Connection from "../../../../src/stratix-gateway/log/redis/Connection.js"
import * as Wire from "../../../../src/stratix-gateway/log/redis/Wire.js"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import { recorded } from "../../support/gateway.js"
import { RedisServer } from "../../support/redis.js"
import { eventually, newNamespace, openLog, patient } from "../../support/redisLogs.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

describe("the address of a Redis", () => {
  it("is read from a URL, and never shows its password", () => {
    const address = Either.getOrThrow(Address.parse("rediss://us%40er:p%3Aw:x@redis.internal:7000/3"))
    assert.deepStrictEqual(address, {
      hosts: [{ host: "redis.internal", port: 7000 }],
      master: undefined,
      tls: true,
      username: "us@er",
      password: "p:w:x",
      database: 3
    })
    assert.strictEqual(Address.describe(address), "Redis at redis.internal:7000")
  })

  it("may be that of Sentinels, and has the usual ports", () => {
    const address = Either.getOrThrow(Address.parse("redis+sentinel://:pw@one,two:5000,[::1]/main/2"))
    assert.deepInclude(address, {
      hosts: [
        { host: "one", port: 26379 },
        { host: "two", port: 5000 },
        { host: "::1", port: 26379 }
      ],
      master: "main",
      password: "pw",
      database: 2
    })
    assert.strictEqual(Either.getOrThrow(Address.parse("redis://localhost")).hosts[0]?.port, 6379)
  })

  it("is refused where it is none, without a word of what it is", () => {
    for (const url of [
      "redis://a,b",
      "redis://user:secret@host:99999999",
      "redis://host/x",
      "redis+sentinel://host",
      "http://host"
    ]) {
      const parsed = Address.parse(url)
      assert.isTrue(Either.isLeft(parsed), url)
      assert.notInclude(JSON.stringify(parsed), "secret")
    }
  })
})

const failure = (settings: Partial<StatusSyncConfig.Settings>, namespace = newNamespace()) =>
  Effect.scoped(Effect.flip(openLog(server.url, namespace, settings)))

describe("a gateway does not start", () => {
  it.live("on a Redis that evicts", () =>
    Effect.gen(function* () {
      yield* Effect.promise(() => server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
      const lines: Array<string> = []
      const error = yield* openLog(server.url, newNamespace(), patient, recorded(lines)).pipe(
        Effect.flip,
        Effect.scoped
      )
      yield* Effect.promise(() => server.command("CONFIG", "SET", "maxmemory-policy", "noeviction"))
      assert.include(error.message, "maxmemory-policy is allkeys-lru")
      // Nothing is tried again: the program ends, and says why.
      assert.deepStrictEqual(lines, [])
    })
  )

  it.live("with other bounds than those of the gateways that are running, and does with theirs", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      yield* openLog(server.url, namespace)
      const error = yield* failure({ ...patient, latestCapacity: 5 }, namespace)
      assert.include(error.message, '"STRATIX_LATEST_CAPACITY":5')
      assert.include(error.message, '"STRATIX_LATEST_CAPACITY":100000')
      yield* openLog(server.url, namespace)
    }).pipe(Effect.scoped)
  )

  it.live("on a log of another format", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      yield* Effect.promise(() => server.command("HSET", `{stratix:${namespace}}:meta`, "format", "999"))
      assert.include((yield* failure(patient, namespace)).message, "format 999")
    })
  )

  const info = (lines: Readonly<Record<string, string>>): Connection.Connection => ({
    send: ([name]) =>
      Effect.succeed(
        name === "INFO"
          ? Object.entries(lines)
              .map(([key, value]) => `${key}:${value}`)
              .join("\r\n")
          : ["save", ""]
      ),
    lost: Effect.never
  })

  it.effect("on one that is too old, or a cluster", () =>
    Effect.gen(function* () {
      const old = yield* Checks.look(info({ redis_version: "6.2.14", cluster_enabled: "1" }))
      assert.lengthOf(old.refusals, 2)
      assert.include(old.refusals[0], "version 6.2.14")
      const valkey = yield* Checks.look(
        info({ server_name: "valkey", valkey_version: "8.1.0", redis_version: "7.2.4", aof_enabled: "1" })
      )
      assert.deepStrictEqual(valkey, { refusals: [], warnings: [], engine: "Valkey 8.1.0" })
    })
  )
})

describe("a gateway that starts", () => {
  it.live("warns of a Redis that keeps nothing", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      yield* openLog(server.url, newNamespace(), patient, recorded(lines))
      assert.isTrue(lines.some((line) => line.includes("WARN") && line.includes("persistence is off")))
    }).pipe(Effect.scoped)
  )

  it.live("waits for a Redis that is not there yet, and says so", () =>
    Effect.gen(function* () {
      const late = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start()),
        (one) => Effect.promise(() => one.end())
      )
      yield* Effect.promise(() => late.kill())
      const lines: Array<string> = []
      const starting = yield* Effect.fork(openLog(late.url, newNamespace(), patient, recorded(lines)))
      yield* eventually(
        Effect.sync(() => lines),
        (said) => said.some((line) => line.includes("does not answer"))
      )
      yield* Effect.promise(() => late.run())
      const log = yield* Fiber.join(starting)
      assert.lengthOf(yield* log.append([agent("a")]), 1)
    }).pipe(Effect.scoped)
  )
})

describe("a batch", () => {
  it.live("that is sent again under its number has the places of the first time, however late", () =>
    Effect.gen(function* () {
      const commands = Commands.make(newNamespace(), "writer", StatusSyncConfig.defaults)
      const { connect } = yield* Connection.find(Either.getOrThrow(Address.parse(server.url)))
      const connection = yield* connect
      const elements = ["", "2", ...[agent("a"), note()].flatMap(Wire.argumentsOf)]
      const send = (number: number, deadline?: number) =>
        commands.append(connection, { number, deadline, elements }, "epoch", undefined)
      const first = yield* send(1)
      assert.deepInclude(first, { seq: 2, places: ["epoch 0 0 01"] })
      assert.deepInclude(yield* send(1, 0), { seq: 2, places: ["epoch 0 0 01"] })
      assert.deepStrictEqual(yield* send(2, 0), { _tag: "Late" })
      assert.deepInclude(yield* send(3), { seq: 4, places: ["epoch 2 1 01"] })
    }).pipe(Effect.scoped)
  )
})
