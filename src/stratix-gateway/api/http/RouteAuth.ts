/** Authentication of HTTP requests, by the same `Authenticator` as WebSockets. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Credentials from "../../admission/Credentials.js"
import * as Limits from "../../admission/Limits.js"
import type * as Authenticator from "../../auth/Authenticator.js"
import { visibleNow } from "../../auth/Principal.js"
import * as TenantChoice from "../../auth/TenantChoice.js"
import type * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as Filter from "../../log/Filter.js"
import * as Refusals from "../../telemetry/Refusals.js"
import { CurrentPrincipal, OperatorAuth, PublishAuth, SubscribeAuth } from "./CurrentPrincipal.js"
import * as PagePolicy from "./PagePolicy.js"
import * as Problem from "./Problem.js"
import * as RequestAddress from "./RequestAddress.js"

/** A defect, because the typed failure of a middleware is a schema, which has no headers: `HttpApiBuilder` and the platform's servers answer a response that is thrown as it is. */
const refuse = (response: HttpServerResponse.HttpServerResponse) => Effect.die(response)

const make = Effect.gen(function* () {
  const limits = yield* Limits.Limits
  const { recordRefusal } = yield* Refusals.Refusals
  const verify = yield* Credentials.verifier
  const check = yield* PagePolicy.make

  const unauthenticated = (error: Authenticator.Unauthenticated, address: string) => {
    if (error.reason === "Unavailable") {
      recordRefusal("unavailable", error.message, address)
      const headers = { "retry-after": Credentials.UNAVAILABLE_RETRY }
      return Problem.response(503, "Unavailable", error.message, { headers })
    }
    recordRefusal("unauthenticated", error.message, address)
    const headers = { "www-authenticate": Credentials.challenge(error) }
    return Problem.response(401, "Unauthenticated", error.message, { headers })
  }

  const forbidden = (permission: Authenticator.Permission, name: string, address: string) => {
    const message = `${name} may not ${permission === "operator" ? "operate this gateway" : permission}`
    recordRefusal("forbidden", message, address)
    const headers = { "www-authenticate": Credentials.scopeChallenge(permission) }
    return Problem.response(403, "Forbidden", message, { headers })
  }

  const tenantOf = (url: string, principal: Authenticator.Principal, address: string) => {
    const refused = (label: "malformed" | "forbidden", status: number, error: string) => (message: string) => {
      recordRefusal(label, message, address)
      return Problem.response(status, error, message, { field: "tenant" })
    }
    const cut = url.indexOf("?")
    return Filter.tenantIn(cut === -1 ? "" : url.slice(cut + 1)).pipe(
      Either.mapLeft(refused("malformed", 400, "Malformed")),
      Either.flatMap((asked) =>
        Either.mapLeft(TenantChoice.choose(principal, asked), refused("forbidden", 403, "Forbidden"))
      )
    )
  }

  const exceeded = ({ message, reason, retryAfterSeconds, status }: Limits.LimitExceeded, address: string) => {
    recordRefusal(reason, message, address)
    return Problem.response(status, "TooMany", message, { headers: { "retry-after": String(retryAfterSeconds) } })
  }

  return Effect.fnUntraced(function* (permission: Authenticator.Permission) {
    const request = yield* HttpServerRequest.HttpServerRequest
    // Here too: an application that mounts a group has no other guard before it.
    yield* Effect.catchAll(check(request), refuse)
    const address = RequestAddress.of(request, limits)
    const principal = yield* verify({
      // Not the token that the platform hands over: that is whatever follows the first seven characters of the header.
      token: Credentials.bearerToken(request.headers["authorization"]),
      headers: request.headers,
      remoteAddress: address
    }).pipe(Effect.catchAll((error) => refuse(unauthenticated(error, address))))
    if (!principal.permissions.has(permission)) return yield* refuse(forbidden(permission, principal.name, address))
    const spend = (events: number) =>
      Effect.suspend(() =>
        Effect.mapError(limits.takePublishes(principal, address, events), (over) => exceeded(over, address))
      )
    // A principal that has published too much is refused before its next body is read.
    if (permission === "publish") yield* Effect.catchAll(spend(0), refuse)
    const tenant = Effect.suspend(() => tenantOf(request.url, principal, address))
    const visible = Effect.map(tenant, (chosen) => Filter.inTenant(visibleNow(principal), chosen))
    return CurrentPrincipal.of({ principal, tenant, visible, spend })
  })
})

/** Authentication for all groups of routes. */
export const layer: Layer.Layer<
  PublishAuth | SubscribeAuth | OperatorAuth,
  never,
  Authenticator.Authenticator | Limits.Limits | Refusals.Refusals | StatusSyncConfig.StatusSyncConfig
> = Layer.scopedContext(
  Effect.map(make, (authenticate) =>
    Context.make(PublishAuth, { stratix: () => authenticate("publish") }).pipe(
      Context.add(SubscribeAuth, { stratix: () => authenticate("subscribe") }),
      Context.add(OperatorAuth, { stratix: () => authenticate("operator") })
    )
  )
)
