/** A platform for the client that only moves when told to: time, chance, wake-up signs and sockets. */
import type { Environment, Fetch, WebSocketLike } from "../../../src/stratix-client/Environment.js"
import {
  connect,
  type Freshness,
  type StatusClient,
  type StatusClientError,
  type StatusClientOptions
} from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"

const HEARTBEAT = { intervalMs: 30_000, timeoutMs: 60_000 }

type CloseEvent = { readonly code: number; readonly reason: string; readonly wasClean: boolean }

/** The client's end of a connection, with the server's end in its methods. */
export class FakeSocket implements WebSocketLike {
  protocol = ""
  /** The `sentAt` of the messages that come in; none where it is absent. */
  sentAt: number | undefined
  readonly sent: Array<unknown> = []
  /** What the client closed with; `null`: without a code. */
  closedWith: number | null | undefined
  /** Called with everything the client sends. */
  onSend: (message: unknown) => void = () => undefined
  /** Called when the client closes. */
  onClose: () => void = () => undefined
  private readonly messageListeners: Array<(event: { readonly data: unknown }) => void> = []
  private readonly closeListeners: Array<(event: CloseEvent) => void> = []

  constructor(
    readonly url: string,
    readonly protocols: ReadonlyArray<string>
  ) {}

  get query(): string {
    return this.url.slice(this.url.indexOf("?") + 1)
  }

  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void
  addEventListener(type: "close", listener: (event: CloseEvent) => void): void
  addEventListener(type: "error", listener: () => void): void
  addEventListener(
    ...[type, listener]:
      | ["message", (event: { readonly data: unknown }) => void]
      | ["close", (event: CloseEvent) => void]
      | ["error", () => void]
  ): void {
    if (type === "message") this.messageListeners.push(listener)
    if (type === "close") this.closeListeners.push(listener)
  }

  send(data: string): void {
    const message: unknown = JSON.parse(data)
    this.sent.push(message)
    this.onSend(message)
  }

  close(code?: number): void {
    this.closedWith ??= code ?? null
    this.onClose()
  }

  /** A frame comes in. */
  frame(data: unknown): void {
    for (const listener of this.messageListeners) listener({ data })
  }

  message(eventType: string, payload: object, offset?: string, key?: string): void {
    const envelope = { eventType, payload, timestamp: 0, requestId: "stratix-req-0" }
    // Absent where it is undefined.
    this.frame(JSON.stringify({ ...envelope, offset, key, sentAt: this.sentAt }))
  }

  welcome(
    protocol: string = Types.SYNC_PROTOCOL,
    heartbeat: { intervalMs: number; timeoutMs: number; keepAliveMs?: number } = HEARTBEAT,
    log?: string
  ): void {
    this.protocol = protocol
    const sync = protocol === Types.SYNC_PROTOCOL
    this.message(Types.CONNECTED, {
      message: Types.WELCOME_MESSAGE,
      ...(sync && { connectionId: "conn-1", head: "head", epoch: log, heartbeat })
    })
  }

  sync(mode: "snapshot" | "resume" | "conflated", to: string, count: number, more = false): void {
    this.message(Types.SYNC, { mode, to, count, lost: 0, ...(more && { more }) })
  }

  /** Welcome, and a snapshot of nothing: the client is live. */
  live(to = "o0"): void {
    this.welcome()
    this.sync("snapshot", to, 0)
  }

  agent(agentId: string, status: string, offset?: string): void {
    this.message(Types.AGENT_STATUS_UPDATE, { agentId, status }, offset)
  }

  heartbeat(at?: number): void {
    this.message(Types.HEARTBEAT, { head: "head", at })
  }

  /** The connection ends. 1006: without a close frame. */
  end(code = 1006, reason = ""): void {
    for (const listener of this.closeListeners) listener({ code, reason, wasClean: code !== 1006 })
  }
}

/** The client's end of an event stream, with the gateway's end in its methods. What it is told arrives in a later turn. */
export class FakeStream extends FakeSocket {
  private respond: (response: Response) => void = () => undefined
  private reject: (cause: unknown) => void = () => undefined
  private body: ReadableStreamDefaultController<Uint8Array> | undefined
  readonly response: Promise<Response>

  constructor(
    url: string,
    readonly headers: Headers,
    signal: AbortSignal
  ) {
    super(url, [])
    this.response = new Promise((resolve, reject) => {
      this.respond = resolve
      this.reject = reject
    })
    signal.addEventListener("abort", () => {
      const cause = new DOMException("aborted", "AbortError")
      this.reject(cause)
      this.body?.error(cause)
      this.close()
    })
  }

  write(text: string): void {
    this.bytes(new TextEncoder().encode(text))
  }

  /** Bytes come in; the first of them after the head of the answer. */
  bytes(bytes: Uint8Array): void {
    if (this.body === undefined) {
      this.respond(
        new Response(
          new ReadableStream({
            start: (controller) => {
              this.body = controller
            }
          })
        )
      )
    }
    this.body?.enqueue(bytes)
  }

  override frame(data: unknown): void {
    this.write(`data: ${data}\n\n`)
  }

  /** An answer that is no stream. */
  refuse(status: number, headers: Record<string, string> = {}, text = ""): void {
    this.respond(new Response(text, { status, headers }))
  }

  /** No answer, or the end of it. */
  override end(): void {
    this.reject(new TypeError("fetch failed"))
    this.body?.close()
  }
}

interface Timer {
  due: number
  readonly task: () => void
}

/** When it all begins: an arbitrary moment, so that a time of 0 would be noticed. */
export const BEGIN = 1_700_000_000_000

export class World {
  time = BEGIN
  /** The next values of `random`, then 0.5. */
  readonly chance: Array<number> = []
  readonly sockets: Array<FakeSocket> = []
  /** The pauses the client asked for, with the timers that are still set. */
  readonly timers = new Set<Timer>()
  readonly wakers = new Set<() => void>()
  /** Called with every socket the client makes. */
  onSocket: (socket: FakeSocket) => void = () => undefined

  /** By how much the wall clock was set. */
  private wallSet = 0
  /** Tasks for the next frame. */
  private readonly frames = new Set<{ readonly task: () => void }>()

  readonly environment: Environment = {
    now: () => this.time + this.wallSet,
    monotonic: () => this.time,
    random: () => this.chance.shift() ?? 0.5,
    setTimer: (task, millis) => {
      const timer = { due: this.time + millis, task }
      this.timers.add(timer)
      return () => this.timers.delete(timer)
    },
    onFrame: (task) => {
      const frame = { task }
      this.frames.add(frame)
      return () => this.frames.delete(frame)
    },
    onWake: (wake) => {
      this.wakers.add(wake)
      return () => this.wakers.delete(wake)
    }
  }

  get WebSocket(): new (
    url: string,
    protocols: Array<string>
  ) => FakeSocket {
    const world = this
    return class extends FakeSocket {
      constructor(url: string, protocols: Array<string>) {
        super(url, protocols)
        world.sockets.push(this)
        world.onSocket(this)
      }
    }
  }

  /** Makes a `FakeStream`, which is then among the sockets. */
  readonly fetch: Fetch = (url, { headers, signal }) => {
    const stream = new FakeStream(url, headers, signal)
    this.sockets.push(stream)
    this.onSocket(stream)
    return stream.response
  }

  /** The newest socket, which is an event stream. */
  get stream(): FakeStream {
    const { socket } = this
    if (!(socket instanceof FakeStream)) throw new Error("the client's newest connection is a WebSocket")
    return socket
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error("the client has made no socket yet")
    return socket
  }

  /** Time until the next timer; `undefined`: none is set. */
  get nextTimer(): number | undefined {
    return this.timers.size === 0 ? undefined : Math.min(...[...this.timers].map(({ due }) => due)) - this.time
  }

  /** Time goes on, and every timer runs at its moment. */
  advance(millis: number): void {
    const end = this.time + millis
    for (;;) {
      const [next] = [...this.timers].sort((left, right) => left.due - right.due)
      if (next === undefined || next.due > end) break
      this.time = Math.max(this.time, next.due)
      this.timers.delete(next)
      next.task()
    }
    this.time = end
  }

  /** Time goes on, and no timer runs: the machine is suspended, or the tab is throttled. */
  suspend(millis: number): void {
    this.time += millis
  }

  /** Time goes on, but not for the timers: a suspended machine whose timers count only while it is awake. */
  sleep(millis: number): void {
    this.time += millis
    for (const timer of this.timers) timer.due += millis
  }

  /** Somebody sets the wall clock. */
  setClock(millis: number): void {
    this.wallSet += millis
  }

  /** A frame is drawn. */
  frame(): void {
    for (const frame of [...this.frames]) {
      if (this.frames.delete(frame)) frame.task()
    }
  }

  /** Timers that are overdue run. */
  resume(): void {
    this.advance(0)
  }

  wake(): void {
    for (const waker of [...this.wakers]) waker()
  }

  connect(options: StatusClientOptions = {}): Observed {
    return new Observed(this, options)
  }
}

/** A client, and all it said. */
export class Observed {
  readonly client: StatusClient
  readonly errors: Array<StatusClientError> = []
  readonly freshness: Array<Freshness> = []

  constructor(world: World, options: StatusClientOptions) {
    this.client = connect("ws://gateway.test:3001/", {
      WebSocket: world.WebSocket,
      fetch: world.fetch,
      // What does not ask for a stream is about WebSockets.
      transport: "websocket",
      environment: world.environment,
      onError: (error) => this.errors.push(error),
      ...options
    })
    this.client.onFreshness((freshness) => this.freshness.push(freshness))
  }

  get tag(): Freshness["_tag"] {
    return this.client.freshness._tag
  }

  /** Agents and their states as shown. */
  get agents(): Record<string, string> {
    return Object.fromEntries([...this.client.state.agents].map(([id, event]) => [id, event.payload.status]))
  }
}

/** A client that is live. */
export const live = (world = new World(), options: StatusClientOptions = {}): Observed => {
  const observed = world.connect(options)
  world.socket.live()
  return observed
}

/** Lets promises that are ready go on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export const thrown = (error: Error): never => {
  throw error
}
