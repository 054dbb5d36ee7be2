/**
 * How long a certificate is good for.
 */
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { type Finding, ok, problem, warning } from "./Finding.js"

/** A certificate that expires sooner than this should have been replaced: 90-day certificates are renewed after 60 days. */
const EXPIRES_SOON = Duration.toMillis("14 days")

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** The dates of a certificate as OpenSSL writes them, like "Nov  2 17:42:56 2030 GMT"; node has them in no other form before 23. */
const certificateTime = (text: string): Option.Option<number> => {
  const [, month = "", day = "", time, year] = /^(\w{3}) +(\d+) (\S+) (\d{4}) GMT$/.exec(text) ?? []
  const two = (value: number | string) => String(value).padStart(2, "0")
  return Option.map(
    DateTime.make(`${year}-${two(MONTHS.indexOf(month) + 1)}-${two(day)}T${time}Z`),
    DateTime.toEpochMillis
  )
}

/** Whether it is good, and for how long; `now` in milliseconds. */
export const inFile = (path: string, now: number): ReadonlyArray<Finding> => {
  const fits = "the certificate and its key fit together"
  const times = Either.try(() => {
    const { validFrom, validTo } = new Crypto.X509Certificate(Fs.readFileSync(path))
    return Option.all([certificateTime(validFrom), certificateTime(validTo)])
  })
  const [from, to] = Option.getOrElse(Option.flatten(Either.getRight(times)), () => [undefined, undefined] as const)
  // TLS has accepted it already; an unreadable date is no reason to stop.
  if (from === undefined) return [ok("tls", fits)]
  const replace = "replace it; a running gateway reads it again by itself"
  if (to <= now) return [problem("tls", `the certificate in ${path} has expired`, replace)]
  if (from > now) {
    return [problem("tls", `the certificate in ${path} is not valid yet`, "is the clock of this machine right?")]
  }
  const days = Math.floor((to - now) / Duration.toMillis("1 day"))
  return [
    to - now < EXPIRES_SOON
      ? warning("tls", `the certificate in ${path} expires in ${days} days`, replace)
      : ok("tls", `${fits}, and are good for ${days} days`)
  ]
}
