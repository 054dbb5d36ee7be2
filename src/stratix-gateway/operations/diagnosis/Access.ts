/**
 * Who may reach a gateway with these settings, and how.
 */
import type { Settings } from "../../config/StatusSyncConfig.js"
import * as Warnings from "../../config/Warnings.js"
import { isLoopback } from "../../runtime/IpAddress.js"
import { type Finding, ok, problem, warning } from "./Finding.js"

/** Whether a token is asked for. */
export const tokens = (given: Settings, open: boolean): Finding => {
  if (!open) return ok("authentication", "a token is asked for")
  return isLoopback(given.host) && given.trustedProxies.length === 0
    ? ok("authentication", `no token is asked for, and only this machine can reach ${given.host}`)
    : warning(
        "authentication",
        "other machines can reach the gateway, and no token is asked for (STRATIX_ALLOW_ANONYMOUS)",
        "set STRATIX_TOKENS_FILE or a STRATIX_JWT_ key instead"
      )
}

/** Which pages may connect. */
export const origins = (given: Settings, asksForTokens: boolean): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  if (given.allowedOrigins.includes("*")) {
    const what = "web pages of every origin may connect and publish (STRATIX_ALLOWED_ORIGINS=*)"
    const instead = "list the origins of your dashboards, like https://dashboard.example"
    findings.push(asksForTokens ? warning("origins", what, instead) : problem("origins", what, instead))
  }
  return [
    ...findings,
    ...Warnings.origins(given.allowedOrigins).map(({ instead, what }) => problem("origins", what, instead))
  ]
}

/** What travels how, and which pages may connect. */
export const exposure = (given: Settings, asksForTokens: boolean): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  if (!isLoopback(given.host) && asksForTokens && given.tlsCert === undefined) {
    findings.push(
      warning(
        "authentication",
        `tokens travel unencrypted on ${given.host}`,
        "set STRATIX_TLS_CERT and STRATIX_TLS_KEY, or let a proxy on this machine speak TLS and bind to 127.0.0.1"
      )
    )
  }
  if (given.queryTokens) {
    findings.push(
      warning(
        "authentication",
        "tokens are accepted in query strings (STRATIX_QUERY_TOKENS), which proxies and browsers log",
        "set it to false where clients can send the token in the Authorization header or a subprotocol"
      )
    )
  }
  return [...findings, ...origins(given, asksForTokens)]
}
