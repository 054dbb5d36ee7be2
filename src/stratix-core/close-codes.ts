/**
 * Why a connection ends, and whether its client should come back.
 *
 * @since 0.1.0
 */

/** What a client does after a close code: `retry` with back-off, `token` asks for a new token first, `stop` gives up.
 * @since 0.1.0
 * @category models */
export type ReconnectAction = "retry" | "token" | "stop"

/** Asked for.
 * @since 0.1.0
 * @category codes */
export const NORMAL = 1000

/** The gateway is going away (drain).
 * @since 0.1.0
 * @category codes */
export const GOING_AWAY = 1001

/** A frame of a kind that is not accepted (binary).
 * @since 0.1.0
 * @category codes */
export const UNSUPPORTED_DATA = 1003

/** The connection ended without a close frame; never sent.
 * @since 0.1.0
 * @category codes */
export const ABNORMAL = 1006

/** Text that is not UTF-8.
 * @since 0.1.0
 * @category codes */
export const INVALID_DATA = 1007

/** Malformed or too many messages.
 * @since 0.1.0
 * @category codes */
export const POLICY_VIOLATION = 1008

/** A message above the size limit.
 * @since 0.1.0
 * @category codes */
export const MESSAGE_TOO_BIG = 1009

/** The gateway restarts.
 * @since 0.1.0
 * @category codes */
export const SERVICE_RESTART = 1012

/** Too slow, or the gateway is overloaded.
 * @since 0.1.0
 * @category codes */
export const TRY_AGAIN_LATER = 1013

/** Token missing, wrong or expired.
 * @since 0.1.0
 * @category codes */
export const UNAUTHORIZED = 4401

/** Not allowed.
 * @since 0.1.0
 * @category codes */
export const FORBIDDEN = 4403

const finals: ReadonlySet<number> = /* @__PURE__ */ new Set([
  NORMAL,
  UNSUPPORTED_DATA,
  INVALID_DATA,
  POLICY_VIOLATION,
  MESSAGE_TOO_BIG,
  FORBIDDEN
])

/** What a client should do after `code`. Codes that are not in the table, and no code at all, mean `retry`.
 * @since 0.1.0
 * @category models */
export const reconnectAction = (code: number): ReconnectAction =>
  code === UNAUTHORIZED ? "token" : finals.has(code) ? "stop" : "retry"
