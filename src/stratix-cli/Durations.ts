/**
 * Lengths of time as people type them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Option from "effect/Option"

const units: Record<string, string> = { ms: "millis", s: "seconds", m: "minutes", h: "hours", d: "days" }

/** "30s" as "30 seconds", which is how Effect writes it; anything else as it is.
 * @since 0.1.0
 * @category conversions */
export const spelledOut = (text: string): string => {
  const [, count, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$/.exec(text) ?? []
  return count === undefined ? text : `${count} ${units[unit]}`
}

/** @since 0.1.0
 * @category conversions */
export const parse = (text: string): Option.Option<Duration.Duration> => Duration.decodeUnknown(spelledOut(text))
