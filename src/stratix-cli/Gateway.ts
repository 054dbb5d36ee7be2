/**
 * Which gateway a command talks to, and as whom.
 */
import * as Options from "@effect/cli/Options"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as NodeError from "../stratix-gateway/runtime/NodeError.js"
import { type CliError, usage } from "./CliError.js"
import { visible } from "./Output.js"

/** The address of the gateway by default. */
export const DEFAULT_URL = "ws://127.0.0.1:3001/"

/** The two addresses of a gateway, and the token for it. */
export interface Gateway {
  /** Address of the WebSocket, query included. */
  readonly socket: URL
  /** Origin of the HTTP routes. */
  readonly http: string
  /** The address without secrets, for messages. */
  readonly shown: string
  readonly token: Redacted.Redacted<string> | undefined
  /** Which of the token's tenants; it is in the address of the WebSocket, too. */
  readonly tenant: string | undefined
}

export const urlOption: Options.Options<Option.Option<string>> = Options.text("url").pipe(
  Options.withDescription(`Address of the gateway: ws, wss, http or https. STRATIX_URL if absent, else ${DEFAULT_URL}`),
  Options.optional
)

export const tokenOption: Options.Options<Option.Option<Redacted.Redacted<string>>> = Options.redacted("token").pipe(
  Options.withPseudoName("token"),
  Options.withDescription(
    "Bearer token. STRATIX_TOKEN if absent, which is the better place: others can see what a command is started with"
  ),
  Options.optional
)

export const tenantOption: Options.Options<Option.Option<string>> = Options.text("tenant").pipe(
  Options.withPseudoName("name"),
  Options.withDescription("Which of the token's tenants, where it has several. STRATIX_TENANT if absent"),
  Options.optional
)

const SCHEMES: ReadonlyMap<string, readonly [socket: string, http: string]> = new Map([
  ["ws:", ["ws:", "http:"]],
  ["http:", ["ws:", "http:"]],
  ["wss:", ["wss:", "https:"]],
  ["https:", ["wss:", "https:"]]
])

/** Characters that a header can carry. */
const TOKEN = /^[\x21-\x7e]+$/

const fromEnvironment = (name: string): Effect.Effect<string> =>
  Effect.orDie(Config.withDefault(Config.string(name), ""))

/** The gateway named by the arguments, else by the environment, else the default. */
export const resolve = (given: {
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted<string>>
  readonly tenant: Option.Option<string>
}): Effect.Effect<Gateway, CliError> =>
  Effect.gen(function* () {
    const inEnvironment = yield* fromEnvironment("STRATIX_URL")
    const text = Option.getOrElse(given.url, () => inEnvironment || DEFAULT_URL)
    const address = URL.canParse(text) ? new URL(text) : undefined
    const schemes = SCHEMES.get(address?.protocol ?? "")
    if (address === undefined || schemes === undefined) {
      const name = Option.isNone(given.url) ? "STRATIX_URL" : "--url"
      return yield* usage(`${name} must be like ${DEFAULT_URL}, is "${visible(text)}"`)
    }
    const fromEnv = yield* fromEnvironment("STRATIX_TOKEN")
    const token = Option.match(given.token, {
      onNone: () => (fromEnv.trim() === "" ? undefined : Redacted.make(fromEnv.trim())),
      onSome: (typed) => typed
    })
    if (token !== undefined && !TOKEN.test(Redacted.value(token))) {
      return yield* usage("the token has characters that no token has (spaces, line breaks, letters beyond ASCII)")
    }
    // A URL's protocol cannot be assigned from http: to ws:.
    const [socket, http] = schemes
    const rest = text.slice(address.protocol.length)
    const shown = new URL(address.pathname, `${http}//${address.host}`)
    const named = Option.getOrElse(given.tenant, () => "") || (yield* fromEnvironment("STRATIX_TENANT"))
    const at = new URL(`${socket}${rest}`)
    if (named !== "") at.searchParams.set("tenant", named)
    return {
      socket: at,
      http: shown.origin,
      shown: `${socket}${shown.href.slice(http.length)}`,
      token,
      tenant: at.searchParams.get("tenant") ?? undefined
    }
  })

const codeOf = (error: unknown): string => {
  const code = NodeError.codeOf(error)
  if (code !== "" || !(error instanceof Error)) return code
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return codeOf(error.cause)
}

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? messageOf(error.cause) : error.message
}

/** Explains why there is no connection to a gateway, and what can be done about it. */
export const explain = (error: unknown, gateway: Gateway): string => {
  const code = codeOf(error)
  switch (code) {
    case "ECONNREFUSED":
      return `no gateway answers at ${gateway.shown}: start one with "stratix-status-sync serve", or say where it is`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `there is no host ${gateway.socket.hostname}: is it spelled right?`
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return `the certificate of ${gateway.shown} is not trusted (${code}): name its authority's file in NODE_EXTRA_CA_CERTS`
    case "CERT_HAS_EXPIRED":
      return `the certificate of ${gateway.shown} has expired`
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate of ${gateway.shown} is for another host`
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "EPROTO":
      return `${gateway.shown} does not speak TLS: ws:// or http:// instead?`
    case "ETIMEDOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
      return `${gateway.shown} does not answer in time`
    case "ECONNRESET":
    case "UND_ERR_SOCKET":
      return `${gateway.shown} hung up: if it speaks TLS, write wss:// or https://`
    default:
      return `no connection to ${gateway.shown}: ${visible(messageOf(error))}${code === "" ? "" : ` (${code})`}`
  }
}

/** Explains why a gateway refused a request. */
export const explainStatus = (status: number, body: string, gateway: Gateway): string => {
  const said = visible(messageIn(body)).slice(0, 500)
  const because = said === "" ? "" : `: ${said}`
  switch (status) {
    case 401:
      return `${gateway.shown} ${gateway.token === undefined ? "asks for a token: give one with STRATIX_TOKEN or --token" : `refuses the token${because}`}`
    case 403:
      return `${gateway.shown} does not allow it${because}`
    case 404:
      return `${gateway.shown} answers 404${because || ": is it a Stratix gateway, and this its path?"}`
    case 429:
    case 503:
      return `${gateway.shown} is too busy (${status})${because}`
    default:
      return `${gateway.shown} answers ${status}${because}`
  }
}

/** The message of a refusal, if it has one. */
const messageIn = (body: string): string => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null && "message" in value ? String(value.message) : ""
  } catch {
    return ""
  }
}
