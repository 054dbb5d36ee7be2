import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { createClient } from "@redis/client"
import { Effect, Exit, type Scope } from "effect"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import { RedisServer } from "../../support/redis.js"
import { eventually, newNamespace, openLog, Reader, stateOf } from "../../support/redisLogs.js"
import { startProgram } from "../../support/standAlone.js"

/** Milliseconds for tests that wait for Sentinel's own periods, on a machine that does much else. */
const PATIENCE = 180_000

const redis = (...args: ReadonlyArray<string>): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => RedisServer.start({ args })),
    (server) => Effect.promise(() => server.end())
  )

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** A Sentinel that finds a primary down after half a second, and decides alone. */
const sentinel = (primary: RedisServer) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "stratix-sentinel-"))
      const port = await freePort()
      const file = join(folder, "sentinel.conf")
      const lines = [
        `port ${port}`,
        "bind 127.0.0.1",
        `dir ${folder}`,
        `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 5000"
      ]
      await writeFile(file, lines.join("\n"))
      const program = startProgram("redis-server", [file, "--sentinel"], {})
      await program.prints(/Sentinel ID is/)
      return { program, folder, port }
    }),
    ({ folder, program }) =>
      Effect.promise(async () => {
        program.child.kill("SIGKILL")
        await program.ended
        await rm(folder, { recursive: true, force: true })
      })
  )

const ask = (port: number, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } })
    client.on("error", () => undefined)
    await client.connect()
    try {
      return await client.sendCommand(args)
    } finally {
      client.destroy()
    }
  })

const insist = (log: Effect.Effect.Success<ReturnType<typeof openLog>>, n: number) =>
  eventually(Effect.exit(log.append([note(n)])), Exit.isSuccess)

describe("a Redis that Sentinels name", () => {
  it.live(
    "the primary is killed: the gateway goes on at the replica, with nothing lost, and readers resume",
    () =>
      Effect.gen(function* () {
        const primary = yield* redis()
        const replica = yield* redis("--replicaof", "127.0.0.1", String(primary.port))
        const { port } = yield* sentinel(primary)
        const log = yield* openLog(`redis+sentinel://127.0.0.1:${port}/main`, newNamespace())
        const reader = new Reader()
        yield* log.append([agent("a"), agent("b")])
        yield* reader.read(log)
        yield* log.append([agent("c"), note(1)])
        // Known to the Sentinel, and with all that its primary has: only then can it take over without a loss.
        yield* eventually(ask(port, "SENTINEL", "REPLICAS", "main"), (said) => Array.isArray(said) && said.length === 1)
        yield* eventually(
          Effect.all([ask(primary.port, "INFO", "replication"), ask(replica.port, "INFO", "replication")]),
          ([one, other]) =>
            /master_link_status:up/.test(String(other)) &&
            /master_repl_offset:(\d+)/.exec(String(one))?.[1] === /slave_repl_offset:(\d+)/.exec(String(other))?.[1]
        )
        yield* Effect.promise(() => primary.kill())
        yield* insist(log, 2)
        yield* eventually(ask(replica.port, "ROLE"), (role) => Array.isArray(role) && role[0] === "master")
        yield* reader.read(log)
        assert.deepStrictEqual(reader.modes, ["snapshot", "resume"])
        assert.strictEqual(reader.lost, 0)
        assert.deepStrictEqual([...reader.state.keys()], ["agent:a", "agent:b", "agent:c"])
        assert.deepStrictEqual(reader.state, yield* stateOf(log))
        assert.strictEqual(log.health().rebuilds, 0)
      }).pipe(Effect.scoped),
    PATIENCE
  )

  it.live(
    "the Sentinels name another primary, and the old one goes on answering: the gateway leaves it",
    () =>
      Effect.gen(function* () {
        const [old, other] = yield* Effect.all([redis(), redis()])
        const { port } = yield* sentinel(old)
        const log = yield* openLog(`redis+sentinel://127.0.0.1:${port}/main`, newNamespace())
        yield* log.append([agent("a")])
        yield* ask(port, "SENTINEL", "REMOVE", "main")
        yield* ask(port, "SENTINEL", "MONITOR", "main", "127.0.0.1", String(other.port), "1")
        yield* eventually(
          Effect.sync(() => log.health()),
          ({ rebuilds, staleMillis }) => rebuilds === 1 && staleMillis === 0
        )
        yield* insist(log, 1)
        assert.strictEqual((yield* stateOf(log)).size, 0)
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
