/**
 * What a request reads: what its query asks for, within what its principal may see.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as StatusSyncConfig from "../../../config/StatusSyncConfig.js"
import * as Filter from "../../../log/Filter.js"
import { CurrentPrincipal } from "../CurrentPrincipal.js"
import * as Problem from "../Problem.js"

/** A query that cannot be read. */
export const malformed = (message: string): HttpServerResponse.HttpServerResponse =>
  Problem.response(400, "Malformed", message)

/** The query string of a request. */
export const queryOf = ({ url }: HttpServerRequest.HttpServerRequest): string => {
  const cut = url.indexOf("?")
  return cut === -1 ? "" : url.slice(cut + 1)
}

/** The filter of a request; fails with the answer to one that cannot be read. */
export const filterOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<
  Filter.Filter,
  HttpServerResponse.HttpServerResponse,
  CurrentPrincipal | StatusSyncConfig.StatusSyncConfig
> =>
  Effect.gen(function* () {
    const visible = yield* Effect.flatMap(CurrentPrincipal, (current) => current.visible)
    const { maxFilterValues } = yield* StatusSyncConfig.StatusSyncConfig
    const { filter } = yield* Either.mapLeft(Filter.fromQuery(queryOf(request)), malformed)
    const size = Filter.size(filter)
    if (size > maxFilterValues) {
      return yield* Effect.fail(malformed(`the filter has ${size} values, more than the ${maxFilterValues} allowed`))
    }
    return Filter.intersect(Filter.inTenant(filter, visible.tenant), visible)
  })
