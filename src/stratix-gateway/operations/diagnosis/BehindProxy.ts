/**
 * Settings that do not fit a proxy in front of the gateway.
 */
import * as Duration from "effect/Duration"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import { type Finding, problem, warning } from "./Finding.js"

/** After which nginx, and many load balancers, end a connection on which nothing came: `proxy_read_timeout`. */
const IDLE_TIMEOUT = Duration.seconds(60)

/** Whether a range of addresses is all of them. */
const isEverything = (range: string): boolean => /\/0$/.test(range)

/** What is wrong, where `trustedProxies` says that there is a proxy. */
export const inSettings = (given: Settings): ReadonlyArray<Finding> => {
  const { allowedHosts, allowedOrigins, heartbeatInterval, host, trustedProxies } = given
  if (trustedProxies.length === 0) return []
  const findings: Array<Finding> = []
  if (trustedProxies.some(isEverything)) {
    findings.push(
      problem(
        "proxy",
        "every address is a trusted proxy (STRATIX_TRUSTED_PROXIES): clients choose the address that limits and logs see",
        "list the addresses of your proxies only"
      )
    )
  }
  if (isLoopback(host) && allowedHosts.length === 0 && allowedOrigins.length === 0) {
    findings.push(
      warning(
        "proxy",
        "a proxy that keeps the Host header is refused (403): no host is listed",
        "list the public host in STRATIX_ALLOWED_HOSTS, or the origin of its pages in STRATIX_ALLOWED_ORIGINS"
      )
    )
  }
  if (Duration.greaterThanOrEqualTo(heartbeatInterval, IDLE_TIMEOUT)) {
    findings.push(
      warning(
        "proxy",
        `plain clients hear something only every ${Duration.format(heartbeatInterval)}, and most proxies end what is idle for 60s`,
        "a STRATIX_HEARTBEAT_INTERVAL of 30s, or longer timeouts in the proxy"
      )
    )
  }
  return findings
}
