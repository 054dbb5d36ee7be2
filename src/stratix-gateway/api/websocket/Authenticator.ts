/**
 * Who is there, and what they may see and do.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Filter from "./Filter.js"

/** What a principal may do: watch events, or publish them.
 * @since 0.1.0
 * @category models */
export type Permission = "subscribe" | "publish"

/** Whoever is behind a request.
 * @since 0.1.0
 * @category models */
export interface Principal {
  /** For logs and metrics; never a secret. */
  readonly name: string
  readonly permissions: ReadonlySet<Permission>
  /** What its connections can see at the most. */
  readonly visible: Filter.Filter
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

/** A request that was not recognised (401).
 * @since 0.1.0
 * @category errors */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>("stratix/Unauthenticated")("Unauthenticated", {
  reason: Schema.Literal("Missing", "Invalid", "Expired", "Unavailable"),
  message: Schema.String
}) {}

/** Request to principal, or refusal.
 * @since 0.1.0
 * @category tags */
export class Authenticator extends Context.Tag("stratix/Authenticator")<
  Authenticator,
  {
    readonly authenticate: (credentials: Credentials) => Effect.Effect<Principal, Unauthenticated>
    /** Whether it lets in whoever asks: a gateway on an open address warns of it. */
    readonly open: boolean
  }
>() {}

/** Everybody, seeing and doing everything.
 * @since 0.1.0
 * @category models */
export const anyone: Principal = {
  name: "anyone",
  permissions: new Set(["subscribe", "publish"]),
  visible: Filter.all,
  expiresAt: undefined
}

/** Lets in whoever asks.
 * @since 0.1.0
 * @category layers */
export const layerAllowAll: Layer.Layer<Authenticator> = Layer.succeed(Authenticator, {
  authenticate: () => Effect.succeed(anyone),
  open: true
})
