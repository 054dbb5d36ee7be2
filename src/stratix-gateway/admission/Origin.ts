/**
 * Which web pages may use the gateway. Browsers name the origin of a page; other clients need not.
 */

import { isLoopback } from "../runtime/IpAddress.js"

/** What the policy decides by. */
export interface OriginRequest {
  readonly origin: string | undefined
  readonly host: string | undefined
  /** Whether the request came in through a loopback address of this machine. */
  readonly local: boolean
  /** Whether the host that was asked for is listed, so that it is not a rebound name. */
  readonly hostListed: boolean
}

const parse = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined)

/**
 * Allowed are: no origin at all (not a browser), a loopback origin, an origin on the list, and the host that was asked for itself.
 * The last does not hold for a request through a loopback address that names another host: a page that points its own name at
 * 127.0.0.1 (DNS rebinding) looks exactly so. A gateway behind a proxy on the same machine therefore lists its host or its origin.
 */
export const isAllowed = (request: OriginRequest, allowed: ReadonlyArray<string>): boolean => {
  if (request.origin === undefined || allowed.includes("*")) return true
  const given = request.origin.toLowerCase()
  if (allowed.some((origin) => origin.toLowerCase() === given)) return true
  const origin = parse(given)
  if (origin === undefined || origin.host === "") return false
  const host = request.host === undefined ? undefined : parse(`${origin.protocol}//${request.host}`)
  const hostIsLoopback = host !== undefined && isLoopback(host.hostname)
  if (request.local && !hostIsLoopback && !request.hostListed) return false
  return isLoopback(origin.hostname) ? request.local || hostIsLoopback : host?.host === origin.host
}
