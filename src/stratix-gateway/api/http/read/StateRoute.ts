/**
 * `GET /api/stratix/state`: the newest event of every key, compressed where the client takes it, and not at all where it has it already.
 */
import { createHash } from "node:crypto"
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as EventLog from "../../../log/EventLog.js"
import type * as Filter from "../../../log/Filter.js"
import * as Problem from "../Problem.js"
import * as ReadQuery from "./ReadQuery.js"
import * as StateSnapshots from "./StateSnapshots.js"

/** Of the state: how long, in milliseconds, the log has been out of reach. Absent while it is not. */
const STALE_HEADER = "stratix-stale-ms"

/** What the answer depends on besides the URL. */
const VARY = "Authorization, Cookie, Accept-Encoding"

/** Added to what middleware around the route says of the same: CORS sets the header anew. */
const varying = HttpApp.appendPreResponseHandler((_request, response) => {
  const { vary } = response.headers
  return Effect.succeed(HttpServerResponse.setHeader(response, "vary", vary === undefined ? VARY : `${VARY}, ${vary}`))
})

/** Whether gzip is among the encodings that a client takes. */
const takesGzip = (accepted = ""): boolean => {
  const weights = new Map(
    accepted.split(",").map((item) => {
      const [name = "", weight = ""] = item
        .trim()
        .toLowerCase()
        .split(/\s*;\s*q=/)
      return [name, weight === "" ? 1 : Number(weight)]
    })
  )
  return (weights.get("gzip") ?? weights.get("*") ?? 0) > 0
}

/** Names the state at one place in the log, under one filter, in one encoding. Weak: another version of zlib makes other bytes of it. */
const etagOf = (head: string, { key }: Filter.Filter, gzip: boolean): string =>
  `W/"${createHash("sha256")
    .update(JSON.stringify([head, key, gzip]))
    .digest("base64url")}"`

const isKnown = (known: string | undefined, etag: string): boolean =>
  known !== undefined && (known.trim() === "*" || known.split(",").some((tag) => tag.trim() === etag))

/** Answers requests for the state. */
export const make = Effect.gen(function* () {
  const log = yield* EventLog.EventLog
  const read = yield* StateSnapshots.make
  return (request: HttpServerRequest.HttpServerRequest) =>
    Effect.gen(function* () {
      yield* varying
      const filter = yield* ReadQuery.filterOf(request)
      const gzip = takesGzip(request.headers["accept-encoding"])
      const headersOf = (head: string) => ({
        etag: etagOf(head, filter, gzip),
        // For its reader alone, who asks each time whether it is still so.
        "cache-control": "private, no-cache"
      })
      const { staleMs } = EventLog.staleness(log.health())
      // In a header: the body is shared by all who read this state.
      const stale = staleMs === undefined ? {} : { [STALE_HEADER]: String(staleMs) }
      const now = headersOf(log.head().offset)
      if (isKnown(request.headers["if-none-match"], now.etag)) {
        return HttpServerResponse.empty({ status: 304, headers: { ...now, ...stale } })
      }
      const { body, head } = yield* read(filter, NodeHttpServerRequest.toIncomingMessage(request).socket, gzip)
      return HttpServerResponse.stream(body, {
        contentType: "application/json",
        headers: { ...headersOf(head), ...stale, ...(gzip && { "content-encoding": "gzip" }) }
      })
    }).pipe(
      Effect.catchTag("EventLogError", ({ message, reason }) => Effect.fail(Problem.response(503, reason, message))),
      Problem.answered
    )
})
