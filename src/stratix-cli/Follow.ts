/**
 * The log of a gateway followed from a terminal: events, how true they are, and what was left out.
 */
import type { IncomingMessage } from "node:http"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import WebSocket from "ws"
import {
  connect,
  type Filter,
  type Freshness,
  type StatusClientError,
  type StatusEvent,
  type StatusState
} from "../stratix-client/StatusClient.js"
import * as Types from "../stratix-core/event-types.js"
import { eventKey } from "../stratix-core/stratix-protocol.js"
import { type CliError, failed, usage } from "./CliError.js"
import { explain, explainStatus, type Gateway } from "./Gateway.js"

/** One thing that happened, in its order.
 *
 * - `Event`: `inFirstSnapshot` says that it is of the state the gateway had when the command began.
 * - `Freshness`: `trouble` says why there is no connection, where that is known.
 * - `Lost`: the gateway could not give everything: `events` without a key were left out, and of the others only the newest came. */
export type Item =
  | { readonly _tag: "Event"; readonly event: StatusEvent; readonly inFirstSnapshot: boolean }
  | { readonly _tag: "Freshness"; readonly freshness: Freshness; readonly trouble: string | undefined }
  | { readonly _tag: "Lost"; readonly events: number }

/** Items that wait to be taken, above which the connection is not read any more. The gateway then keeps for it no more than a cursor. */
const PAUSE_ABOVE = 8192

/** Of a refusal's body, in bytes: a gateway answers with a line. */
const MAX_BODY = 8192

/** Whether the event is what is known of its key already. */
const isImmediate = (
  { agentInfos, agents, commands }: StatusState,
  { eventType, offset, payload }: StatusEvent
): boolean => {
  if (offset === undefined) return false
  const of = (id: unknown) => (typeof id === "string" ? id : "")
  const key = eventKey({ eventType, payload })
  const found =
    eventType === Types.AGENT_STATUS_UPDATE
      ? agents.get(of(payload["agentId"]))
      : eventType === Types.COMMAND_STATUS_UPDATE
        ? commands.get(of(payload["commandId"]))
        : agentInfos.get(of(payload["agentId"]))
  return key !== undefined && found?.offset === offset
}

/** What was said about a connection that did not come about. */
interface Trouble {
  message: string | undefined
  /** It will not be otherwise the next time. */
  final: boolean
}

/** Requests that may go better the next time. */
const isTransient = (status: number) => status === 408 || status === 429 || status >= 500

/** The WebSocket of `ws`, with the token in a header (a subprotocol cannot carry every token), and with ears for why it is refused. */
const socketClass = (gateway: Gateway, trouble: Trouble, opened: (socket: WebSocket) => void) =>
  class extends WebSocket {
    constructor(url: string, protocols: Array<string>) {
      const { token } = gateway
      super(
        url,
        protocols,
        token === undefined ? {} : { headers: { authorization: `Bearer ${Redacted.value(token)}` } }
      )
      this.on("unexpected-response", (_request, response: IncomingMessage) => {
        const { statusCode = 0 } = response
        const chunks: Array<Buffer> = []
        let size = 0
        const end = () => {
          trouble.message = explainStatus(statusCode, Buffer.concat(chunks).toString("utf8"), gateway)
          trouble.final = !isTransient(statusCode)
          this.terminate()
        }
        response.on("data", (chunk: Buffer) => {
          size += chunk.length
          if (size <= MAX_BODY) chunks.push(chunk)
          else end()
        })
        response.once("end", end).once("error", end)
      })
      this.on("error", (error) => {
        trouble.message ??= explain(error, gateway)
      })
      this.on("open", () => {
        trouble.message = undefined
        opened(this)
      })
    }
  }

/** Follows the gateway until the scope closes, and gives everything that happens, in order, to `handle`; ends when the gateway ends
 * the connection for good (1000). Whatever `handle` takes its time with waits in the gateway, not here. */
export const follow = <R>(
  gateway: Gateway,
  filter: Filter,
  handle: (items: ReadonlyArray<Item>, state: StatusState) => Effect.Effect<void, CliError, R>
): Effect.Effect<void, CliError, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Bound: PAUSE_ABOVE items, and what one read of a socket (64 KiB) held when it was reached.
      const mailbox = yield* Mailbox.make<Item, CliError>()
      const { resume, state } = yield* subscribe(gateway, filter, mailbox)
      let done = false
      while (!done) {
        const [items, isLast] = yield* mailbox.takeAll
        if (Chunk.isNonEmpty(items)) yield* handle(Chunk.toReadonlyArray(items), state())
        resume()
        done = isLast
      }
    })
  )

const reasons = {
  unauthorized: "the gateway refuses the token",
  forbidden: "the gateway does not allow it",
  rejected: "the gateway ended the connection",
  failed: "no connection is possible"
} as const

const subscribe = (
  gateway: Gateway,
  filter: Filter,
  mailbox: Mailbox.Mailbox<Item, CliError>
): Effect.Effect<{ readonly resume: () => void; readonly state: () => StatusState }, CliError, Scope.Scope> =>
  Effect.gen(function* () {
    const trouble: Trouble = { message: undefined, final: false }
    let socket: WebSocket | undefined
    let isPaused = false
    const offer = (item: Item) => {
      const waiting = Option.getOrElse(mailbox.unsafeSize(), () => 0)
      // While nothing is taken, only the last word on freshness is worth anything, and that comes with the next connection.
      if (isPaused && item._tag === "Freshness" && item.freshness._tag !== "closed") return
      mailbox.unsafeOffer(item)
      if (waiting < PAUSE_ABOVE) return
      isPaused = true
      socket?.pause()
    }
    const onError = ({ cause, message, reason }: StatusClientError) => {
      // The filter is the only thing that is ever asked for.
      if (reason === "ServerError") mailbox.unsafeDone(Exit.fail(failed(String(cause))))
      else if (reason === "HandlerFailed") mailbox.unsafeDone(Exit.die(cause))
      else trouble.message = message
    }

    const client = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          connect(gateway.socket, {
            filter,
            onError,
            // Its own socket is paused where the reader is slow, and says why the gateway refuses.
            transport: "websocket",
            WebSocket: socketClass(gateway, trouble, (opened) => {
              socket = opened
              if (isPaused) opened.pause()
            })
          }),
        catch: (cause) => usage(cause instanceof Error ? cause.message : String(cause))
      }),
      (made) => Effect.sync(made.close)
    )

    let left = 0
    let expectsMore = false
    let isSnapshot = false
    let snapshots = 0
    let known = client.state
    client.on(Types.SYNC, ({ count, lost, mode, more }) => {
      // The steps of a snapshot after its first come as conflated.
      const goesOn = isSnapshot && expectsMore && mode === "conflated"
      if (!goesOn) {
        isSnapshot = mode === "snapshot"
        if (isSnapshot) snapshots++
        known = client.state
      }
      left = count
      expectsMore = more === true
      if (lost > 0 || (mode === "conflated" && !goesOn)) offer({ _tag: "Lost", events: lost })
    })
    client.onEvent((event) => {
      const inSnapshot = isSnapshot && left > 0
      if (left > 0) left--
      // Of what it shows again, only what is new is told again.
      if (inSnapshot && isImmediate(known, event)) return
      offer({ _tag: "Event", event, inFirstSnapshot: inSnapshot && snapshots === 1 })
    })
    const onFreshness = (freshness: Freshness) => {
      if (freshness._tag === "closed") {
        if (freshness.reason === "asked") return
        if (freshness.reason === "ended") mailbox.unsafeDone(Exit.void)
        else {
          const why = freshness.detail === "" ? "" : `: ${freshness.detail}`
          const code = freshness.code === undefined ? "" : ` (${freshness.code})`
          mailbox.unsafeDone(Exit.fail(failed(`${gateway.shown}: ${reasons[freshness.reason]}${why}${code}`)))
        }
        return
      }
      if (trouble.final) mailbox.unsafeDone(Exit.fail(failed(trouble.message ?? "")))
      else offer({ _tag: "Freshness", freshness, trouble: trouble.message })
    }
    client.onFreshness(onFreshness)

    return {
      resume: () => {
        if (!isPaused) return
        isPaused = false
        socket?.resume()
      },
      state: () => client.state
    }
  })
