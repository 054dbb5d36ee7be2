/**
 * What stands between a node server and what takes its upgrades.
 *
 * Between the `upgrade` event and a WebSocket lie several turns, and node has taken its own listeners off the socket by then: a reset
 * would end the process. And an upgrade may be pipelined behind a request whose answer is not written yet.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import { Socket } from "node:net"
import { Duplex } from "node:stream"
import { isLoopback } from "../runtime/IpAddress.js"
import type { UpgradeRequest } from "./Transport.js"

/** An upgrade, as node announces it. */
export interface Upgrade {
  readonly request: Http.IncomingMessage
  readonly socket: Duplex
  /** What came with the request and is of the new protocol already. */
  readonly head: Buffer
}

/** The listener for errors of a socket that is not a WebSocket yet; `close` follows, and says all there is to say. */
export const ignoreError = (): void => undefined

/** Where a request of a guarded server has its upgrade. Node hands the head to listeners of `upgrade`, and the platform's keeps it for itself. (A `WeakMap` would be a twentieth of what accepting a connection costs.) */
const UPGRADE = Symbol("stratix/upgrade")

const NO_LISTENERS: ReadonlyArray<unknown> = []

class Announced implements Upgrade {
  /** What listened for the end of the socket before. */
  readonly listening: ReadonlyArray<unknown>

  constructor(
    readonly request: Http.IncomingMessage,
    readonly socket: Duplex,
    readonly head: Buffer
  ) {
    this.listening = socket.listenerCount("close") === 0 ? NO_LISTENERS : socket.listeners("close")
  }
}

/** The upgrade that asked with this request; `undefined` where the server is not guarded. */
export const upgradeOf = (request: Http.IncomingMessage): Announced | undefined => {
  const upgrade: unknown = Reflect.get(request, UPGRADE)
  return upgrade instanceof Announced ? upgrade : undefined
}

const isListener = (listener: unknown): listener is () => void => typeof listener === "function"

/**
 * Lets `accept` make a WebSocket of an upgrade that the platform's listener was told of. That listens for the end of the socket, by which it keeps the request,
 * its answer and a fiber for as long as the WebSocket lives: 5 KB of no use any more. It is taken off; where more than one listener was
 * added since, the host has its own, and all of them stay.
 */
export const takeOver = (upgrade: Announced, accept: (upgrade: Upgrade) => void): void => {
  const { socket } = upgrade
  const before = socket.listeners("close")
  accept(upgrade)
  const own = socket.listeners("close").filter((listener) => !before.includes(listener))
  // Where all this happens within the announcement, the platform has yet to listen.
  process.nextTick(() => {
    const added = socket
      .listeners("close")
      .filter((listener) => !upgrade.listening.includes(listener) && !own.includes(listener))
    const [platforms] = added
    if (added.length === 1 && isListener(platforms)) socket.off("close", platforms)
  })
}

/** A class: an object with a getter of its own would have a shape of its own, which is most of what it costs to read. */
class ReceivedRequest implements UpgradeRequest {
  readonly method: string
  readonly url: string
  readonly headers: Http.IncomingHttpHeaders
  readonly remoteAddress: string

  constructor(
    readonly asks: UpgradeRequest["asks"],
    { headers, method, url }: Http.IncomingMessage,
    private readonly socket: Duplex
  ) {
    this.method = method ?? ""
    this.url = url ?? "/"
    this.headers = headers
    this.remoteAddress = (socket instanceof Socket ? socket.remoteAddress : undefined) ?? ""
  }

  // Only the origin policy for browsers asks, and it costs a system call.
  get local(): boolean {
    return this.socket instanceof Socket && isLoopback(this.socket.localAddress ?? "")
  }
}

/** The request as the handshake sees it. */
export const upgradeRequest = (
  { request, socket }: Pick<Upgrade, "request" | "socket">,
  asks: UpgradeRequest["asks"] = "websocket"
): UpgradeRequest => new ReceivedRequest(asks, request, socket)

const upgradeIn = ([request, socket, head]: ReadonlyArray<unknown>): Upgrade | undefined =>
  request instanceof Http.IncomingMessage && socket instanceof Duplex && head instanceof Buffer
    ? { request, socket, head }
    : undefined

/** A socket whose answer is written is destroyed when its peer has kept it for this long, in milliseconds: longer than most round trips. Node itself would wait for the peer, without end. */
const LINGER = 1000

/** The listeners for `finish` and `timeout`, the same for all sockets: one of its own would keep the request for as long as the socket lives. */
function destroy(this: Socket) {
  this.destroy()
}
function linger(this: Socket) {
  this.setTimeout(LINGER, destroy)
}

/** The servers that are guarded. */
const guarded = new WeakSet<Http.Server>()

/** Guards the upgrades of a server: those that `intercept` takes are not announced. Answers what ends the guard; it does nothing to a server that is guarded. */
export const install = (server: Http.Server, intercept: (upgrade: Upgrade) => boolean = () => false): (() => void) => {
  if (guarded.has(server)) return () => undefined
  guarded.add(server)
  // Bound: the answers that the server has under way; it keeps these objects itself.
  const answers = new WeakMap<Duplex, Array<Http.ServerResponse>>()
  const onRequest = ({ socket }: Http.IncomingMessage, response: Http.ServerResponse) => {
    // What follows in the packet of a client that was cut off.
    if (socket.destroyed) return
    const underWay = answers.get(socket)
    if (underWay === undefined) answers.set(socket, [response])
    else {
      while (underWay[0]?.closed) underWay.shift()
      underWay.push(response)
    }
  }
  const { emit } = server
  const announce = (upgrade: Upgrade) => {
    const { head, request, socket } = upgrade
    if (!intercept(upgrade)) {
      Reflect.set(request, UPGRADE, new Announced(request, socket, head))
      Reflect.apply(emit, server, ["upgrade", request, socket, head])
    }
    // No error is told before the next turn: one that is a WebSocket by now needs no listener of the guard's.
    if (socket.listenerCount("error") === 0) socket.on("error", ignoreError)
  }
  server.emit = (event: string | symbol, ...args: ReadonlyArray<unknown>): boolean => {
    const upgrade = event === "upgrade" ? upgradeIn(args) : undefined
    if (upgrade === undefined) return Reflect.apply(emit, server, [event, ...args])
    const { socket } = upgrade
    if (socket instanceof Socket) socket.on("finish", linger)
    const before = answers.get(socket)?.filter((response) => !response.closed)
    // The socket may live long, and has no more answers.
    if (before !== undefined) answers.delete(socket)
    const last = before?.at(-1)
    if (before === undefined || last === undefined) announce(upgrade)
    else {
      socket.on("error", ignoreError)
      // The answers to what was pipelined before must not get into the stream of the new protocol. Node does not tell them any more when
      // the socket takes bytes again.
      const onDrain = () => {
        for (const response of before) response.emit("drain")
      }
      socket.on("drain", onDrain)
      last.once("close", () => {
        socket.off("drain", onDrain)
        if (!socket.destroyed) announce(upgrade)
      })
    }
    return true
  }
  server.prependListener("request", onRequest)
  return () => {
    server.off("request", onRequest)
    server.emit = emit
    guarded.delete(server)
  }
}

const BODY = JSON.stringify({ error: "closing", message: "the gateway is going away" })

const UNAVAILABLE = { "content-type": "application/json", "retry-after": "1", connection: "close" }

/**
 * A node server whose upgrades are safe, for the layers of `NodeHttpServer`: a client that resets its socket does not end the process, what a
 * client sends right behind its upgrade is not lost, and an upgrade pipelined behind another request waits for its answer. While nothing
 * serves, which is so before the routes are built and after a drain, it answers with 503.
 *
 * @example
 * ```ts
 * NodeHttpServer.layer(NodeServer.guard(createServer), { port: 3001 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const guard =
  (evaluate: () => Http.Server, intercept?: (upgrade: Upgrade) => boolean): (() => Http.Server) =>
  () => {
    const server = evaluate()
    install(server, intercept)
    server.on("request", (_request, response: Http.ServerResponse) => {
      if (server.listenerCount("request") === OWN_LISTENERS) response.writeHead(503, UNAVAILABLE).end(BODY)
    })
    server.on("upgrade", (request, socket) => {
      if (server.listenerCount("upgrade") > 1) return
      const response = new Http.ServerResponse(request)
      if (socket instanceof Socket) response.assignSocket(socket)
      response
        .once("finish", () => socket.end())
        .writeHead(503, UNAVAILABLE)
        .end(BODY)
    })
    return server
  }

/** Of `request`: the one that watches answers, and the one that gives them where no other does. */
const OWN_LISTENERS = 2
