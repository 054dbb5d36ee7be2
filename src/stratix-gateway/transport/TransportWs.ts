/**
 * The transport over real sockets: the upgrades of a Node server.
 *
 * @since 0.1.0
 */
import type * as Http from "node:http"
import * as Tls from "node:tls"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import { isImmediate } from "../runtime/Immediate.js"
import * as TurnQueue from "../runtime/TurnQueue.js"
import { NodeServer } from "./NodeServer.js"
import type { Refusal } from "./Refusal.js"
import { type Accepted, Transport, type TransportHandlers } from "./Transport.js"
import * as UpgradeGuard from "./UpgradeGuard.js"
import * as WebSockets from "./WebSockets.js"

/** Gives a request back to the server, as if it had not asked for another protocol: a client that offers HTTP/2 (h2c) is content with HTTP/1.1. */
const serveAsHttp = (server: Http.Server, { head, request, socket }: UpgradeGuard.Upgrade): void => {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ""
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${request.rawHeaders[i + 1]}`)
  }
  // Once for a socket: the server listens to it anew every time.
  lines.push("connection: close", "", "")
  socket.off("error", UpgradeGuard.ignoreError)
  socket.unshift(Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), head]))
  server.emit(server instanceof Tls.Server ? "secureConnection" : "connection", socket)
  socket.resume()
}

/** Decides on upgrades and completes them, until the scope closes: from the request to the socket, or to the refusal.
 * @since 0.1.0
 * @category constructors */
export const upgrader = Effect.fnUntraced(function* <A extends Accepted>(handlers: TransportHandlers<A>) {
  const { accept } = yield* WebSockets.WebSockets
  const run = yield* FiberSet.makeRuntime<never>()
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())

  /** Ends the socket without an answer. */
  const breakOff = ({ socket }: UpgradeGuard.Upgrade, cause: Cause.Cause<unknown>) => {
    socket.destroy()
    if (!Cause.isInterruptedOnly(cause)) runFork(Effect.logError("the handshake failed", cause))
  }
  const end = (upgrade: UpgradeGuard.Upgrade, decision: Exit.Exit<A, Refusal>) => {
    try {
      if (Exit.isSuccess(decision)) accept(upgrade, decision.value, handlers)
      else {
        Option.match(Cause.failureOption(decision.cause), {
          onSome: (refusal) => WebSockets.answerRefusal(upgrade.socket, refusal),
          onNone: () => breakOff(upgrade, decision.cause)
        })
      }
    } catch (defect) {
      breakOff(upgrade, Cause.die(defect))
    }
  }
  return yield* TurnQueue.make((upgrade: UpgradeGuard.Upgrade): void => {
    // It waited for its turn, and its client did not.
    if (upgrade.socket.destroyed) return
    // An exception in a listener would end the process.
    try {
      const decision = handlers.decide(UpgradeGuard.upgradeRequest(upgrade))
      if (isImmediate(decision)) end(upgrade, decision)
      else run(Effect.exit(Effect.onExit(decision, (exit) => Effect.sync(() => end(upgrade, exit)))))
    } catch (defect) {
      breakOff(upgrade, Cause.die(defect))
    }
  })
})

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const server = yield* NodeServer
  const context = yield* Effect.context<WebSockets.WebSockets>()

  const serve = <A extends Accepted>(handlers: TransportHandlers<A>) =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => UpgradeGuard.install(server)),
        (uninstall) => Effect.sync(uninstall)
      )
      const decide = yield* upgrader(handlers)
      const onUpgrade = (request: Http.IncomingMessage) => {
        const upgrade = UpgradeGuard.upgradeOf(request)
        if (upgrade === undefined) return
        // A host application may serve upgrades of its own on other paths: they are not ours to answer.
        if (server.listenerCount("upgrade") > 1 && request.url?.split("?", 1)[0] !== config.path) return
        if (request.headers.upgrade?.toLowerCase() === "websocket") decide(upgrade)
        else serveAsHttp(server, upgrade)
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => server.on("upgrade", onUpgrade)),
        () => Effect.sync(() => server.off("upgrade", onUpgrade))
      )
    }).pipe(Effect.provide(context))

  return Transport.of({ serve })
})

/** Sockets of the `NodeServer`, this package's own or a host application's.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<
  Transport,
  never,
  StatusSyncConfig.StatusSyncConfig | NodeServer | WebSockets.WebSockets
> = Layer.effect(Transport, make)
