/** Which of the tenants that a principal may see a request is for. */
import * as Either from "effect/Either"
import * as Tenant from "../log/Tenant.js"
import type { Principal } from "./Principal.js"

/** Names in one answer: enough to choose from, and no answer of megabytes. */
const NAMED = 10

const DEFAULT_ONLY: ReadonlySet<string> = new Set([Tenant.DEFAULT])

const listOf = (names: ReadonlySet<string>): string => {
  const shown = [...names].slice(0, NAMED).map((name) => JSON.stringify(name))
  const more = names.size - shown.length
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ")
}

/** The tenant of a request that asks for this one, or for none. The left side says why it is forbidden. */
export const choose = (
  { name, tenants = DEFAULT_ONLY }: Pick<Principal, "name" | "tenants">,
  asked: string | undefined
): Either.Either<string, string> => {
  if (tenants.size === 0) return Either.left(`${name} may see no tenant`)
  if (asked !== undefined) {
    return tenants.has(asked)
      ? Either.right(asked)
      : Either.left(`${name} may not see this tenant: it may see ${listOf(tenants)}`)
  }
  const [first, second] = tenants
  return first !== undefined && second === undefined
    ? Either.right(first)
    : Either.left(`${name} may see several tenants: choose one of ${listOf(tenants)} with ?tenant=`)
}
