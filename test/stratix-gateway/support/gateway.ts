import * as Http from "node:http"
import * as Https from "node:https"
import { Effect, type Layer, Logger, Metric, Redacted } from "effect"
import { type Authenticator, NodeServer } from "../../../src/stratix-gateway/index.js"
import { Metrics } from "../../../src/stratix-gateway/internals.js"
import { TestClients } from "../../../src/stratix-testing/index.js"

/** No log, for tests that do not read it. */
export const quiet: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)

/** What is logged, as it comes. */
export const recorded = (lines: Array<string>): Layer.Layer<never> =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      lines.push(
        `${logLevel.label} ${[message].flat().join(" ")} ${JSON.stringify(Object.fromEntries([...annotations].sort()))}`
      )
    })
  )

/** How often something was refused so far in this process. */
export const refusals = (reason: Metrics.RefusalReason): Effect.Effect<number> =>
  Effect.map(Metric.value(Metric.tagged(Metrics.refusals, "reason", reason)), ({ count }) => count)

/** How many more refusals there are after the effect than before. */
export const refusedBy = <A, E, R>(reason: Metrics.RefusalReason, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* refusals(reason)
    yield* effect
    return (yield* refusals(reason)) - before
  })

export const port = Effect.map(NodeServer.NodeServer, (server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
})

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: unknown
}

/** A request with exactly these headers, unlike `fetch`. */
export const request = (
  method: string,
  path: string,
  options: {
    readonly body?: unknown
    /** Instead of a body: what need not be JSON. */
    readonly text?: string
    readonly token?: string
    readonly headers?: Record<string, string>
    readonly tls?: Https.RequestOptions
  } = {}
) =>
  Effect.flatMap(port, (to) => {
    const text = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const headers = {
      ...(text !== undefined && { "content-type": "application/json" }),
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...options.headers
    }
    const where = { port: to, host: "127.0.0.1", method, path, headers, agent: false }
    return Effect.async<Answer>((resume) => {
      const onResponse = (response: Http.IncomingMessage) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => {
          const whole = Buffer.concat(chunks).toString()
          const body: unknown = whole === "" ? undefined : JSON.parse(whole)
          resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body }))
        })
      }
      const sent =
        options.tls === undefined
          ? Http.request(where, onResponse)
          : Https.request({ ...where, ...options.tls }, onResponse)
      sent.on("error", (error) => resume(Effect.die(error)))
      sent.end(text)
    })
  })

/** The refusal of one who must not be let in. */
export const refusal = (options: TestClients.ConnectOptions = {}) =>
  TestClients.connect(options).pipe(
    Effect.flatMap(() => Effect.dieMessage("was let in")),
    Effect.flip
  )

/** A static token of 16 characters or more, by a short name. */
export const secretOf = (name: string): string => `${name}-0123456789abcdef`

/** A static token for tests: its text is `secretOf(name)` unless another is said. */
export const token = (
  name: string,
  permissions: ReadonlyArray<Authenticator.Permission>,
  more: Partial<Authenticator.StaticToken> = {}
): Authenticator.StaticToken => ({ name, permissions, token: Redacted.make(secretOf(name)), ...more })

/** The header a client shows a token by. */
export const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } })
