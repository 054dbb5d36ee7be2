/**
 * A running gateway as its clients reach it, through whatever is in front of it.
 */
import { randomBytes } from "node:crypto"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CONNECTED, SYNC_PROTOCOL } from "../../stratix-core/event-types.js"
import { type Finding, ok, problem, warning } from "../../stratix-gateway/operations/diagnosis/Finding.js"
import { explain, type Gateway } from "../Gateway.js"
import { visible } from "../Output.js"

/** The gateway answers in milliseconds; a proxy that cannot reach it gives up by itself after some seconds. */
const TIMEOUT = Duration.seconds(15)

/** Tokens are good from one moment to another, on the clocks of two machines. */
const CLOCK_TOLERANCE = Duration.seconds(30)

/** Of an answer, in characters: a refusal of the gateway is a line. */
const MAX_BODY = 8192

interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

const request = (
  url: URL,
  gateway: Gateway,
  headers: Readonly<Record<string, string>>,
  /** What is enough of an answer that does not end. */
  until?: string
): Effect.Effect<Answer, unknown> =>
  Effect.async<Answer, unknown>((resume) => {
    const { token } = gateway
    const auth = token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` }
    const asked = (url.protocol === "https:" ? Https : Http).request(url, { headers: { ...auth, ...headers } })
    const answer = (response: Http.IncomingMessage, body: string) =>
      resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body }))
    asked.on("response", (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text
        if (body.length < MAX_BODY && (until === undefined || !body.includes(until))) return
        answer(response, body)
        asked.destroy()
      })
      response.on("end", () => answer(response, body))
      response.on("error", (error) => resume(Effect.fail(error)))
    })
    asked.on("upgrade", (response, socket) => {
      answer(response, "")
      socket.destroy()
    })
    asked.on("error", (error) => resume(Effect.fail(error)))
    asked.end()
    return Effect.sync(() => asked.destroy())
  }).pipe(
    Effect.timeoutFail({
      duration: TIMEOUT,
      onTimeout: () => Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })
    })
  )

/** Asks for the WebSocket as a browser does. */
const upgrade = (gateway: Gateway, origin: string | undefined): Effect.Effect<Answer, unknown> => {
  // The protocol of a WebSocket's URL cannot be assigned.
  const address = new URL(gateway.socket.href.replace(/^ws/, "http"))
  return request(address, gateway, {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    "sec-websocket-protocol": SYNC_PROTOCOL,
    ...(origin !== undefined && { origin })
  })
}

/** What a refusal of the gateway says; `undefined` where something else answered. */
const ofGateway = ({ body }: Answer): { readonly reason: string; readonly message: string } | undefined => {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== "object" || value === null || !("message" in value)) return undefined
    const reason = "reason" in value ? String(value.reason) : ""
    return { reason, message: visible(String(value.message)) }
  } catch {
    return undefined
  }
}

const PASS_UPGRADE =
  'in nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"'

/** What is wrong with a refused WebSocket. */
const refused = (answer: Answer, gateway: Gateway, origin: string | undefined): Finding => {
  const { headers, status } = answer
  const said = ofGateway(answer)
  const path = gateway.socket.pathname
  if (status >= 300 && status < 400) {
    const to = visible(headers.location ?? "")
    return problem("websocket", `is answered with a redirect to ${to}`, `give clients that address: they do not follow`)
  }
  if (status === 401) return problem("websocket", "asks for a token (401)", "STRATIX_TOKEN or --token")
  if (status === 403 && said !== undefined) {
    const instead = /host/i.test(said.reason + said.message)
      ? "STRATIX_ALLOWED_HOSTS, or a proxy that sends the gateway's own address as Host"
      : `STRATIX_ALLOWED_ORIGINS=${origin ?? "the origin of the page"}`
    return problem("websocket", `is refused (403): ${said.message}`, instead)
  }
  if (status === 404 && said !== undefined)
    return problem(
      "websocket",
      `reaches the gateway under another path (404): ${said.message}`,
      `let the proxy take its prefix away, or set STRATIX_PATH=${path}`
    )
  if (status === 426 || status === 400)
    return problem("websocket", `arrives at the gateway as a plain request (${status})`, PASS_UPGRADE)
  if (status === 429 || (status === 503 && said !== undefined))
    return problem("websocket", `is refused (${status}): ${said?.message ?? "too many"}`, "the limit that it names")
  if (status === 502 || status === 503 || status === 504)
    return problem("websocket", `the proxy cannot reach the gateway (${status})`, "the address in the proxy's settings")
  if (status === 200) return problem("websocket", "is answered with a page (200)", PASS_UPGRADE)
  return problem("websocket", `is answered with ${status}`, `is ${gateway.shown} the address of a Stratix gateway?`)
}

const websocket = (
  gateway: Gateway,
  origin: string | undefined
): Effect.Effect<{ readonly answer: Answer | undefined; readonly findings: ReadonlyArray<Finding> }> =>
  Effect.gen(function* () {
    const asked = yield* Effect.either(upgrade(gateway, origin))
    if (Either.isLeft(asked)) {
      const what = explain(asked.left, gateway)
      return { answer: undefined, findings: [problem("address", what, "the address, and whether it is up")] }
    }
    const answer = asked.right
    if (answer.status !== 101) return { answer, findings: [refused(answer, gateway, origin)] }
    const from = origin === undefined ? "" : ` for pages of ${visible(origin)}`
    return {
      answer,
      findings: [
        answer.headers["sec-websocket-protocol"] === SYNC_PROTOCOL
          ? ok("websocket", `opens${from}, with ${SYNC_PROTOCOL}`)
          : problem(
              "websocket",
              "opens, but the subprotocol was lost on the way: clients are not resumed",
              "let the proxy pass Sec-WebSocket-Protocol on, in both directions"
            )
      ]
    }
  })

/** Whether an event stream comes through while it is open. What refuses it has refused the WebSocket, too. */
const stream = (gateway: Gateway): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const base = gateway.socket.pathname.replace(/[^/]*$/, "")
    const address = new URL(`${base}api/stratix/stream`, gateway.http)
    const asked = yield* Effect.either(request(address, gateway, { accept: "text/event-stream" }, CONNECTED))
    const heldBack = warning(
      "stream",
      "the event stream is held back on the way: pages that it is the fallback of see nothing",
      "in nginx: proxy_buffering off; in Caddy: flush_interval -1"
    )
    if (Either.isLeft(asked)) return [heldBack]
    const { body, status } = asked.right
    if (status !== 200) return []
    return [body.includes(CONNECTED) ? ok("stream", "the event stream comes through as it happens") : heldBack]
  })

const health = (gateway: Gateway): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const base = gateway.socket.pathname.replace(/[^/]*$/, "")
    const asked = yield* Effect.either(request(new URL(`${base}healthz`, gateway.http), gateway, {}))
    if (Either.isLeft(asked)) return []
    const { body, headers, status } = asked.right
    const findings: Array<Finding> = []
    const version = /"version":"([^"]+)"/.exec(body)?.[1]
    findings.push(
      status === 200 && version !== undefined
        ? ok("http", `the gateway answers, version ${visible(version)}`)
        : problem(
            "http",
            `${visible(base)}healthz is answered with ${status}, and not by a gateway`,
            "let the proxy pass on everything below the path, not the WebSocket alone"
          )
    )
    const now = yield* Clock.currentTimeMillis
    const there = Option.match(DateTime.make(headers.date ?? ""), {
      onNone: () => now,
      onSome: DateTime.toEpochMillis
    })
    const apart = Math.abs(there - now)
    if (apart > Duration.toMillis(CLOCK_TOLERANCE))
      findings.push(
        warning(
          "clock",
          `the gateway's clock and this one are ${Math.round(apart / 1000)} s apart: tokens may expire too soon or too late`,
          "synchronise both with NTP"
        )
      )
    return findings
  })

/** Looks at a gateway from here, and as a page of `origin` if one is given. */
export const look = (gateway: Gateway, origin: string | undefined): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const { answer, findings } = yield* websocket(gateway, origin)
    if (answer === undefined) return findings
    const host = gateway.socket.hostname
    const isHere = host === "localhost" || host === "[::1]" || /^127\./.test(host)
    const inClear = gateway.socket.protocol === "ws:" && !isHere
    return [
      ...findings,
      ...(yield* health(gateway)),
      ...(yield* stream(gateway)),
      ...(inClear
        ? [
            warning(
              "tls",
              "what is said can be read on the way, and pages served over https cannot connect (ws://)",
              "wss://, with a certificate in the gateway or in the proxy"
            )
          ]
        : [])
    ]
  })
