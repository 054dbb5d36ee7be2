/** Where an HTTP request comes from. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as Limits from "../../admission/Limits.js"

/** The client's address: the peer's, or what a trusted proxy says it is. */
export const of = (
  request: HttpServerRequest.HttpServerRequest,
  { clientAddress }: Pick<typeof Limits.Limits.Service, "clientAddress">
): string =>
  clientAddress(
    NodeHttpServerRequest.toIncomingMessage(request).socket.remoteAddress ?? "",
    request.headers["x-forwarded-for"]
  )
