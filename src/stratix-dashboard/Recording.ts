/** A file of `stratix-status-sync record`, to look at what was so at each moment of it. */

import { parse } from "../stratix-client/Message.js"
import type { StatusEvent, StatusState } from "../stratix-client/StatusClient.js"
import { makeFold } from "../stratix-client/StatusState.js"

interface Entry {
  /** Milliseconds since the recording began. */
  readonly at: number
  readonly event: StatusEvent
}

/** A recording. */
export interface Recording {
  /** When it began, in milliseconds since the Unix epoch. */
  readonly startedAt: number
  /** When its last event arrived, in milliseconds after its begin. */
  readonly length: number
  /** What was so at that many milliseconds after its begin. */
  readonly stateAt: (at: number) => StatusState
}

const isHeader = (value: unknown): value is { readonly startedAt: number } =>
  typeof value === "object" &&
  value !== null &&
  "format" in value &&
  value.format === "stratix-recording" &&
  "startedAt" in value &&
  typeof value.startedAt === "number"

const entryOf = (line: string): Entry | undefined => {
  const value: unknown = JSON.parse(line)
  if (typeof value !== "object" || value === null || !("at" in value) || !("event" in value)) return undefined
  const event = parse(JSON.stringify(value.event))
  return typeof value.at === "number" && event !== undefined ? { at: value.at, event } : undefined
}

/** The recording in a file; `undefined` where it is none. */
export const read = (text: string): Recording | undefined => {
  try {
    const [first = "", ...lines] = text.split("\n")
    const header: unknown = JSON.parse(first)
    if (!isHeader(header)) return undefined
    const entries = lines.filter((line) => line !== "").flatMap((line) => entryOf(line) ?? [])
    let fold = makeFold(() => {})
    let next = 0
    return {
      startedAt: header.startedAt,
      length: entries.at(-1)?.at ?? 0,
      stateAt: (at) => {
        const done = entries[next - 1]
        // Events cannot be taken back: what was before is folded anew.
        if (done !== undefined && done.at > at) {
          fold = makeFold(() => {})
          next = 0
        }
        for (let entry = entries[next]; entry !== undefined && entry.at <= at; entry = entries[++next]) {
          fold.apply(entry.event)
        }
        return fold.state()
      }
    }
  } catch {
    return undefined
  }
}
