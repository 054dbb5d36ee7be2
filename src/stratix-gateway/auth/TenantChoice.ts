/** Which of the tenants that a principal may see a request is for. */
import * as Either from "effect/Either"
import * as Tenant from "../log/Tenant.js"
import type { Principal } from "./Principal.js"

/** Why a request has no tenant. 400: it must choose one. 403: it may not see the one that it chose. */
export interface ChoiceRefused {
  readonly status: 400 | 403
  readonly message: string
}

/** Names in one answer: enough to choose from, and no answer of megabytes. */
const NAMED = 10

const DEFAULT_ONLY: ReadonlySet<string> = new Set([Tenant.DEFAULT])

const listOf = (names: ReadonlySet<string>): string => {
  const shown = [...names].slice(0, NAMED).map((name) => JSON.stringify(name))
  const more = names.size - shown.length
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ")
}

/** The tenant of a request that asks for this one, or for none. */
export const choose = (
  { name, tenants = DEFAULT_ONLY }: Pick<Principal, "name" | "tenants">,
  asked: string | undefined
): Either.Either<string, ChoiceRefused> => {
  const refused = (status: 400 | 403, message: string) => Either.left({ status, message })
  if (tenants.size === 0) return refused(403, `${name} may see no tenant`)
  if (asked !== undefined) {
    return tenants.has(asked)
      ? Either.right(asked)
      : refused(403, `${name} may not see this tenant: it may see ${listOf(tenants)}`)
  }
  const [first, second] = tenants
  return first !== undefined && second === undefined
    ? Either.right(first)
    : refused(400, `${name} may see several tenants: choose one of ${listOf(tenants)} with ?tenant=`)
}
