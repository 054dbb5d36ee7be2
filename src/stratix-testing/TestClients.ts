/**
 * Scripted clients: what a gateway author's tests connect, freeze, drop and read.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { type ClientMessage, EVENTS, ServerMessage } from "../stratix-core/stratix-protocol.js"
import type { Refusal } from "../stratix-gateway/transport/Refusal.js"

/** How a client connects and behaves.
 * @since 0.1.0
 * @category models */
export interface ConnectOptions {
  /** Path of the upgrade request; if absent `/`, over real sockets the `path` of the settings. */
  readonly path?: string
  /** Query string without the question mark. */
  readonly query?: string
  /** Subprotocols it offers. */
  readonly protocols?: ReadonlyArray<string>
  readonly headers?: { readonly [name: string]: string }
  /** Whether it answers pings; `true` if absent. */
  readonly answersPings?: boolean
  /** Where it seems to come from; `127.0.0.1` if absent. Over real sockets it must be an address of this machine. */
  readonly remoteAddress?: string
}

/** How a connection ended for its client. 1006: without a close frame.
 * @since 0.1.0
 * @category models */
export interface Closed {
  readonly code: number
  readonly reason: string
}

/** One client.
 * @since 0.1.0
 * @category models */
export interface TestClient {
  /** The subprotocol the server selected. */
  readonly subprotocol: string | undefined
  /** The next message that was not taken yet; waits for it. The events of a `stratix:events` are taken one by one. The offsets of sync mode are
   * in `raw` only. */
  readonly take: Effect.Effect<ServerMessage>
  /** The next `count` messages; waits for them. */
  readonly takeN: (count: number) => Effect.Effect<ReadonlyArray<ServerMessage>>
  /** Every message so far, taken or not; events one by one. */
  readonly received: Effect.Effect<ReadonlyArray<ServerMessage>>
  /** Every frame so far as text, to the letter. */
  readonly raw: Effect.Effect<ReadonlyArray<string>>
  /** How many pings came. */
  readonly pings: Effect.Effect<number>
  readonly isOpen: Effect.Effect<boolean>
  /** How it ended; waits for it. */
  readonly closed: Effect.Effect<Closed>
  /** Sends a message of the protocol. */
  readonly send: (message: ClientMessage) => Effect.Effect<void>
  /** Sends any text: junk too. */
  readonly sendText: (text: string) => Effect.Effect<void>
  readonly sendBinary: (bytes: Uint8Array) => Effect.Effect<void>
  /** Sends a pong nobody asked for, or a late one. */
  readonly pong: Effect.Effect<void>
  /** Stops reading: what the server writes stays with the server. */
  readonly freeze: Effect.Effect<void>
  /** Reads on, beginning with what waited. */
  readonly thaw: Effect.Effect<void>
  /** Vanishes without a close frame. */
  readonly drop: Effect.Effect<void>
  /** Closes properly; 1000 if absent. */
  readonly close: (code?: number) => Effect.Effect<void>
}

/** Makes clients of the gateway under test.
 * @since 0.1.0
 * @category tags */
export class TestClients extends Context.Tag("stratix/TestClients")<
  TestClients,
  { readonly connect: (options?: ConnectOptions) => Effect.Effect<TestClient, Refusal> }
>() {}

/** Connects a client; it has its welcome when the server has written it.
 * @since 0.1.0
 * @category constructors */
export const connect = (options: ConnectOptions = {}): Effect.Effect<TestClient, Refusal, TestClients> =>
  Effect.flatMap(TestClients, (clients) => clients.connect(options))

const decode = Schema.decodeUnknown(Schema.parseJson(ServerMessage))

const decodeEvents = Schema.decodeOption(
  Schema.parseJson(
    Schema.Struct({
      eventType: Schema.Literal(EVENTS),
      payload: Schema.Struct({ events: Schema.Array(Schema.Unknown) })
    })
  )
)

/** The messages in a frame: of a `stratix:events` its events. */
const messagesIn = (frame: string): ReadonlyArray<string> =>
  Option.match(decodeEvents(frame), {
    onNone: () => [frame],
    onSome: ({ payload }) => payload.events.map((event) => JSON.stringify(event))
  })

/** What a client has received: the part that is the same whatever carries it.
 * @since 0.1.0
 * @category internal */
export class Inbox {
  readonly texts: Array<string> = []
  private readonly messages: Array<string> = []
  pings = 0
  private readonly queue: Queue.Queue<string> = Effect.runSync(Queue.unbounded<string>())
  private readonly ending = Deferred.unsafeMake<Closed>(FiberId.none)
  private ended = false

  onText(text: string): void {
    this.texts.push(text)
    for (const message of messagesIn(text)) {
      this.messages.push(message)
      this.queue.unsafeOffer(message)
    }
  }

  end(closed: Closed): void {
    this.ended = true
    Deferred.unsafeDone(this.ending, Exit.succeed(closed))
  }

  readonly take: TestClient["take"] = Queue.take(this.queue).pipe(Effect.flatMap(decode), Effect.orDie)
  readonly takeN = (count: number): Effect.Effect<ReadonlyArray<ServerMessage>> =>
    Effect.replicateEffect(this.take, count)
  readonly received: TestClient["received"] = Effect.suspend(() =>
    Effect.forEach(this.messages, (message) => decode(message))
  ).pipe(Effect.orDie)
  readonly raw: TestClient["raw"] = Effect.sync(() => [...this.texts])
  readonly isOpen: TestClient["isOpen"] = Effect.sync(() => !this.ended)
  readonly closed: TestClient["closed"] = Deferred.await(this.ending)
}
