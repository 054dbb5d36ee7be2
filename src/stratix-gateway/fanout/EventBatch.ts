/**
 * Events as the connections of a group get them. Sync clients get many in one message: a browser pays tens of µs for a message whatever it holds.
 */
import { EVENTS } from "../../stratix-core/stratix-protocol.js"
import { type LogEntry, withOffset } from "../log/EventLog.js"
import type { Stamp } from "../log/Stamps.js"
import * as Form from "../transport/Form.js"
import * as Frame from "../transport/Frame.js"

/** Characters of events in one message: parsed in about 1 ms, and more than a step of a catch-up. One event that is longer travels alone. */
const MAX_CHARACTERS = 128 * 1024

/** Events in one message: with 50 µs of handlers for each, a page stands still for 26 ms, half of what a person notices. */
const MAX_EVENTS = 512

/** What all groups share in the messages of one flush. */
export interface Shared {
  readonly now: number
  readonly stampOf: (index: number) => Stamp
  /** A text in a compressed frame. */
  readonly compress: (text: string) => Buffer
}

/** The bytes of events, in their order, after those `before` them. */
export type Encode = (entries: ReadonlyArray<LogEntry>, shared: Shared, before?: Buffer) => Buffer

/** Characters of events. */
export const size = (entries: ReadonlyArray<LogEntry>): number => {
  let characters = 0
  for (const { json } of entries) characters += json.length
  return characters
}

/** Events in groups that each fit into one message. */
const split = (entries: ReadonlyArray<LogEntry>): ReadonlyArray<ReadonlyArray<string>> => {
  const batches: Array<Array<string>> = []
  let batch: Array<string> = []
  let characters = 0
  for (const entry of entries) {
    const text = withOffset(entry)
    if (batch.length > 0 && (batch.length === MAX_EVENTS || characters + text.length > MAX_CHARACTERS)) {
      batches.push(batch)
      batch = []
      characters = 0
    }
    batch.push(text)
    characters += text.length
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

/** The messages that carry the events. `stampOf` stamps them by their number, from 0. */
const batches = (entries: ReadonlyArray<LogEntry>, { now, stampOf }: Shared): ReadonlyArray<string> =>
  split(entries).map((texts, index) => {
    const { requestId, timestamp } = stampOf(index)
    return `{"eventType":"${EVENTS}","payload":{"events":[${texts.join(",")}]},"timestamp":${timestamp},"requestId":"${requestId}","sentAt":${now}}`
  })

const single = (entries: ReadonlyArray<LogEntry>): ReadonlyArray<string> => entries.map((entry) => entry.json)

const NOTHING = Buffer.alloc(0)

const inFrames =
  (textsOf: typeof batches): Encode =>
  (entries, shared, before) =>
    Frame.texts(textsOf(entries, shared), before)

const deflated =
  (textsOf: typeof batches): Encode =>
  (entries, shared, before = NOTHING) =>
    Buffer.concat([before, ...textsOf(entries, shared).map(shared.compress)])

const inStream: Encode = (entries, { now }, before = NOTHING) =>
  Buffer.concat([
    before,
    Buffer.from(
      Form.streamSentAt(now) + entries.map((entry) => Form.streamEvent(entry.offset, withOffset(entry))).join("")
    )
  ])

/** How events are encoded in each form, for plain clients and for sync clients. In a stream every event is a message, because its offset must be the message's id. */
export const encoders: {
  readonly [Name in Form.Form["name"]]: { readonly plain: Encode; readonly sync: Encode }
} = {
  frames: { plain: inFrames(single), sync: inFrames(batches) },
  deflated: { plain: deflated(single), sync: deflated(batches) },
  stream: { plain: inStream, sync: inStream }
}

/** Encodes for the groups of one flush. Groups that get one and the same event share its bytes: filters of many agents overlap. */
export const forFlush = (
  now: number,
  nextStamp: () => Stamp,
  compress: Shared["compress"]
): ((encode: Encode, entries: ReadonlyArray<LogEntry>) => Buffer) => {
  const stamps: Array<Stamp> = []
  const shared: Shared = {
    now,
    // The n-th message of a flush is stamped the same for every group, so that equal messages are compressed once.
    stampOf: (index) => {
      stamps[index] ??= nextStamp()
      return stamps[index]
    },
    compress
  }
  // Bound: the events of the flush, in each form.
  const singles = new Map<Encode, Map<LogEntry, Buffer>>()
  return (encode, entries) => {
    const [only] = entries
    if (only === undefined || entries.length > 1) return encode(entries, shared)
    const known = singles.get(encode) ?? new Map<LogEntry, Buffer>()
    singles.set(encode, known)
    const bytes = known.get(only) ?? encode(entries, shared)
    known.set(only, bytes)
    return bytes
  }
}
