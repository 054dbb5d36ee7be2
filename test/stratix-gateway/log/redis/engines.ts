import { Effect, Exit, type Scope } from "effect"
import type { EventLog } from "../../../../src/stratix-gateway/index.js"
import { type Options, RedisServer } from "../../support/redis.js"
import { eventually, type Log } from "../../support/redisLogs.js"
import { Wire } from "../../support/wire.js"

/** Appends fail soon. */
export const hasty = { eventLogTimeout: "1 second" } as const

export const redis = (options: Options = {}): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => RedisServer.start(options)),
    (server) => Effect.promise(() => server.end())
  )

export const wireTo = (...servers: ReadonlyArray<RedisServer>): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => Wire.open(...servers.map(({ port }) => port))),
    (wire) => Effect.promise(() => wire.close())
  )

export const command = (server: RedisServer, ...args: ReadonlyArray<string>) =>
  Effect.promise(() => server.command(...args))

/** Appends until the log takes it. */
export const insist = (log: Log, ...args: Parameters<Log["append"]>) =>
  Effect.map(eventually(Effect.exit(log.append(...args)), Exit.isSuccess), (exit) =>
    Exit.isSuccess(exit) ? exit.value : []
  )

/** The reason for which an append fails. */
export const refusal = (log: Log, ...args: Parameters<Log["append"]>): Effect.Effect<string> =>
  Effect.match(log.append(...args), {
    onFailure: ({ reason }: EventLog.EventLogError) => reason,
    onSuccess: () => "ok"
  })

export const rebuilt = (log: Log, times = 1) =>
  eventually(
    Effect.sync(() => log.health()),
    ({ rebuilds, staleMillis }) => rebuilds >= times && staleMillis === 0
  )

export const inTouch = (log: Log) =>
  eventually(
    Effect.sync(() => log.health().staleMillis),
    (stale) => stale === 0
  )

/** Waits until a replica has all that its primary has. */
export const replicated = (primary: RedisServer, replica: RedisServer) =>
  eventually(
    Effect.all([command(primary, "INFO", "replication"), command(replica, "INFO", "replication")]),
    ([one, other]) =>
      /master_link_status:up/.test(String(other)) &&
      /master_repl_offset:(\d+)/.exec(String(one))?.[1] === /slave_repl_offset:(\d+)/.exec(String(other))?.[1]
  )
