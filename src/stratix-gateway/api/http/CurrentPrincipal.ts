/**
 * Authentication as the routes declare it: which permission a group of routes asks for, and whom its handlers serve.
 */
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Principal } from "../../auth/Principal.js"
import type * as Filter from "../../log/Filter.js"

/** The principal that a request is served for. */
export class CurrentPrincipal extends Context.Tag("stratix/CurrentPrincipal")<
  CurrentPrincipal,
  {
    readonly principal: Pick<Principal, "name" | "permissions">
    /** The tenant that the request chooses; fails with the answer to one that chooses none that it may see. */
    readonly tenant: Effect.Effect<string, HttpServerResponse.HttpServerResponse>
    /** What it may see of that tenant. */
    readonly visible: Effect.Effect<Filter.Filter, HttpServerResponse.HttpServerResponse>
    /** Takes this many events off the principal's publish rate; fails with the answer if nothing is left of it. */
    readonly spend: (events: number) => Effect.Effect<void, HttpServerResponse.HttpServerResponse>
  }
>() {}

const options = {
  provides: CurrentPrincipal,
  security: {
    stratix: HttpApiSecurity.bearer.pipe(
      HttpApiSecurity.annotate(OpenApi.Description, "A static token or a JWT (docs/SECURITY.md)")
    )
  }
}

// One for each permission: the routes of a group differ in nothing else.

/** Asks for a token with the permission `publish`, and for a publish rate that is not spent. */
export class PublishAuth extends HttpApiMiddleware.Tag<PublishAuth>()("stratix/PublishAuth", options) {}

/** Asks for a token with the permission `subscribe`. */
export class SubscribeAuth extends HttpApiMiddleware.Tag<SubscribeAuth>()("stratix/SubscribeAuth", options) {}

/** Asks for a token with the permission `operator`. */
export class OperatorAuth extends HttpApiMiddleware.Tag<OperatorAuth>()("stratix/OperatorAuth", options) {}
