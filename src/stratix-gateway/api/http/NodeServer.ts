/**
 * The node server everything is attached to: this package's own, or a host application's.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"

/** A node HTTP or HTTPS server. A host application provides its own with `Layer.succeed(NodeServer, server)`.
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
  EADDRINUSE: ["AddressInUse", "is already in use: stop the program that has it, or choose another with STRATIX_PORT"],
  EADDRNOTAVAIL: ["AddressNotAvailable", "is not an address of this machine: choose another with STRATIX_HOST"],
  ENOTFOUND: ["AddressNotAvailable", "is not an address of this machine: choose another with STRATIX_HOST"],
  EACCES: ["PermissionDenied", "may not be bound by this user: choose a port above 1023 with STRATIX_PORT"]
}

const listenError = (error: Error, address: string): ListenError => {
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  const [reason, advice] = reasons[code] ?? ["Unknown" as const, `cannot be bound: ${error.message}`]
  return new ListenError({ reason, message: `${address} ${advice}` })
}

/** Listens by `host` and `port` until the scope closes; answers the port.
 * @since 0.1.0
 * @category constructors */
export const listen: Effect.Effect<number, ListenError, NodeServer | StatusSyncConfig.StatusSyncConfig | Scope.Scope> =
  Effect.gen(function* () {
    const { host, port } = yield* StatusSyncConfig.StatusSyncConfig
    const server = yield* NodeServer
    yield* Effect.acquireRelease(
      Effect.async<void, ListenError>((resume) => {
        const onError = (error: Error) => resume(Effect.fail(listenError(error, `${host}:${port}`)))
        server.once("error", onError)
        server.listen(port, host, () => {
          server.off("error", onError)
          resume(Effect.void)
        })
      }),
      // Stops listening at once; sockets that are open are ended by those who hold them.
      () => Effect.sync(() => server.close())
    )
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : port
  })

/** A server of its own, not listening yet. On release no connection of it stays open.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<NodeServer> = Layer.scoped(
  NodeServer,
  Effect.acquireRelease(
    Effect.sync(() => {
      const server = Http.createServer({ noDelay: true })
      // After listening, a server emits errors that concern one socket at the most (EMFILE on accept): none of them may end the process.
      server.on("error", () => undefined)
      return server
    }),
    (server) => Effect.sync(() => server.closeAllConnections())
  )
)
