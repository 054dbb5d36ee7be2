/**
 * The browser client as one module, for pages without a bundler.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Problem from "../Problem.js"
import * as BuiltFile from "./BuiltFile.js"

/** Where it is, on the service's own server. */
export const PATH = "/client.js"

const notBuilt = Problem.response(404, "NotFound", "the build has not made the client's module")

// One for the process: read and compressed at the first request.
const file = Effect.runSync(
  Effect.cached(Effect.tryPromise(() => BuiltFile.load("client.js", "text/javascript; charset=utf-8")))
)

/** Answers with the module. */
export const respond: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> =
  Effect.zipWith(HttpServerRequest.HttpServerRequest, file, BuiltFile.respond).pipe(
    Effect.orElseSucceed(() => notBuilt)
  )
