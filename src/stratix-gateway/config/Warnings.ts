/**
 * What is probably a mistake in the settings, though the gateway can run with it: names that nothing reads, origins that match no page.
 */
import { knobs } from "./Knobs.js"
import { nearest } from "./Nearest.js"

export interface Warning {
  readonly what: string
  /** What would be right. */
  readonly instead: string
}

/** Variables that programs of this package read besides the knobs. */
const OTHER_NAMES: ReadonlyArray<string> = ["STRATIX_URL", "STRATIX_TOKEN"]

/** Kubernetes sets these for each Service whose name begins with `stratix`. */
const KUBERNETES = /_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP|SCTP)|^(tcp|udp|sctp):\/\//

/** Variables that look like settings and are none. */
export const names = (environment: { readonly [name: string]: string | undefined }): ReadonlyArray<Warning> => {
  const settings = Object.values(knobs).map(({ env }) => env)
  const known = new Set([...settings, ...OTHER_NAMES])
  return Object.entries(environment)
    .filter(([name]) => /^STRATIX_\w*$/.test(name) && !known.has(name))
    .filter(([name, value]) => !KUBERNETES.test(name) && !KUBERNETES.test(value ?? ""))
    .map(([name]) => {
      const near = nearest(name, settings)
      return {
        what: `${name} is no setting, so it does nothing`,
        instead: near === undefined ? "see docs/configuration.md" : `did you mean ${near}?`
      }
    })
}

/** Entries of `allowedOrigins` that match no page. */
export const origins = (allowed: ReadonlyArray<string>): ReadonlyArray<Warning> =>
  allowed.flatMap((entry) => {
    if (entry === "*") return []
    const origin = URL.canParse(entry) ? new URL(entry).origin : "null"
    if (origin === entry.toLowerCase()) return []
    // `example.org:8080` parses, as a URL with the scheme `example.org:`; its origin is "null".
    const guess = URL.canParse(`https://${entry}`) ? new URL(`https://${entry}`).origin : "https://dashboard.example"
    return [
      {
        what: `${JSON.stringify(entry)} in STRATIX_ALLOWED_ORIGINS is no origin, so it matches no page`,
        instead: `did you mean ${origin === "null" ? guess : origin}?`
      }
    ]
  })
