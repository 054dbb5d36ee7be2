/**
 * Scripted clients on real sockets, WebSockets and event streams, so that one suite can run over both transports.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import WebSocket from "ws"
import * as CloseCodes from "../stratix-core/close-codes.js"
import * as StatusSyncConfig from "../stratix-gateway/config/StatusSyncConfig.js"
import { NodeServer } from "../stratix-gateway/transport/NodeServer.js"
import { type Refusal, refuse } from "../stratix-gateway/transport/Refusal.js"
import * as TestClients from "./TestClients.js"

const { ABNORMAL, NORMAL } = CloseCodes

const STREAM_PATH = "/api/stratix/stream"

const reasons: { readonly [status: number]: Refusal["reason"] } = {
  400: "malformed",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  405: "method",
  426: "upgrade-required",
  429: "too-many",
  503: "full"
}

/** The answer to a refused upgrade, read to its end. */
const refusalOf = (response: Http.IncomingMessage): Effect.Effect<Refusal> =>
  Effect.async((resume) => {
    const chunks: Array<Buffer> = []
    response.on("data", (chunk: Buffer) => chunks.push(chunk))
    response.on("close", () => {
      const status = response.statusCode ?? 0
      resume(Effect.succeed(refuse(reasons[status] ?? "malformed", status, Buffer.concat(chunks).toString())))
    })
  })

const open = (url: string, options: TestClients.ConnectOptions): Effect.Effect<TestClients.TestClient, Refusal> =>
  Effect.async((resume) => {
    const inbox = new TestClients.Inbox(options)
    const socket = new WebSocket(url, [...(options.protocols ?? [])], {
      autoPong: options.answersPings ?? true,
      perMessageDeflate: false,
      ...(options.remoteAddress !== undefined && { localAddress: options.remoteAddress }),
      ...(options.headers !== undefined && { headers: options.headers })
    })
    const sent = (send: (done: () => void) => void) => Effect.async<void>((done) => send(() => done(Effect.void)))
    socket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) inbox.onText(data.toString())
    })
    socket.on("ping", () => {
      inbox.pings++
    })
    socket.on("close", (code, reason) => inbox.end({ code, reason: reason.toString() }))
    socket.on("unexpected-response", (_request, response) => resume(Effect.flatMap(refusalOf(response), Effect.fail)))
    socket.on("error", (error) => resume(Effect.fail(refuse("closing", 0, error.message))))
    socket.on("open", () =>
      resume(
        Effect.succeed<TestClients.TestClient>({
          subprotocol: socket.protocol === "" ? undefined : socket.protocol,
          take: inbox.take,
          takeN: inbox.takeN,
          received: inbox.received,
          raw: inbox.raw,
          isOpen: inbox.isOpen,
          closed: inbox.closed,
          pings: Effect.sync(() => inbox.pings),
          send: (message) => sent((done) => socket.send(JSON.stringify(message), done)),
          sendText: (text) => sent((done) => socket.send(text, done)),
          sendBinary: (bytes) => sent((done) => socket.send(bytes, done)),
          pong: sent((done) => socket.pong(undefined, undefined, done)),
          freeze: Effect.sync(() => socket.pause()),
          thaw: Effect.sync(() => socket.resume()),
          drop: Effect.sync(() => socket.terminate()),
          close: (code = 1000) => Effect.sync(() => socket.close(code))
        })
      )
    )
  })

/** A stream has no frames: what only they can do, it does not do. */
const unable = (what: string) => Effect.dieMessage(`a client of an event stream cannot ${what}`)

const openStream = (url: string, options: TestClients.ConnectOptions): Effect.Effect<TestClients.TestClient, Refusal> =>
  Effect.async((resume) => {
    const inbox = new TestClients.Inbox(options)
    const request = Http.get(url, {
      agent: false,
      ...(options.remoteAddress !== undefined && { localAddress: options.remoteAddress }),
      ...(options.headers !== undefined && { headers: options.headers })
    })
    request.on("error", (error) => resume(Effect.fail(refuse("closing", 0, error.message))))
    request.on("response", (response) => {
      if (response.statusCode !== 200) {
        resume(Effect.flatMap(refusalOf(response), Effect.fail))
        return
      }
      let ended = false
      response
        .setEncoding("utf8")
        .on("data", (part: string) => inbox.onStream(part))
        .on("end", () => {
          ended = true
        })
        .on("error", () => undefined)
        // A stream tells of no code: it ends, or it breaks off.
        .on("close", () => inbox.end({ code: ended ? NORMAL : ABNORMAL, reason: "" }))
      resume(
        Effect.succeed<TestClients.TestClient>({
          subprotocol: undefined,
          take: inbox.take,
          takeN: inbox.takeN,
          received: inbox.received,
          raw: inbox.raw,
          isOpen: inbox.isOpen,
          closed: inbox.closed,
          pings: Effect.sync(() => inbox.pings),
          send: () => unable("send"),
          sendText: () => unable("send"),
          sendBinary: () => unable("send"),
          pong: unable("send"),
          freeze: Effect.sync(() => response.pause()),
          thaw: Effect.sync(() => response.resume()),
          drop: Effect.sync(() => request.destroy()),
          close: () => Effect.sync(() => request.destroy())
        })
      )
    })
  })

const clientsOf = (port: () => number, path: string) =>
  TestClients.TestClients.of({
    connect: (options = {}) =>
      Effect.suspend(() => {
        const query = options.query === undefined ? "" : `?${options.query}`
        return options.stream === true
          ? openStream(`http://127.0.0.1:${port()}${options.path ?? STREAM_PATH}${query}`, options)
          : open(`ws://127.0.0.1:${port()}${options.path ?? path}${query}`, options)
      })
  })

const make = Effect.gen(function* () {
  const server = yield* NodeServer
  const { path, port } = yield* StatusSyncConfig.StatusSyncConfig
  return clientsOf(() => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : port
  }, path)
})

/** Clients of the gateway on the `NodeServer`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<TestClients.TestClients, never, NodeServer | StatusSyncConfig.StatusSyncConfig> =
  Layer.effect(TestClients.TestClients, make)

/** Clients of the WebSocket at this path of an application on the `HttpServer`, which listens on 127.0.0.1.
 * @since 0.1.0
 * @category layers */
export const layerHttpServer = (path: string): Layer.Layer<TestClients.TestClients, never, HttpServer.HttpServer> =>
  Layer.effect(
    TestClients.TestClients,
    Effect.map(HttpServer.HttpServer, ({ address }) =>
      clientsOf(() => (address._tag === "TcpAddress" ? address.port : 0), path)
    )
  )
