/** Which pages may ask, and by which names: the Host and Origin policies for HTTP requests. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Host from "../../admission/Host.js"
import * as Limits from "../../admission/Limits.js"
import * as Origin from "../../admission/Origin.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import * as Refusals from "../../telemetry/Refusals.js"
import * as Problem from "./Problem.js"
import * as RequestAddress from "./RequestAddress.js"

/** Checks a request: fails with the answer to one that is not allowed. */
export const make: Effect.Effect<
  (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void, HttpServerResponse.HttpServerResponse>,
  never,
  StatusSyncConfig.StatusSyncConfig | Limits.Limits | Refusals.Refusals
> = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const limits = yield* Limits.Limits
  const { recordRefusal } = yield* Refusals.Refusals
  return (request) => {
    const { host, origin } = request.headers
    const local = isLoopback(NodeHttpServerRequest.toIncomingMessage(request).socket.localAddress ?? "")
    const forbidden = (reason: "host" | "origin", message: string) => {
      recordRefusal(reason, message, RequestAddress.of(request, limits))
      return Effect.fail(Problem.response(403, "Forbidden", message))
    }
    if (host !== undefined && !Host.isAllowed(host, { local }, config)) return forbidden("host", Host.refusalOf(host))
    const hostListed = host !== undefined && Host.isListed(host, config)
    return Origin.isAllowed({ origin, host, local, hostListed }, config.allowedOrigins)
      ? Effect.void
      : forbidden("origin", `pages from ${origin} may not use this gateway: its origin is not allowed`)
  }
})
