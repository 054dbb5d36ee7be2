/**
 * `GET /api/stratix/history`: what happened lately, as far as the history of this gateway still has it.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as EventLog from "../../../log/EventLog.js"
import * as EventLoop from "../../../runtime/EventLoop.js"
import * as Problem from "../Problem.js"
import { MAX_LIMIT } from "./QueryParameters.js"
import * as ReadQuery from "./ReadQuery.js"

/** Events where no limit is asked for: more than a screen shows of one agent. */
const DEFAULT_LIMIT = 100

/** Characters of events in one answer, but for one event that is longer: made in some milliseconds. */
const MAX_CHARACTERS = 1024 * 1024

/** Events looked at between two looks at the time that it takes. */
const LOOKED_AT = 256

interface Range {
  readonly limit: number
  readonly since: string | undefined
  readonly until: string | undefined
}

const rangeOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<Range, HttpServerResponse.HttpServerResponse> => {
  const query = new URLSearchParams(ReadQuery.queryOf(request))
  const asked = query.get("limit")
  const limit = asked === null ? DEFAULT_LIMIT : Number(asked)
  return asked === "" || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT
    ? Effect.fail(ReadQuery.malformed(`"limit" must be a whole number from 1 to ${MAX_LIMIT}`))
    : Effect.succeed({ limit, since: query.get("since") ?? undefined, until: query.get("until") ?? undefined })
}

/** Answers a request for the history: read backwards from the newest event, so that its cost does not depend on how much came before. */
export const respond = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const filter = yield* ReadQuery.filterOf(request)
    const { limit, since, until } = yield* rangeOf(request)
    const log = yield* EventLog.EventLog
    const { index: newest, offset: head } = log.head()
    const epoch = log.id
    const texts: Array<string> = []
    let characters = 0
    let hasMore = false
    // An `until` that is not there any more, or never was: whatever was before it is not there either.
    let isBefore = until === undefined
    for (let index = newest; ; index--) {
      if ((newest - index) % LOOKED_AT === 0) yield* EventLoop.step
      const entry = log.at(index)
      if (entry === undefined || entry.offset === since) break
      if (!isBefore) {
        isBefore = entry.offset === until
        continue
      }
      const told = EventLog.toldOf(entry, filter)
      if (told === undefined) continue
      const text = EventLog.withOffset(told)
      if (texts.length === limit || (texts.length > 0 && characters + text.length > MAX_CHARACTERS)) {
        hasMore = true
        break
      }
      characters += text.length
      texts.push(text)
    }
    const oldest = log.at()
    const begins =
      oldest === undefined
        ? ""
        : `"begins":${JSON.stringify({ offset: oldest.offset, timestamp: oldest.stamp.timestamp })},`
    return HttpServerResponse.text(
      `{"epoch":${JSON.stringify(epoch)},"head":${JSON.stringify(head)},${begins}"events":[${texts.reverse().join()}]${hasMore ? ',"more":true' : ""}}`,
      { contentType: "application/json", headers: { "cache-control": "no-store" } }
    )
  }).pipe(Problem.answered)
