/**
 * What a gateway asks of Redis: the append script and the reads of a mirror, by the keys of one namespace.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Settings } from "../../config/StatusSyncConfig.js"
import type { Epoch } from "../mirror/Epochs.js"
import * as Packed from "../mirror/Packed.js"
import type { Recorded } from "../mirror/Records.js"
import { APPEND, APPEND_SHA, FORMAT } from "./AppendScript.js"
import { type Connection, RedisFailure } from "./Connection.js"

/** Milliseconds without a call from any gateway after which no renewal can have been heard: leases do not count them. Gateways call once a second. */
const PAUSE = 3000

/** What the script did. */
export interface Answer {
  readonly epoch: string
  /** Sequence number of the newest event. */
  readonly seq: number
  /** The time of Redis, in milliseconds. */
  readonly now: number
  /** When it must be called again, if it is not before. */
  readonly nextDue: number
  /** One for each element of the batch. */
  readonly places: ReadonlyArray<string>
  readonly finishedDropped: number
  readonly keysDropped: number
  readonly leasesExpired: number
  /** Events of the log's own. */
  readonly own: number
  /** The name of the log: another after it was emptied. */
  readonly id: string
  /** How many of the events so far are the state of nothing. */
  readonly keyless: number
  /** Changes with every revocation. */
  readonly revision: number
}

/** Why the script did nothing. */
export type Refusal =
  | { readonly _tag: "Format"; readonly found: string }
  | { readonly _tag: "Settings"; readonly found: string }
  | { readonly _tag: "Late" }

/** A batch for the script. */
export interface Batch {
  /** From 1, by the writer; 0 for a call that only looks after the log. */
  readonly number: number
  /** In milliseconds of Redis; nothing is done after it. */
  readonly deadline: number | undefined
  readonly elements: ReadonlyArray<string>
}

/** What all gateways of a deployment must agree on, as text: truths of other settings would differ. */
export const agreement = (settings: Settings): string =>
  JSON.stringify({
    STRATIX_HISTORY_CAPACITY: settings.historyCapacity,
    STRATIX_HISTORY_BYTES: settings.historyBytes,
    STRATIX_LATEST_CAPACITY: settings.latestCapacity,
    STRATIX_LATEST_BYTES: settings.latestBytes,
    STRATIX_FINISHED_RETENTION: Duration.toMillis(settings.finishedRetention),
    STRATIX_FINISHED_CAPACITY: settings.finishedCapacity,
    STRATIX_REMOVAL_MARKS: settings.removalMarks,
    STRATIX_IDEMPOTENCY_RETENTION: Duration.toMillis(settings.idempotencyRetention),
    STRATIX_IDEMPOTENCY_CAPACITY: settings.idempotencyCapacity
  })

const KEYS = [
  "meta",
  "log",
  "last",
  "evict",
  "fin",
  "chain",
  "gone",
  "mark",
  "due",
  "run",
  "idem",
  "idemdue",
  "sizes",
  "gateways",
  "revoked"
]

const unexpected = (reply: unknown) =>
  new RedisFailure({ reason: "Replied", detail: `UNEXPECTED ${JSON.stringify(reply)?.slice(0, 200)}` })

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((part) => typeof part === "string")

const textsOf = (reply: unknown): Effect.Effect<ReadonlyArray<string>, RedisFailure> =>
  isTexts(reply) ? Effect.succeed(reply) : Effect.fail(unexpected(reply))

/** `XREAD` and `XRANGE` give `[id, [field, value]]`. */
const entriesOf = (reply: unknown, now: number): ReadonlyArray<Recorded> =>
  Array.isArray(reply)
    ? reply.map((item: unknown) => {
        const fields: unknown = Array.isArray(item) ? item[1] : undefined
        return Packed.unpack(String(Array.isArray(fields) ? fields[1] : ""), now)
      })
    : []

/** The commands of a writer in a namespace. */
export const make = (namespace: string, writer: string, settings: Settings) => {
  const key = (name: string) => `{stratix:${namespace}}:${name}`
  const keys = [...KEYS.map(key), key(`w:${writer}`)]
  const agreed = agreement(settings)
  const bounds = [
    settings.historyCapacity,
    settings.historyBytes,
    settings.latestCapacity,
    settings.latestBytes,
    Duration.toMillis(settings.finishedRetention),
    settings.finishedCapacity,
    settings.removalMarks,
    Duration.toMillis(settings.idempotencyRetention),
    settings.idempotencyCapacity,
    PAUSE
  ].map(String)

  const understand = (reply: ReadonlyArray<string>): Effect.Effect<Answer | Refusal, RedisFailure> => {
    const [status, epoch = "", seq, now, due, places = "", finished, latest, leases, own, id = "", keyless, revision] =
      reply
    switch (status) {
      case "ok":
        return Effect.succeed({
          epoch,
          seq: Number(seq),
          now: Number(now),
          nextDue: due === "" ? Number.POSITIVE_INFINITY : Number(due),
          places: places.split(","),
          finishedDropped: Number(finished),
          keysDropped: Number(latest),
          leasesExpired: Number(leases),
          own: Number(own),
          id,
          keyless: Number(keyless),
          revision: Number(revision)
        })
      case "format":
        return Effect.succeed({ _tag: "Format", found: epoch })
      case "settings":
        return Effect.succeed({ _tag: "Settings", found: epoch })
      case "late":
        return Effect.succeed({ _tag: "Late" })
      default:
        return Effect.fail(unexpected(reply))
    }
  }

  /** Runs the append script. `time` takes the place of Redis' own clock, for tests. */
  const append = (connection: Connection, batch: Batch, newEpoch: string, time: number | undefined) => {
    const args = [
      String(keys.length),
      ...keys,
      time === undefined ? "" : String(time),
      String(FORMAT),
      agreed,
      writer,
      String(batch.number),
      batch.deadline === undefined ? "" : String(batch.deadline),
      newEpoch,
      ...bounds,
      ...batch.elements
    ]
    return connection.send(["EVALSHA", APPEND_SHA, ...args]).pipe(
      Effect.catchIf(
        ({ code }) => code === "NOSCRIPT",
        () => connection.send(["EVAL", APPEND, ...args])
      ),
      Effect.flatMap(textsOf),
      Effect.flatMap(understand)
    )
  }

  const epochs = (connection: Connection): Effect.Effect<ReadonlyArray<Epoch>, RedisFailure> =>
    connection.send(["ZRANGE", key("chain"), "0", "-1", "WITHSCORES"]).pipe(
      Effect.flatMap(textsOf),
      Effect.map((flat) =>
        flat.flatMap((member, i) =>
          i % 2 === 0 ? [{ epoch: member.slice(member.indexOf(":") + 1), start: Number(flat[i + 1]) }] : []
        )
      )
    )

  /** Everything after an id, at most so many events; empty if nothing comes within the time. */
  const read = (connection: Connection, id: string, count: number, blockMillis: number, now: () => number) =>
    connection
      .send(
        ["XREAD", "COUNT", String(count), "BLOCK", String(blockMillis), "STREAMS", key("log"), id],
        Duration.sum("2 seconds", Duration.millis(blockMillis))
      )
      .pipe(
        Effect.map((reply) => {
          const stream: unknown = Array.isArray(reply) ? reply[0] : undefined
          return entriesOf(Array.isArray(stream) ? stream[1] : undefined, now())
        })
      )

  /** Events by their sequence numbers, both ends included. */
  const range = (connection: Connection, from: string, to: number, count: number, now: number) =>
    connection
      .send(["XRANGE", key("log"), from, String(to), "COUNT", String(count)])
      .pipe(Effect.map((reply) => entriesOf(reply, now)))

  /** All values of a hash, page by page, some of them twice. */
  const scan = (
    connection: Connection,
    name: string,
    onValue: (value: string) => void
  ): Effect.Effect<void, RedisFailure> =>
    Effect.iterate("", {
      while: (cursor) => cursor !== "0",
      body: (cursor) =>
        Effect.flatMap(
          connection.send(["HSCAN", key(name), cursor === "" ? "0" : cursor, "COUNT", "1000"]),
          (reply) => {
            const [next, flat]: ReadonlyArray<unknown> = Array.isArray(reply) ? reply : []
            if (typeof next !== "string" || !isTexts(flat)) return Effect.fail(unexpected(reply))
            for (let i = 1; i < flat.length; i += 2) onValue(flat[i] ?? "")
            return Effect.succeed(next)
          }
        )
    })

  /** Sequence number of the newest removal that is not remembered. */
  const forgotten = (connection: Connection) =>
    Effect.map(connection.send(["HGET", key("meta"), "forgotten"]), (value) => Number(value ?? 0))

  /** Names that are remembered as revoked, oldest first, and when, in milliseconds of Redis. */
  const revoked = (connection: Connection) =>
    connection.send(["ZRANGE", key("revoked"), "0", "-1", "WITHSCORES"]).pipe(
      Effect.flatMap(textsOf),
      Effect.map((flat) => flat.flatMap((name, i) => (i % 2 === 0 ? [{ name, at: Number(flat[i + 1]) }] : [])))
    )

  return { key, agreed, append, epochs, read, range, scan, forgotten, revoked }
}

/** @see make */
export type Commands = ReturnType<typeof make>
