/**
 * Events on their way into a gateway: in order, in batches, at the pace it asks for.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { MAX_EVENTS } from "../stratix-gateway/api/http/StratixApi.js"
import { answerOf } from "../stratix-publisher/Answer.js"
import * as Platform from "../stratix-publisher/Environment.js"
import * as Api from "./Api.js"
import { type CliError, failed } from "./CliError.js"
import { explainStatus, type Gateway } from "./Gateway.js"
import { counted, Output, shortDuration, visible } from "./Output.js"

/** An event, and which line of the input it stands on. */
export interface Line {
  readonly number: number
  /** The event as JSON. */
  readonly json: string
}

/** Publishes what it is given. */
export interface Publisher {
  /** Adds a line, and publishes when a batch is full; waits while the gateway is busy. */
  readonly add: (line: Line) => Effect.Effect<void, CliError, HttpClient.HttpClient>
  /** Publishes what was added and is not yet published. */
  readonly flush: Effect.Effect<void, CliError, HttpClient.HttpClient>
  /** Reports a line that is not an event, after publishing what was added before it. */
  readonly refuse: (line: number, why: string) => Effect.Effect<void, CliError, HttpClient.HttpClient>
  readonly published: () => number
  readonly refused: () => number
}

/** Characters of one request. A gateway takes 4 MiB of UTF-8, unless it was told otherwise. */
const MAX_CHARACTERS = 1024 * 1024

/** How long one batch is retried, in milliseconds. A gateway that is busy for longer has other problems. */
const PATIENCE = 10 * 60 * 1000

/** Pause in seconds if a busy gateway names none. */
const DEFAULT_RETRY = 1

type Outcome =
  | { readonly _tag: "Accepted"; readonly body: string }
  | { readonly _tag: "Refused"; readonly index: number; readonly why: string }
  | { readonly _tag: "TooLarge" }

/** Publishes one batch, retrying while the gateway is busy. Succeeds with its answer. */
export const publish = (
  gateway: Gateway,
  events: ReadonlyArray<string>
): Effect.Effect<Outcome, CliError, HttpClient.HttpClient | Output> =>
  Effect.gen(function* () {
    const output = yield* Output
    const begin = yield* Clock.currentTimeMillis
    const json = events.length === 1 ? events.join() : `[${events.join()}]`
    const idempotencyKey = Platform.platform.newKey()
    while (true) {
      const { body, retryAfter, status } = yield* Api.post(gateway, "/api/stratix/events", json, idempotencyKey)
      const answer = answerOf(status, body, events.length)
      if (answer._tag === "Accepted") return { _tag: "Accepted", body }
      if (answer._tag === "Refused") return { _tag: "Refused", index: answer.index, why: visible(answer.message) }
      if (answer._tag === "TooLarge") return answer
      const now = yield* Clock.currentTimeMillis
      const wait = (retryAfter ?? DEFAULT_RETRY) * 1000
      if (answer._tag !== "Busy" || now - begin + wait > PATIENCE) {
        return yield* failed(explainStatus(status, body, gateway))
      }
      yield* output.progress(`the gateway answers ${status}: waiting ${shortDuration(wait)}`)
      yield* Effect.sleep(wait)
    }
  })

/** A publisher that reports its progress on standard error. Without `keepGoing` it stops at the first refused event. */
export const make = (gateway: Gateway, keepGoing: boolean): Effect.Effect<Publisher, never, Output> =>
  Effect.gen(function* () {
    const output = yield* Output
    const begin = yield* Clock.currentTimeMillis
    // Bound: MAX_EVENTS lines or MAX_CHARACTERS; then they are published before another is taken.
    let waiting: Array<Line> = []
    let size = 0
    let published = 0
    let refused = 0

    const progress = Effect.gen(function* () {
      const seconds = ((yield* Clock.currentTimeMillis) - begin) / 1000
      const rate = seconds > 0 ? `, ${Math.round(published / seconds)} a second` : ""
      yield* output.progress(`published ${counted(published, "event")}${rate}`)
    })
    const complain = (line: number, why: string) =>
      Effect.suspend(() => {
        refused++
        const message = `line ${line}: ${why}`
        if (keepGoing) return output.note(message)
        return failed(
          `${message}; ${published === 0 ? "nothing was published" : `the ${counted(published, "event")} before it ${published === 1 ? "was" : "were"} published`}, and nothing after it`
        )
      })

    const sendAll = (lines: ReadonlyArray<Line>): Effect.Effect<void, CliError, HttpClient.HttpClient> =>
      Effect.gen(function* () {
        const [first] = lines
        if (first === undefined) return
        const outcome = yield* publish(
          gateway,
          lines.map(({ json }) => json)
        ).pipe(Effect.provideService(Output, output))
        switch (outcome._tag) {
          case "Accepted":
            published += lines.length
            return yield* progress
          case "TooLarge": {
            if (lines.length === 1) return yield* complain(first.number, "the event is larger than the gateway takes")
            const half = lines.length >> 1
            yield* sendAll(lines.slice(0, half))
            return yield* sendAll(lines.slice(half))
          }
          case "Refused": {
            const wrong = lines[outcome.index] ?? first
            // A batch is all or nothing: the valid events before it were not published either.
            yield* sendAll(lines.slice(0, outcome.index))
            yield* complain(wrong.number, outcome.why)
            return yield* sendAll(lines.slice(outcome.index + 1))
          }
        }
      })

    const flush = Effect.suspend(() => {
      const lines = waiting
      waiting = []
      size = 0
      return sendAll(lines)
    })

    return {
      add: (line) =>
        Effect.suspend(() => {
          const isFull = waiting.length >= MAX_EVENTS || size + line.json.length > MAX_CHARACTERS
          return Effect.zipRight(
            isFull ? flush : Effect.void,
            Effect.sync(() => {
              waiting.push(line)
              size += line.json.length
            })
          )
        }),
      flush,
      refuse: (line, why) => Effect.zipRight(flush, complain(line, why)),
      published: () => published,
      refused: () => refused
    }
  })

/** Reports, on failure or Ctrl-C, how much was published. */
export const tellIfCutOff =
  (publisher: Publisher) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
    Effect.onError(effect, () =>
      Effect.flatMap(Output, ({ note }) =>
        publisher.published() === 0
          ? Effect.void
          : note(`${counted(publisher.published(), "event")} ${publisher.published() === 1 ? "was" : "were"} published`)
      )
    )

/** Reports how much was published, and fails if anything was refused. */
export const summarise = (publisher: Publisher, since: number): Effect.Effect<void, CliError, Output> =>
  Effect.gen(function* () {
    const output = yield* Output
    const published = publisher.published()
    const took = (yield* Clock.currentTimeMillis) - since
    yield* output.note(`published ${counted(published, "event")} in ${shortDuration(took)}`)
    const refused = publisher.refused()
    if (refused > 0) yield* failed(`${counted(refused, "line")} ${refused === 1 ? "was" : "were"} refused`)
  })
