/**
 * Many events in one message, as sync clients get them: a browser pays tens of µs for a message whatever it holds.
 */
import { EVENTS } from "../../stratix-core/stratix-protocol.js"
import { type LogEntry, withOffset } from "../log/EventLog.js"
import type { Stamp } from "../log/Stamps.js"

/** Characters of events in one message: parsed in about 1 ms. One event that is longer travels alone. */
const MAX_CHARACTERS = 64 * 1024

/** Events in one message: with 50 µs of handlers for each, a page stands still for 26 ms, half of what a person notices. */
const MAX_EVENTS = 512

/** What all groups share in the messages of one flush. */
export interface Shared {
  readonly now: number
  readonly stampOf: (index: number) => Stamp
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

/** The messages that carry the events, in their order. `stampOf` stamps them by their number, from 0. */
export const messagesOf = (
  entries: ReadonlyArray<LogEntry>,
  stampOf: (index: number) => Stamp,
  sentAt: number
): ReadonlyArray<string> =>
  split(entries).map((texts, index) => {
    const { requestId, timestamp } = stampOf(index)
    return `{"eventType":"${EVENTS}","payload":{"events":[${texts.join(",")}]},"timestamp":${timestamp},"requestId":"${requestId}","sentAt":${sentAt}}`
  })
