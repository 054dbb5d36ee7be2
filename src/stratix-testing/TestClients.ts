/**
 * Scripted clients: what a gateway author's tests connect, freeze, drop and read.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
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
  /** Path of the upgrade request; if absent `/`, over real sockets the `path` of the settings or, for an event stream, its route. */
  readonly path?: string
  /** Query string without the question mark. */
  readonly query?: string
  /** Subprotocols it offers. */
  readonly protocols?: ReadonlyArray<string>
  /** Asks for an event stream instead of a WebSocket: it hears what a sync client hears, and cannot send. */
  readonly stream?: boolean
  readonly headers?: { readonly [name: string]: string }
  /** Whether it answers pings; `true` if absent. */
  readonly answersPings?: boolean
  /** Where it seems to come from; `127.0.0.1` if absent. Over real sockets it must be an address of this machine. */
  readonly remoteAddress?: string
  /** How long `take` waits for a message, on the live clock even in virtual time; 5 seconds if absent. */
  readonly takeTimeout?: Duration.DurationInput
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
  /** The next message not taken yet; waits for it. Dies with a list of what had arrived if none comes within `takeTimeout`, or none can: the
   * connection has ended. The events of a `stratix:events` are taken one by one. The offsets of sync mode are in `raw` only. */
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
  /** Sends an unsolicited or late pong. */
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

// With the fields that the protocol does not name.
const decode = Schema.decodeUnknown(Schema.parseJson(ServerMessage), { onExcessProperty: "preserve" })

const decodeEvents = Schema.decodeOption(
  Schema.parseJson(
    Schema.Struct({
      eventType: Schema.Literal(EVENTS),
      payload: Schema.Struct({ events: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })) })
    })
  )
)

/** The messages in a frame: of a `stratix:events` its events. */
const messagesIn = (frame: string): ReadonlyArray<string> =>
  Option.match(decodeEvents(frame), {
    onNone: () => [frame],
    onSome: ({ payload }) => payload.events.map(({ offset: _, ...event }) => JSON.stringify(event))
  })

/** `take` waits in steps, so that the time in which a busy machine does not run this process does not count. */
const WAIT_STEPS = 50

/** Messages that an error lists, from the newest, and characters of each: what fits a screen. */
const LISTED = { messages: 20, characters: 160 }

const shorten = (text: string): string =>
  text.length <= LISTED.characters ? text : `${text.slice(0, LISTED.characters)}…`

/** What a client has received: the part that is the same whatever carries it. */
export class Inbox {
  readonly texts: Array<string> = []
  private readonly messages: Array<string> = []
  pings = 0
  // Bound: what one test sends to one client.
  private readonly queue: Queue.Queue<string> = Effect.runSync(Queue.unbounded<string>())
  private readonly ending = Deferred.unsafeMake<Closed>(FiberId.none)
  private closedWith: Closed | undefined = undefined
  /** What has come of a message of a stream. */
  private rest = ""
  private readonly patience: Duration.Duration

  constructor({ takeTimeout = "5 seconds" }: Pick<ConnectOptions, "takeTimeout"> = {}) {
    this.patience = Duration.decode(takeTimeout)
  }

  onText(text: string): void {
    this.texts.push(text)
    for (const message of messagesIn(text)) {
      this.messages.push(message)
      this.queue.unsafeOffer(message)
    }
  }

  /** A part of an event stream that is cut anywhere: each message is taken once it is complete. */
  onStream(part: string): void {
    const messages = `${this.rest}${part}`.split("\n\n")
    this.rest = messages.pop() ?? ""
    for (const message of messages) {
      const data = message.split("\n").find((line) => line.startsWith("data: "))
      if (data !== undefined) this.onText(data.slice("data: ".length))
      else if (message === ":") this.pings++
    }
  }

  end(closed: Closed): void {
    this.closedWith = closed
    Deferred.unsafeDone(this.ending, Exit.succeed(closed))
  }

  private missing(why: string): Error {
    const count = this.messages.length
    const listed = this.messages.slice(-LISTED.messages).map((message) => `\n  ${shorten(message)}`)
    const which = count > listed.length ? `the last ${listed.length} of ${count}` : `all ${count}`
    return new Error(`${why}; ${count === 0 ? "it had received none" : `it had received, ${which}:${listed.join("")}`}`)
  }

  /** The live clock: in virtual time nothing would end the wait. */
  private readonly gaveUp: Effect.Effect<never> = Effect.suspend(() =>
    Effect.sleep(Duration.times(this.patience, 1 / WAIT_STEPS))
  ).pipe(
    Effect.repeatN(WAIT_STEPS - 1),
    Effect.withClock(Clock.make()),
    Effect.flatMap(() =>
      Effect.die(this.missing(`the client got no further message within ${Duration.format(this.patience)}`))
    )
  )

  private readonly next: Effect.Effect<string> = Effect.flatMap(Queue.poll(this.queue), (message) => {
    if (Option.isSome(message)) return Effect.succeed(message.value)
    if (this.closedWith !== undefined) {
      return Effect.die(
        this.missing(`the client gets no further message: its connection ended (${this.closedWith.code})`)
      )
    }
    return Effect.raceFirst(Queue.take(this.queue), this.gaveUp)
  })

  readonly take: TestClient["take"] = this.next.pipe(Effect.flatMap(decode), Effect.orDie)
  readonly takeN = (count: number): Effect.Effect<ReadonlyArray<ServerMessage>> =>
    Effect.replicateEffect(this.take, count)
  readonly received: TestClient["received"] = Effect.suspend(() =>
    Effect.forEach(this.messages, (message) => decode(message))
  ).pipe(Effect.orDie)
  readonly raw: TestClient["raw"] = Effect.sync(() => [...this.texts])
  readonly isOpen: TestClient["isOpen"] = Effect.sync(() => this.closedWith === undefined)
  readonly closed: TestClient["closed"] = Deferred.await(this.ending)
}
