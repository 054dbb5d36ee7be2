/**
 * What a Redis must be to hold the log.
 */
import * as Effect from "effect/Effect"
import type { Connection, RedisFailure } from "./Connection.js"

/** The oldest major version whose scripts refuse before they start where memory is full. */
const OLDEST = 7

/** What was found. */
export interface Findings {
  /** Reasons not to use it. */
  readonly refusals: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  /** As in `Redis 7.0.15`. */
  readonly engine: string
}

const fieldsOf = (info: unknown): ReadonlyMap<string, string> =>
  new Map(
    String(info)
      .split("\r\n")
      .flatMap((line) => {
        const cut = line.indexOf(":")
        return cut === -1 ? [] : [[line.slice(0, cut), line.slice(cut + 1)] as const]
      })
  )

/** Looks at the engine. A managed one may not allow `CONFIG`; then what only that tells is not known. */
export const look = (connection: Connection): Effect.Effect<Findings, RedisFailure> =>
  Effect.gen(function* () {
    const info = fieldsOf(yield* connection.send(["INFO"]))
    const save = yield* Effect.orElseSucceed(connection.send(["CONFIG", "GET", "save"]), () => undefined)
    const isValkey = info.get("server_name") === "valkey"
    const version = (isValkey ? info.get("valkey_version") : undefined) ?? info.get("redis_version") ?? "unknown"
    const policy = info.get("maxmemory_policy") ?? "noeviction"
    const refusals: Array<string> = []
    if (!(Number.parseInt(version, 10) >= OLDEST))
      refusals.push(`it is version ${version}, and the log needs ${OLDEST} or newer`)
    if (policy !== "noeviction")
      refusals.push(`its maxmemory-policy is ${policy}, which drops parts of the log: set it to noeviction`)
    if (info.get("cluster_enabled") === "1") refusals.push("it is a Redis Cluster: the log needs a single primary")
    const hasAof = info.get("aof_enabled") === "1"
    const hasSnapshots = Array.isArray(save) && String(save[1] ?? "") !== ""
    const warnings = hasAof
      ? []
      : [
          hasSnapshots
            ? "appendonly is off: a restart of Redis loses what was published since its last snapshot"
            : "persistence is off: a restart of Redis loses everything"
        ]
    return { refusals, warnings, engine: `${isValkey ? "Valkey" : "Redis"} ${version}` }
  })
