/** Tokens written down in the environment, in a file or in code. */
import * as Crypto from "node:crypto"
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { FilterFields } from "../../stratix-core/stratix-protocol.js"
import * as Filter from "../log/Filter.js"
import * as Tenant from "../log/Tenant.js"
import * as ParseIssue from "../runtime/ParseIssue.js"
import { Name, Permission, type Principal, type TokenVerifier, Unauthenticated } from "./Principal.js"

/** 16 random characters of base64 are 96 bits, which cannot be guessed. */
const MIN_TOKEN_LENGTH = 16

/** The characters of a bearer token (RFC 6750 §2.1). */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

// The message must not show the value, which is a secret.
const Token = Schema.String.pipe(
  Schema.filter((text) => text.length >= MIN_TOKEN_LENGTH && TOKEN.test(text), {
    message: () => ({
      message: `must be a text of at least ${MIN_TOKEN_LENGTH} letters, digits, "-", ".", "_", "~", "+" or "/"`,
      override: true
    })
  })
)

/** A token and its principal. Several tokens may have the same name, so that one can be exchanged for another.
 * @since 0.1.0
 * @category models */
export const StaticToken = Schema.Struct({
  name: Name,
  token: Schema.Redacted(Token),
  permissions: Schema.Array(Permission),
  /** The widest filter it can have; everything if absent. */
  visible: Schema.optionalWith(FilterFields, { exact: true }),
  /** The tenants it may see and publish for; the default tenant if absent. */
  tenants: Schema.optionalWith(
    Schema.Array(Tenant.Name).pipe(
      Schema.minItems(1, { message: () => ({ message: "must name at least one tenant", override: true }) })
    ),
    { exact: true }
  ),
  /** When it expires, as ISO 8601; never if absent. */
  expiresAt: Schema.optionalWith(
    Schema.DateTimeUtc.annotations({
      message: () => ({ message: "must be a time like 2030-12-31T23:59:59Z", override: true })
    }),
    { exact: true }
  )
})
/** @since 0.1.0
 * @category models */
export type StaticToken = typeof StaticToken.Type

const decodeTokens = Schema.decodeUnknownEither(Schema.Array(StaticToken), { onExcessProperty: "error", errors: "all" })

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads tokens from JSON: an array of `StaticToken`. The left side says what is wrong, without showing a token. */
export const fromJson = (text: string): Either.Either<ReadonlyArray<StaticToken>, string> => {
  const json = parseJson(text)
  if (!Array.isArray(json)) {
    return Either.left('must be a JSON array like [{ "name": "…", "token": "…", "permissions": ["subscribe"] }]')
  }
  const decoded = decodeTokens(json)
  if (Either.isLeft(decoded)) {
    return Either.left(
      ParseIssue.all(decoded.left)
        .map(({ message, path }) => `${path}: ${message}`)
        .join("; ")
    )
  }
  const texts = decoded.right.map(({ token }) => Redacted.value(token))
  const repeated = texts.findIndex((text, index) => texts.indexOf(text) < index)
  return repeated === -1
    ? Either.right(decoded.right)
    : Either.left(`${repeated}.token: is the same as ${texts.indexOf(texts[repeated] ?? "")}.token`)
}

const digestOf = (token: string): Buffer => Crypto.createHash("sha256").update(token).digest()

interface Entry {
  readonly digest: Buffer
  /** Equal for equal definitions. */
  readonly definition: string
  readonly principal: Principal
}

/** The tokens in force. */
export interface StaticTokens extends Required<Pick<TokenVerifier, "verify" | "isStillValid">> {
  /** Replaces the tokens. Principals whose token and entry are unchanged stay valid, all others do not. */
  readonly replace: (tokens: ReadonlyArray<StaticToken>, now: number) => void
}

const entryOf = (token: StaticToken, now: number): Entry => {
  const expiresAt = token.expiresAt
  return {
    digest: digestOf(Redacted.value(token.token)),
    definition: JSON.stringify([
      token.name,
      [...token.permissions].sort(),
      token.visible ?? null,
      token.tenants ?? null,
      expiresAt === undefined ? null : DateTime.toEpochMillis(expiresAt)
    ]),
    principal: {
      name: token.name,
      permissions: new Set(token.permissions),
      visible: Filter.fromFields(token.visible ?? {}),
      tenants: token.tenants && new Set(token.tenants),
      issuedAt: DateTime.unsafeMake(now),
      expiresAt
    }
  }
}

/** Verifies these tokens. A token is compared with all of them, by digest and in constant time, so that the time an answer takes tells nothing about any of them. */
export const make = (tokens: ReadonlyArray<StaticToken>, clock: Clock.Clock): StaticTokens => {
  let entries: ReadonlyArray<Entry> = []
  const ours = new WeakSet<Principal>()
  let current: ReadonlySet<Principal> = new Set()

  const replace: StaticTokens["replace"] = (next, time) => {
    entries = next.map((token) => {
      const made = entryOf(token, time)
      return entries.find((entry) => entry.digest.equals(made.digest) && entry.definition === made.definition) ?? made
    })
    current = new Set(entries.map((entry) => entry.principal))
    for (const principal of current) ours.add(principal)
  }
  replace(tokens, clock.unsafeCurrentTimeMillis())

  const find = (token: string): Principal | undefined => {
    const digest = digestOf(token)
    let found: Principal | undefined
    for (const entry of entries) {
      if (Crypto.timingSafeEqual(entry.digest, digest)) found = entry.principal
    }
    return found
  }

  return {
    // An `Exit`, so that a handshake needs no fiber: see `Immediate`.
    verify: ({ token }) => {
      const fail = (reason: "Missing" | "Invalid" | "Expired", message: string) =>
        Exit.fail(new Unauthenticated({ reason, message }))
      if (token === undefined) return fail("Missing", "a token is needed")
      const principal = find(Redacted.value(token))
      if (principal === undefined) return fail("Invalid", "the token is not valid")
      const { expiresAt } = principal
      return expiresAt !== undefined && DateTime.toEpochMillis(expiresAt) <= clock.unsafeCurrentTimeMillis()
        ? fail("Expired", "the token has expired")
        : Exit.succeed(principal)
    },
    isStillValid: (principal) => !ours.has(principal) || current.has(principal),
    replace
  }
}
