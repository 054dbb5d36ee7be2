/**
 * The limits of a gateway with workers: the primary counts, and the workers ask it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Link, Topic } from "../channel/Link.js"
import { refusalReasons } from "../telemetry/Metrics.js"
import type { HandshakeOutcome, LimitExceeded, Permit } from "./Permit.js"

/** What is counted. */
export interface Counts {
  readonly acquire: (address: string) => Exit.Exit<Permit, LimitExceeded>
  /** Takes `count` events off the rate of the publisher whose bucket has this key. */
  readonly takePublishes: (key: string, name: string, count: number) => Exit.Exit<void, LimitExceeded>
}

/** The same, asked of another process. */
export interface RemoteCounts {
  readonly acquire: (address: string) => Effect.Effect<Permit, LimitExceeded>
  readonly takePublishes: (key: string, name: string, count: number) => Effect.Effect<void, LimitExceeded>
}

const Exceeded = Schema.parseJson(
  Schema.Struct({
    reason: Schema.Literal(...refusalReasons),
    status: Schema.Literal(429, 503),
    message: Schema.String,
    retryAfterSeconds: Schema.Number
  })
)
const encode = Schema.encodeSync(Exceeded)
const decode = Schema.decodeSync(Exceeded)

/** An empty answer: it may. */
const answerOf = <A>(exit: Exit.Exit<A, LimitExceeded>): ReadonlyArray<string> => {
  if (Exit.isSuccess(exit)) return []
  const exceeded = Cause.failureOption(exit.cause)
  return Option.isSome(exceeded) ? [encode(exceeded.value)] : []
}

const RELEASED = "released"

/** Counts for the worker at the other end of a link. What it holds when it ends is given back. */
export const serve = (counts: Counts, link: Link): void => {
  const permits = new Map<string, Permit>()
  link.answer(Topic.acquire, ([id = "", address = ""], reply) => {
    const acquired = counts.acquire(address)
    if (Exit.isSuccess(acquired)) permits.set(id, acquired.value)
    reply(answerOf(acquired))
  })
  link.on(Topic.permitChanged, ([id = "", change]) => {
    const permit = permits.get(id)
    if (permit === undefined) return
    if (change === "admitted" || change === "refused" || change === "undecided") permit.handshakeDone(change)
    else {
      permits.delete(id)
      permit.release()
    }
  })
  link.answer(Topic.takePublishes, ([key = "", name = "", count], reply) =>
    reply(answerOf(counts.takePublishes(key, name, Number(count))))
  )
  link.closed(() => {
    for (const permit of permits.values()) {
      permit.handshakeDone("undecided")
      permit.release()
    }
    permits.clear()
  })
}

/** Asks the process at the other end of a link. */
export const remote = (link: Link): RemoteCounts => {
  let ids = 0
  const gone: LimitExceeded = {
    reason: "closing",
    status: 503,
    message: "the gateway is going away",
    retryAfterSeconds: 1
  }
  const ask = (topic: Topic, texts: ReadonlyArray<string>): Effect.Effect<void, LimitExceeded> =>
    Effect.flatMap(link.ask(topic, texts), (answer) => {
      if (answer === undefined) return Effect.fail(gone)
      const [exceeded] = answer
      return exceeded === undefined ? Effect.void : Effect.fail(decode(exceeded))
    })
  return {
    acquire: (address) =>
      Effect.suspend(() => {
        const id = String(++ids)
        const change = (to: HandshakeOutcome | typeof RELEASED) => link.send(Topic.permitChanged, [id, to])
        let isDone = false
        let isReleased = false
        const permit: Permit = {
          handshakeDone: (outcome) => {
            if (!isDone) change(outcome)
            isDone = true
          },
          release: () => {
            if (!isReleased) change(RELEASED)
            isReleased = true
          }
        }
        return ask(Topic.acquire, [id, address]).pipe(
          Effect.as(permit),
          // The client may leave before the answer, which finds no taker.
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              permit.handshakeDone("undecided")
              permit.release()
            })
          )
        )
      }),
    takePublishes: (key, name, count) => ask(Topic.takePublishes, [key, name, String(count)])
  }
}
