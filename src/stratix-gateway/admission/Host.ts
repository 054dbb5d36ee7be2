/**
 * By which names the gateway may be asked for. A web page can point a name of its own at any address (DNS rebinding); the browser then
 * takes the gateway for that page's own server, names no origin, and only the `Host` tells.
 */
import { isLoopback } from "../runtime/IpAddress.js"

/** What the policy goes by. */
export interface HostPolicy {
  readonly host: string
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
}

const hostOf = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined)

/** A name or address with or without a port, and nothing that a URL has before or behind its host. */
const HOST = /^[\w.\-:[\]]+$/

/** The one asked for last: nearly all clients of a gateway ask for the same. */
let last: { readonly host: string; readonly url: URL | undefined } = { host: "", url: undefined }

const parse = (host: string): URL | undefined => {
  if (host !== last.host) last = { host, url: HOST.test(host) ? hostOf(`http://${host}`) : undefined }
  return last.url
}

/** Whether a `Host` is listed: itself, with or without its port, or as the host of an origin. */
export const isListed = (host: string, { allowedHosts, allowedOrigins }: Omit<HostPolicy, "host">): boolean => {
  if (allowedHosts.includes("*") || allowedOrigins.includes("*")) return true
  const given = parse(host)
  return (
    given !== undefined &&
    (allowedHosts.some((entry) => {
      const listed = entry.toLowerCase()
      return listed === given.host || listed === given.hostname
    }) ||
      allowedOrigins.some((origin) => hostOf(origin)?.hostname === given.hostname))
  )
}

/**
 * Allowed are: no `Host` at all (not a browser), names of this machine, and listed ones. Any other is refused where the gateway is bound to
 * loopback, or where hosts are listed.
 */
export const isAllowed = (
  host: string | undefined,
  // Looked at only where it decides: it is asked of the operating system.
  request: { readonly local: boolean },
  policy: HostPolicy
): boolean => {
  if (host === undefined || isListed(host, policy)) return true
  const given = parse(host)
  if (given !== undefined && isLoopback(given.hostname)) return true
  return policy.allowedHosts.length === 0 && !(isLoopback(policy.host) && request.local)
}

/** Why a host is refused, and what to do. */
export const refusalOf = (host: string): string =>
  `this gateway is not to be asked for as ${host}: list the name in STRATIX_ALLOWED_HOSTS (allowedHosts)`
