/**
 * The Node server that everything is attached to: this package's own, or a host application's.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Primary from "../channel/Primary.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as FileWatch from "../runtime/FileWatch.js"
import * as NodeError from "../runtime/NodeError.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import type { RefusalReason } from "../telemetry/Metrics.js"
import * as Refusals from "../telemetry/Refusals.js"

export { guard } from "./UpgradeGuard.js"

/** A Node HTTP or HTTPS server. A host application provides its own with `Layer.succeed(NodeServer, server)`.
 * @since 0.1.0
 * @category tags */
export class NodeServer extends Context.Tag("stratix/NodeServer")<NodeServer, Http.Server>() {}

/** The server could not listen.
 * @since 0.1.0
 * @category errors */
export class ListenError extends Schema.TaggedError<ListenError>("stratix/ListenError")("ListenError", {
  reason: Schema.Literal("AddressInUse", "AddressNotAvailable", "PermissionDenied", "Unknown"),
  message: Schema.String
}) {}

const reasons: { readonly [code: string]: readonly [ListenError["reason"], string] } = {
  EADDRINUSE: [
    "AddressInUse",
    "is already in use: stop the program that uses it, or choose another port with STRATIX_PORT"
  ],
  EADDRNOTAVAIL: ["AddressNotAvailable", "is not an address of this machine: choose another with STRATIX_HOST"],
  ENOTFOUND: ["AddressNotAvailable", "is not an address of this machine: choose another with STRATIX_HOST"],
  EACCES: ["PermissionDenied", "may not be bound by this user: choose a port above 1023 with STRATIX_PORT"]
}

const listenError = (error: Error, address: string): ListenError => {
  const [reason, advice] = reasons[NodeError.codeOf(error)] ?? ["Unknown" as const, `cannot be bound: ${error.message}`]
  return new ListenError({ reason, message: `${address} ${advice}` })
}

/** Connections the operating system may hold before they are accepted. Thousands of dashboards reconnect at the same moment after a restart; beyond Node's 511 they would wait for SYN retries, which take seconds. (Linux bounds it by `net.core.somaxconn`, 4096 by default.) */
const BACKLOG = 4096

/** Whether several processes may bind one port, and the system spreads connections over them: `reusePort` of Node 22.12 and 23.1. Elsewhere the primary accepts for its workers. */
export const canReusePort: boolean = (() => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return process.platform === "linux" && (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12))
})()

const listening = (server: Net.Server, options: Net.ListenOptions): Effect.Effect<void, ListenError> =>
  Effect.async((resume) => {
    const onError = (error: Error) => resume(Effect.fail(listenError(error, `${options.host}:${options.port}`)))
    server.once("error", onError)
    server.listen({ ...options, backlog: BACKLOG }, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

const portOf = (server: Net.Server, otherwise: number): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : otherwise
}

/** Listens on `host` and `port` until the scope closes. Succeeds with the port.
 * @since 0.1.0
 * @category constructors */
export const listen: Effect.Effect<number, ListenError, NodeServer | StatusSyncConfig.StatusSyncConfig | Scope.Scope> =
  Effect.gen(function* () {
    const { host, port } = yield* StatusSyncConfig.StatusSyncConfig
    const server = yield* NodeServer
    const worker = yield* Primary.Primary
    const shared = worker?.port
    const options =
      shared === undefined ? { host, port } : { host, port: shared, reusePort: true as const, exclusive: true as const }
    yield* Effect.acquireRelease(
      listening(server, options),
      // Stops listening at once. Open sockets are ended by their owners.
      () => Effect.sync(() => server.close())
    )
    return portOf(server, port)
  })

/** The port for workers that each bind it: fails where another program has it, which they would share it with without a word. `undefined`: the primary accepts for them. */
export const sharedPort: Effect.Effect<number | undefined, ListenError, StatusSyncConfig.StatusSyncConfig> = Effect.gen(
  function* () {
    if (!canReusePort) return undefined
    const { host, port } = yield* StatusSyncConfig.StatusSyncConfig
    const server = Net.createServer()
    yield* listening(server, { host, port })
    const free = portOf(server, port)
    yield* Effect.async<void>((resume) => {
      server.close(() => resume(Effect.void))
    })
    return free
  }
)

/** The certificate and its key cannot be used.
 * @since 0.1.0
 * @category errors */
export class TlsError extends Schema.TaggedError<TlsError>("stratix/TlsError")("TlsError", {
  reason: Schema.Literal("FileUnreadable", "CertificateInvalid"),
  message: Schema.String
}) {}

interface Certificate {
  readonly cert: string
  readonly key: string
  readonly passphrase?: string
}

/** A certificate and its key, checked to be well-formed and to belong together. */
const certificate = (
  [cert = "", key = ""]: ReadonlyArray<string>,
  config: StatusSyncConfig.Settings
): Either.Either<Certificate, TlsError> => {
  const made = {
    cert,
    key,
    ...(config.tlsPassphrase !== undefined && { passphrase: Redacted.value(config.tlsPassphrase) })
  }
  return Either.try({
    try: () => {
      Tls.createSecureContext(made)
      return made
    },
    catch: (error) =>
      new TlsError({
        reason: "CertificateInvalid",
        message: `${config.tlsCert} and ${config.tlsKey} cannot be used: ${error instanceof Error ? error.message : error}`
      })
  })
}

const ignore = () => undefined

/** Sockets besides those of WebSockets: publishers, health checks, and clients that are told that the gateway is full. */
const SPARE_SOCKETS = 1024

/** How often Node looks for requests that take too long: they end at most this much later. */
const LOOK_FOR_SLOW = 1000

/** Requests that Node itself refuses. */
const refusedByNode: { readonly [code: string]: readonly [status: number, RefusalReason, string] } = {
  HPE_HEADER_OVERFLOW: [431, "header_size", "the header of the request is too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "body_size", "the extensions of a chunk are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "timeout", "the request took too long"]
}

/** Time for a client that goes on sending to see why it was refused: longer than most round trips. */
const LINGER = "1 second"

/** Ends sockets once their clients have the answer, or soon after: one that is closed with unread bytes is reset, and its client may never see why. */
const makeLeave = Effect.map(TimeoutQueues.make, (deadlines) => {
  const lingering = deadlines.queue(LINGER, (socket: Duplex) => socket.destroy())
  return (socket: Duplex): void => {
    const timeout = new TimeoutQueues.Timeout(socket)
    lingering.start(timeout)
    socket
      // Not to the parser any more.
      .removeAllListeners("data")
      .on("data", ignore)
      .on("end", () => socket.destroy())
      .once("close", () => lingering.stop(timeout))
  }
})

const applyLimits = (
  server: Http.Server,
  refusals: typeof Refusals.Refusals.Service,
  leave: (socket: Duplex) => void
): void => {
  server.on("clientError", (error: Error, socket: Duplex) => {
    const code = NodeError.codeOf(error)
    // Anything but bad HTTP is a broken socket or a failed TLS handshake: there is no client to answer.
    if (!/^(HPE|ERR_HTTP)_/.test(code) || !socket.writable) {
      socket.destroy()
      return
    }
    const [status, reason, message] = refusedByNode[code] ?? [400, "malformed", "this is not HTTP/1.1"]
    refusals.recordRefusal(reason, message)
    const body = JSON.stringify({ error: Http.STATUS_CODES[status]?.replaceAll(" ", ""), message })
    leave(socket)
    socket.end(
      `HTTP/1.1 ${status} ${Http.STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    )
  })
  server.on("drop", () => refusals.recordRefusal("sockets", "more sockets than the gateway may have"))
  server.on("tlsClientError", (error: Error) => {
    if (NodeError.codeOf(error) === "ERR_TLS_HANDSHAKE_TIMEOUT") {
      refusals.recordRefusal("timeout", "the TLS handshake took too long")
    }
  })
}

const create = (config: StatusSyncConfig.Settings, tls: Certificate | undefined): Http.Server => {
  // Node takes whole milliseconds only.
  const handshakeTimeout = Math.ceil(Duration.toMillis(config.handshakeTimeout))
  const options: Http.ServerOptions = {
    noDelay: true,
    maxHeaderSize: config.maxHeaderBytes,
    headersTimeout: handshakeTimeout,
    requestTimeout: Math.ceil(Duration.toMillis(config.requestTimeout)),
    connectionsCheckingInterval: Math.min(LOOK_FOR_SLOW, handshakeTimeout)
  }
  const server =
    tls === undefined ? Http.createServer(options) : Https.createServer({ ...options, ...tls, handshakeTimeout })
  server.maxConnections = config.maxConnections + SPARE_SOCKETS
  return server
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const refusals = yield* Refusals.Refusals
  const leave = yield* makeLeave
  const tls =
    config.tlsCert === undefined || config.tlsKey === undefined
      ? undefined
      : yield* FileWatch.load({
          what: "certificate",
          paths: [config.tlsCert, config.tlsKey],
          parse: (texts) => certificate(texts, config)
        }).pipe(
          Effect.mapError((error) =>
            error._tag === "TlsError" ? error : new TlsError({ reason: "FileUnreadable", message: error.message })
          )
        )

  const server = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = create(config, tls?.value)
      // Once it listens, a server emits errors that concern at most one socket (EMFILE on accept): none may end the process.
      made.on("error", () => undefined)
      applyLimits(made, refusals, leave)
      return made
    }),
    (made) => Effect.sync(() => made.closeAllConnections())
  )
  if (tls !== undefined && server instanceof Https.Server) {
    // Open connections stay; new ones get the new certificate.
    const replace = (next: Certificate) => Effect.sync(() => server.setSecureContext(next))
    yield* tls.reloads(replace).pipe(Stream.runDrain, Effect.forkScoped, Effect.interruptible)
  }
  return server
})

/** A server of its own, not yet listening. It has TLS if the settings name a certificate, which is read again when its file changes. On release all its connections are closed.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<NodeServer, TlsError, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(
  NodeServer,
  make
).pipe(Layer.provide(Refusals.layer))
