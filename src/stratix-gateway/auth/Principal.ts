/**
 * Whoever is behind a request: what they may do, what they may see, and until when.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { MAX_ID_LENGTH } from "../../stratix-core/stratix-protocol.js"
import * as Filter from "../log/Filter.js"
import type { FileError } from "../runtime/FileWatch.js"

/** What a principal may do: watch events, publish them, or look into the gateway itself.
 * @since 0.1.0
 * @category models */
export const Permission = Schema.Literal("subscribe", "publish", "operator").annotations({
  identifier: "Permission",
  message: () => ({ message: 'must be "subscribe", "publish" or "operator"', override: true })
})
/** @since 0.1.0
 * @category models */
export type Permission = typeof Permission.Type

/** What a principal can be called: 1 to 256 characters, none of them a control character, because it stands in logs.
 * @since 0.1.0
 * @category models */
export const Name = Schema.String.pipe(
  Schema.filter((text) => text.length > 0 && text.length <= MAX_ID_LENGTH && !/\p{Cc}/u.test(text), {
    message: () => ({ message: `must be a text of 1 to ${MAX_ID_LENGTH} printable characters`, override: true })
  })
)

/** Whoever is behind a request.
 * @since 0.1.0
 * @category models */
export interface Principal {
  /** For logs, traces and the report of connections, and what is revoked; never a secret. */
  readonly name: string
  readonly permissions: ReadonlySet<Permission>
  /** What it can see at the most. */
  readonly visible: Filter.Filter
  /** When what it showed was issued; `undefined`: nobody knows. What is issued after a revocation is good again. */
  readonly issuedAt: DateTime.Utc | undefined
  /** When it ends; its connections are closed with 4401 at that moment. */
  readonly expiresAt: DateTime.Utc | undefined
}

/** What a request shows to be recognised by.
 * @since 0.1.0
 * @category models */
export interface Credentials {
  readonly token: Redacted.Redacted<string> | undefined
  readonly remoteAddress: string
}

/** A request that was not recognised: 401, or 503 where that is the gateway's fault (`Unavailable`).
 * @since 0.1.0
 * @category errors */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>("stratix/Unauthenticated")("Unauthenticated", {
  reason: Schema.Literal("Missing", "Invalid", "Expired", "Revoked", "Unavailable"),
  message: Schema.String
}) {}

/** Tokens or keys that cannot work, so that the gateway does not start.
 * @since 0.1.0
 * @category errors */
export class AuthenticatorError extends Schema.TaggedError<AuthenticatorError>("stratix/AuthenticatorError")(
  "AuthenticatorError",
  {
    reason: Schema.Literal("TokensInvalid", "KeysInvalid", "AudienceMissing", "SettingsInvalid", "FileUnreadable"),
    message: Schema.String
  }
) {}

/** @since 0.1.0
 * @category errors */
export const unreadable = (error: FileError): AuthenticatorError =>
  new AuthenticatorError({ reason: "FileUnreadable", message: error.message })

/** Knows principals by one kind of credentials.
 * @since 0.1.0
 * @category models */
export interface TokenVerifier {
  readonly verify: (credentials: Credentials) => Effect.Effect<Principal, Unauthenticated>
  /** Whether a principal may stay; `true` for one that is not this recogniser's. Always `true` if absent. */
  readonly isStillValid?: (principal: Principal) => boolean
  /** Says something whenever a principal may not hold any more. */
  readonly changes?: Stream.Stream<void>
}

/** Everybody, seeing and doing everything.
 * @since 0.1.0
 * @category models */
export const anonymous: Principal = {
  name: "anyone",
  permissions: new Set(["subscribe", "publish", "operator"]),
  visible: Filter.all,
  issuedAt: undefined,
  expiresAt: undefined
}
