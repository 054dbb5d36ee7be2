/** The holder of a token: what they may do, what they may see, and until when. */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { MAX_ID_LENGTH } from "../../stratix-core/stratix-protocol.js"
import * as Filter from "../log/Filter.js"
import type { FileError } from "../runtime/FileWatch.js"
import type { Visibility } from "./Visibility.js"

/** What a principal may do: watch events, publish them, or inspect the gateway.
 * @since 0.1.0
 * @category models */
export const Permission = Schema.Literal("subscribe", "publish", "operator").annotations({
  identifier: "Permission",
  message: () => ({ message: 'must be "subscribe", "publish" or "operator"', override: true })
})
/** @since 0.1.0
 * @category models */
export type Permission = typeof Permission.Type

/** The name of a principal: 1 to 256 characters, no control characters, because it appears in logs. */
export const Name = Schema.String.pipe(
  Schema.filter((text) => text.length > 0 && text.length <= MAX_ID_LENGTH && !/\p{Cc}/u.test(text), {
    message: () => ({ message: `must be a text of 1 to ${MAX_ID_LENGTH} printable characters`, override: true })
  })
)

/** The holder of a token.
 * @since 0.1.0
 * @category models */
export interface Principal {
  /** Appears in logs, traces and the report of connections, and is what revocations go by; never a secret. */
  readonly name: string
  readonly permissions: ReadonlySet<Permission>
  /** The widest filter it can have, in each of its tenants. */
  readonly visible: Filter.Filter
  /** What it may see of that, where it can change while the principal is connected. Its clients that come back begin with a snapshot. */
  readonly visibility?: Visibility | undefined
  /** Whose events it may see and publish: of one of these tenants at a time. The default tenant's if absent. */
  readonly tenants?: ReadonlySet<string> | undefined
  /** When its token was issued, if that is known. A revocation ends what was issued before it, and what has no such time. */
  readonly issuedAt: DateTime.Utc | undefined
  /** When its token expires; its connections are closed with 4401 at that moment. */
  readonly expiresAt: DateTime.Utc | undefined
}

/** What a principal may see at this moment. Throws where its `visibility` does. */
export const visibleNow = ({ visibility, visible }: Principal): Filter.Filter =>
  visibility === undefined ? visible : Filter.intersect(visible, visibility.current())

/** What a request is recognised by.
 * @since 0.1.0
 * @category models */
export interface Credentials {
  readonly token: Redacted.Redacted<string> | undefined
  /** All headers of the request, names in lower case: for a session, the `cookie`. They contain secrets, and are not for logs. */
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly remoteAddress: string
}

/** A request was not authenticated. It is answered with 401, or with 503 where the gateway could not tell (`Unavailable`).
 * @since 0.1.0
 * @category errors */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>("stratix/Unauthenticated")("Unauthenticated", {
  reason: Schema.Literal("Missing", "Invalid", "Expired", "Revoked", "Unavailable"),
  message: Schema.String
}) {}

/** Tokens, keys or settings that cannot work: the gateway does not start.
 * @since 0.1.0
 * @category errors */
export class AuthenticatorError extends Schema.TaggedError<AuthenticatorError>("stratix/AuthenticatorError")(
  "AuthenticatorError",
  {
    reason: Schema.Literal(
      "TokensInvalid",
      "KeysInvalid",
      "AudienceMissing",
      "SettingsInvalid",
      "NothingConfigured",
      "FileUnreadable"
    ),
    message: Schema.String
  }
) {
  static readonly unreadable = (error: FileError): AuthenticatorError =>
    new AuthenticatorError({ reason: "FileUnreadable", message: error.message })
}

/** Recognises principals by one kind of token.
 * @since 0.1.0
 * @category models */
export interface TokenVerifier {
  readonly verify: (credentials: Credentials) => Effect.Effect<Principal, Unauthenticated>
  /** Whether a principal is still valid; `true` for principals of other verifiers. Always `true` if absent. */
  readonly isStillValid?: (principal: Principal) => boolean
  /** Emits whenever a principal may have become invalid. */
  readonly changes?: Stream.Stream<void>
}

/** The principal of a gateway that asks for no tokens: it sees and may do everything.
 * @since 0.1.0
 * @category models */
export const anonymous: Principal = {
  name: "anonymous",
  permissions: new Set(["subscribe", "publish", "operator"]),
  visible: Filter.all,
  issuedAt: undefined,
  expiresAt: undefined
}
