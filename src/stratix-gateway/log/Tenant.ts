/**
 * Whose events they are: a connection sees one tenant, and what belongs to one tenant never meets what belongs to another.
 *
 * Keys, idempotency keys and the names of filters are scoped here and nowhere else, so that one property holds everywhere: two tenants' texts are
 * never equal.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { MAX_ID_LENGTH } from "../../stratix-core/stratix-protocol.js"

/** The tenant of a gateway that has no others, and of everything that names none.
 * @since 0.1.0
 * @category constants */
export const DEFAULT = "default"

/** No `/`, which ends the name in a scoped text, and nothing that a list, a query or a log line could take for something else. */
const NAME = /^[\w.:@-]+$/

/** Whether a text is the name of a tenant: 1 to 256 letters, digits, `_`, `-`, `.`, `:` or `@`.
 * @since 0.1.0
 * @category predicates */
export const isName = (text: string): boolean => text.length <= MAX_ID_LENGTH && NAME.test(text)

/** What a name must be, in words. */
export const NAME_RULE = `1 to ${MAX_ID_LENGTH} letters, digits, "_", "-", ".", ":" or "@"`

/** The name of a tenant.
 * @since 0.1.0
 * @category schemas */
export const Name = Schema.String.pipe(
  Schema.filter(isName, { message: () => ({ message: `must be ${NAME_RULE}`, override: true }) })
)

/** What begins a scoped text of a tenant other than the default. */
const MARK = "@"

/**
 * A text that no other tenant has. That of the default tenant stands as it is, so that a gateway without tenants pays nothing.
 *
 * Injective: what begins with the mark has its tenant up to the first `/`, which no name contains; everything else is the default tenant's.
 *
 * @since 0.1.0
 * @category conversions
 */
export const scoped = (tenant: string, text: string): string =>
  tenant === DEFAULT && !text.startsWith(MARK) ? text : `${MARK}${tenant}/${text}`

/** The inverse of `scoped`. */
export const unscoped = (text: string): { readonly tenant: string; readonly text: string } => {
  if (!text.startsWith(MARK)) return { tenant: DEFAULT, text }
  const cut = text.indexOf("/")
  return { tenant: text.slice(MARK.length, cut), text: text.slice(cut + 1) }
}
