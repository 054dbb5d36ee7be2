/**
 * What is probably a mistake in the settings, though the gateway can run with it: names that nothing reads, origins that match no page.
 */
import { knobs } from "./Knobs.js"

export interface Warning {
  readonly what: string
  /** What would be right. */
  readonly instead: string
}

/** Variables that programs of this package read besides the knobs. */
const OTHER_NAMES: ReadonlyArray<string> = ["STRATIX_URL", "STRATIX_TOKEN"]

/** Kubernetes sets these for each Service whose name begins with `stratix`. */
const KUBERNETES = /_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP|SCTP)|^(tcp|udp|sctp):\/\//

/** More edits than this make another word, not a slip. */
const MAX_SLIPS = 3

/** How many letters must be added, left out or replaced to make one text of the other (Levenshtein). */
const editsBetween = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    let left = i + 1
    row = row.map((above, j) => {
      if (j === 0) return left
      const diagonal = row[j - 1] ?? 0
      left = Math.min(above + 1, left + 1, diagonal + (letter === b[j - 1] ? 0 : 1))
      return left
    })
  }
  return row[b.length] ?? 0
}

const nearest = (name: string, known: ReadonlyArray<string>): string | undefined =>
  known
    .map((each) => [each, editsBetween(name, each)] as const)
    .filter(([, distance]) => distance <= MAX_SLIPS)
    .sort(([, a], [, b]) => a - b)[0]?.[0]

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
