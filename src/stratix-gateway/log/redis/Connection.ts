/**
 * Connections to Redis. One that is lost stays lost: the next attempt is a fresh client, so that no command is ever sent twice unasked.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address, HostAndPort } from "./Address.js"

/** Why a command has no answer. `Lost`: whether it was executed is unknown. `Replied`: it was not, says Redis. */
export class RedisFailure extends Data.TaggedError("RedisFailure")<{
  readonly reason: "Lost" | "Replied"
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
  /** The first word of an error reply, as in `READONLY`. */
  get code(): string {
    return this.reason === "Replied" ? (this.detail.split(" ", 1)[0] ?? "") : ""
  }
}

/** Time for Redis to answer anything but a blocking read: a stopped one is noticed after that. */
export const PATIENCE: Duration.DurationInput = "2 seconds"

/** A connection to one Redis. */
export interface Connection {
  readonly send: (
    args: ReadonlyArray<string>,
    patience?: Duration.DurationInput
  ) => Effect.Effect<unknown, RedisFailure>
  /** Fails once the connection is lost. */
  readonly lost: Effect.Effect<never, RedisFailure>
}

const detailOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error))

const lost = (error: unknown) => new RedisFailure({ reason: "Lost", detail: detailOf(error) })

/** The client is loaded only where Redis is used: it is an optional peer dependency. */
const loadClient = Effect.tryPromise({
  try: () => import("@redis/client"),
  catch: () =>
    new RedisFailure({
      reason: "Replied",
      detail: "NOCLIENT the package @redis/client is not installed: npm install @redis/client@6"
    })
})

/** What an endpoint needs besides host and port. */
type Login = Pick<Address, "tls" | "username" | "password" | "database">

const openTo = (
  { host, port }: HostAndPort,
  { database, password, tls, username }: Login
): Effect.Effect<Connection, RedisFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { createClient, ErrorReply } = yield* loadClient
    const end = yield* Deferred.make<never, RedisFailure>()
    const socket = { host, port, reconnectStrategy: false as const, connectTimeout: 2000 }
    const client = createClient({
      RESP: 2,
      socket: tls ? { ...socket, tls: true, servername: host } : socket,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      database,
      disableOfflineQueue: true
    })
    const onEnd = (error?: unknown) => {
      Deferred.unsafeDone(end, Effect.fail(lost(error ?? "the connection was closed")))
    }
    client.on("error", onEnd)
    client.on("end", onEnd)
    yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
    const failureOf = (error: unknown) =>
      error instanceof ErrorReply ? new RedisFailure({ reason: "Replied", detail: error.message }) : lost(error)
    const inTime =
      (patience: Duration.DurationInput) =>
      <A>(effect: Effect.Effect<A, RedisFailure>) =>
        Effect.timeoutFail(effect, {
          duration: patience,
          onTimeout: () => lost(`no answer in ${Duration.format(patience)}`)
        })
    yield* inTime(PATIENCE)(Effect.tryPromise({ try: () => client.connect(), catch: failureOf }))
    return {
      send: (args, patience = PATIENCE) =>
        inTime(patience)(Effect.tryPromise({ try: () => client.sendCommand(args), catch: failureOf })),
      lost: Deferred.await(end)
    }
  })

const isPair = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string")

/** The Redis that the first Sentinel to answer names. */
const masterOf = (address: Address, name: string): Effect.Effect<HostAndPort, RedisFailure> =>
  Effect.firstSuccessOf(
    address.hosts.map((host) =>
      Effect.scoped(
        openTo(host, { tls: address.tls, username: undefined, password: undefined, database: 0 }).pipe(
          Effect.flatMap((sentinel) => sentinel.send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name])),
          Effect.filterOrFail(isPair, () => lost(`a Sentinel does not know ${name}`)),
          Effect.map(([found, port]) => ({ host: found, port: Number(port) }))
        )
      )
    )
  )

/** The Redis that takes writes now. */
export interface Primary {
  /** Opens a connection to it. */
  readonly connect: Effect.Effect<Connection, RedisFailure, Scope.Scope>
  /** Fails unless it still takes writes, as it says itself, and as its Sentinels say where there are some that answer. */
  readonly check: (connection: Connection) => Effect.Effect<void, RedisFailure>
}

/** Finds it. */
export const find = (address: Address): Effect.Effect<Primary, RedisFailure> =>
  Effect.gen(function* () {
    const { hosts, master } = address
    const host = master === undefined ? hosts[0] : yield* masterOf(address, master)
    if (host === undefined) return yield* lost("no host")
    // A replica serves what it has, and falls behind for ever if it was cut off: it is no log.
    const role = (connection: Connection) =>
      Effect.filterOrFail(
        connection.send(["ROLE"]),
        (said) => Array.isArray(said) && said[0] === "master",
        () => lost(`${host.host}:${host.port} is a replica`)
      )
    const isNamed =
      master === undefined
        ? Effect.succeed(true)
        : // Sentinels that are away do not say that it is another.
          Effect.orElseSucceed(
            Effect.map(masterOf(address, master), (named) => named.host === host.host && named.port === host.port),
            () => true
          )
    return {
      connect: Effect.tap(openTo(host, address), role),
      check: (connection) =>
        Effect.zipRight(
          role(connection),
          Effect.filterOrFail(
            isNamed,
            (same) => same,
            () => lost(`the Sentinels name another primary than ${host.host}:${host.port}`)
          )
        )
    }
  })
