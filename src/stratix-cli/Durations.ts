/**
 * Lengths of time as people type them.
 */
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { parseDuration } from "../stratix-gateway/config/Knob.js"

/** "30s", "5m" or "30 seconds", as settings are written. */
export const parse = (text: string): Option.Option<Duration.Duration> => Option.fromNullable(parseDuration(text.trim()))
