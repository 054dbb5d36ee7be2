/**
 * The file that `record` writes and `replay` reads: JSON, one object a line, the first one a header.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Timestamp } from "../stratix-core/stratix-protocol.js"

/** The first line. */
export const Header = Schema.Struct({
  format: Schema.Literal("stratix-recording"),
  version: Schema.Literal(1),
  /** The address of the gateway, without secrets. */
  url: Schema.String,
  startedAt: Timestamp
})
export type Header = typeof Header.Type

/** A year in milliseconds: no recording goes on for longer, and a replay must not wait for ever for a slip of the pen. */
const LATEST = 31_536_000_000

/** Every other line: `at` is when the event arrived, in milliseconds since the recording began. */
export const Entry = Schema.Struct({
  at: Schema.Number.pipe(Schema.between(0, LATEST)),
  event: Schema.Struct({
    eventType: Schema.String,
    payload: Schema.Unknown,
    timestamp: Schema.Number,
    requestId: Schema.String
  })
})
export type Entry = typeof Entry.Type

const decodeHeader = Schema.decodeEither(Schema.parseJson(Header))
const decodeEntry = Schema.decodeEither(Schema.parseJson(Entry), { onExcessProperty: "ignore" })

export const parseHeader = (line: string): Either.Either<Header, string> =>
  Either.mapLeft(
    decodeHeader(line),
    () => 'its first line must be a header like {"format":"stratix-recording","version":1,"url":"ws://…","startedAt":0}'
  )

export const parseEntry = (line: string): Either.Either<Entry, string> =>
  Either.mapLeft(
    decodeEntry(line),
    () =>
      `must be like {"at":0,"event":{"eventType","payload","timestamp","requestId"}}, with "at" in milliseconds up to a year`
  )

export const headerLine = ({ startedAt, url }: Pick<Header, "startedAt" | "url">): string =>
  `${JSON.stringify({ format: "stratix-recording", version: 1, url, startedAt } satisfies Header)}\n`

/** The four fields of an event, in their order on the wire. */
export const entryLine = (at: number, { eventType, payload, requestId, timestamp }: Entry["event"]): string =>
  `${JSON.stringify({ at, event: { eventType, payload, timestamp, requestId } })}\n`
