/**
 * Which events a client wants, as the query string says it.
 *
 * @since 0.1.0
 */
import type { FilterFields } from "../stratix-core/stratix-protocol.js"

/** Which events a client wants: values within a field are alternatives, all fields that are there must hold.
 * @since 0.1.0
 * @category models */
export type Filter = FilterFields

/** The query of a filter that lets nothing through: no event type has a space in it. An empty list cannot be written in a query.
 * @since 0.1.0
 * @category constants */
export const NOTHING = "events=%20"

/** Percent-encodes a value of a query. Throws a `URIError` for text that has no such encoding (half of a surrogate pair).
 * @since 0.1.0
 * @category conversions */
export const encode = encodeURIComponent

const fields = ["events", "agents", "commands"] as const

/** The filter as query parameters. Throws a `URIError` for text that has no percent-encoding (half of a surrogate pair).
 * @since 0.1.0
 * @category conversions */
export const toQuery = (filter: Filter): string => {
  if (fields.some((name) => filter[name]?.length === 0)) return NOTHING
  // The server splits at commas before it decodes, so each value is encoded by itself.
  return fields.flatMap((name) => (filter[name] ? `${name}=${filter[name].map(encode)}` : [])).join("&")
}
