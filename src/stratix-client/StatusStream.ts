/**
 * The client for Effect programs: the same core as `StatusClient`, as a scoped service, on Effect's clock and randomness.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import { platform } from "./Environment.js"
import {
  connect,
  type Fetch,
  type Filter,
  type Freshness,
  type StatusClientError,
  type StatusClientOptions,
  type StatusEvent,
  type StatusState,
  type Transport,
  type Unsubscribe,
  type WebSocketConstructor
} from "./StatusClient.js"

/** The client has ended, or could not begin. `Unauthorized`: the gateway refuses the token and there is no effect to get another one
 * (4401). `Forbidden`: not allowed (4403). `Rejected`: for what was sent (1003, 1007, 1008, 1009). `Failed`: the platform does not take
 * the address or the token. `InvalidOptions`: the address or the filter is none, or there is no WebSocket.
 * @since 0.1.0
 * @category errors */
export class StatusStreamError extends Schema.TaggedError<StatusStreamError>("stratix/StatusStreamError")(
  "StatusStreamError",
  {
    reason: Schema.Literal("Unauthorized", "Forbidden", "Rejected", "Failed", "InvalidOptions"),
    /** The close code of the gateway, where there was one. */
    code: Schema.optionalWith(Schema.Number, { exact: true }),
    detail: Schema.String,
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return this.code === undefined ? this.detail : `${this.detail} (${this.code})`
  }
}

/** How to connect. Everything but `url` has a default.
 * @since 0.1.0
 * @category models */
export interface Options<R = never> {
  readonly url: string | URL
  /** Which events; all of them by default. */
  readonly filter?: Filter
  /** A bearer token, or the effect that gets one: run before every attempt; if it fails, it is run again after the usual pause. */
  readonly token?: Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, unknown, R>
  /** The platform's by default. Node before 22 has none: give the one of `ws`. */
  readonly WebSocket?: WebSocketConstructor
  /** `auto`: a WebSocket, and the event stream where those do not get through; or one of them only. `auto` by default. */
  readonly transport?: Transport | "auto"
  /** Where the event stream is; by default `api/stratix/stream` beside `url`. */
  readonly streamUrl?: string | URL
  /** For the event stream; the platform's by default. */
  readonly fetch?: Fetch
  /** `plain` for a gateway without `stratix.sync.v1`. `sync` by default. */
  readonly mode?: "sync" | "plain"
  /** Longest first pause before coming back; doubles with every attempt that fails. 1 second. */
  readonly backoffBase?: Duration.DurationInput
  /** Longest pause ever, the gateway's own wish aside. 30 seconds. */
  readonly backoffCap?: Duration.DurationInput
  /** How long a connection may take until the welcome, and a probe until any sign of life. 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput
  /** Age of what is processed here, above which the client is `behind`. 2 seconds. */
  readonly maxLag?: Duration.DurationInput
  /** Silence above which it is `stale`. By default two and a half times the interval in which the gateway promises a word: 10 seconds. */
  readonly maxSilence?: Duration.DurationInput
  /** Events kept for each consumer of `events`; a slower one loses the oldest. 1,024. */
  readonly bufferSize?: number
}

/** What a gateway says, followed over connections that come and go.
 * @since 0.1.0
 * @category tags */
export class StatusStream extends Context.Tag("stratix/StatusStream")<
  StatusStream,
  {
    /** Every event of the log while the stream runs. Ends with the scope, or when the gateway ends the connection for good (1000). A
     * consumer more than `bufferSize` behind loses the oldest; `state` misses nothing. */
    readonly events: Stream.Stream<StatusEvent, StatusStreamError>
    /** The newest event of each agent, command and agent info. `changes` begins with the present one; a slow consumer gets the newest. */
    readonly state: Subscribable.Subscribable<StatusState>
    /** How true `state` is. `changes` begins with the present one and ends after `closed`. */
    readonly freshness: Subscribable.Subscribable<Freshness>
    /** What carries the connection there is, or the attempt. */
    readonly transport: Effect.Effect<Transport>
    /** When the next attempt to connect begins, in milliseconds since the epoch, if one is waited for. */
    readonly nextAttemptAt: Effect.Effect<Option.Option<number>>
    /** Does not wait for it, unless a gateway that drains asked for that. Where there is a connection, asks for a sign of life. */
    readonly retryNow: Effect.Effect<void>
    /** Asks for other events from now on, also after reconnects. */
    readonly subscribe: (filter: Filter) => Effect.Effect<void, StatusStreamError>
  }
>() {}

const DEFAULT_BUFFER_SIZE = 1024

/** Changes of freshness kept for each consumer; a slower one loses the oldest. Enough for minutes of attempts. */
const FRESHNESS_BUFFER_SIZE = 64

const reasons = {
  unauthorized: "Unauthorized",
  forbidden: "Forbidden",
  rejected: "Rejected",
  failed: "Failed"
} as const

/** Why `events` fails, or `undefined` where it just ends. */
const failureOf = (freshness: Freshness): StatusStreamError | undefined => {
  if (freshness._tag !== "closed" || freshness.reason === "asked" || freshness.reason === "ended") return undefined
  const { code, detail, reason } = freshness
  return new StatusStreamError({
    reason: reasons[reason],
    detail: detail || reason,
    ...(code !== undefined && { code })
  })
}

const attempt = <A>(evaluate: () => A): Effect.Effect<A, StatusStreamError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) =>
      new StatusStreamError({
        reason: "InvalidOptions",
        detail: cause instanceof Error ? cause.message : String(cause),
        cause
      })
  })

/** Connects, and stays connected until the scope closes.
 * @since 0.1.0
 * @category constructors */
export const make = <R = never>(
  options: Options<R>
): Effect.Effect<typeof StatusStream.Service, StatusStreamError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const random = yield* Effect.random
    // Released after the client: its timers, its token and its reports are fibers of this set.
    const fibers = yield* FiberSet.make<unknown, unknown>()
    const fork = yield* FiberSet.runtime(fibers)<R>()
    const promise = yield* FiberSet.runtimePromise(fibers)<R>()

    const report = (error: StatusClientError) => {
      fork(Effect.logWarning(error.message, error.cause).pipe(Effect.annotateLogs("module", "StatusStream")))
    }
    const {
      backoffBase,
      backoffCap,
      bufferSize = DEFAULT_BUFFER_SIZE,
      connectTimeout,
      maxLag,
      maxSilence,
      token,
      url,
      ...rest
    } = options
    const bearer = (): Pick<StatusClientOptions, "token"> => {
      if (token === undefined) return {}
      if (Redacted.isRedacted(token)) return { token: Redacted.value(token) }
      return { token: () => promise(Effect.map(token, Redacted.value)) }
    }
    const client = yield* Effect.acquireRelease(
      attempt(() =>
        connect(url, {
          ...rest,
          ...bearer(),
          ...(backoffBase !== undefined && { backoffBaseMs: Duration.toMillis(backoffBase) }),
          ...(backoffCap !== undefined && { backoffCapMs: Duration.toMillis(backoffCap) }),
          ...(connectTimeout !== undefined && { connectTimeoutMs: Duration.toMillis(connectTimeout) }),
          ...(maxLag !== undefined && { maxLagMs: Duration.toMillis(maxLag) }),
          ...(maxSilence !== undefined && { maxSilenceMs: Duration.toMillis(maxSilence) }),
          onError: report,
          environment: {
            now: () => clock.unsafeCurrentTimeMillis(),
            monotonic: () => Number(clock.unsafeCurrentTimeNanos()) / 1e6,
            random: () => Effect.runSync(random.next),
            setTimer: (task, millis) => {
              // A sleep of nothing would run the task within the call.
              const pause = millis > 0 ? Effect.sleep(millis) : Effect.yieldNow()
              const fiber = fork(Effect.zipRight(pause, Effect.sync(task)))
              return () => fiber.unsafeInterruptAsFork(FiberId.none)
            },
            onFrame: (task) => {
              const fiber = fork(Effect.zipRight(Effect.yieldNow(), Effect.sync(task)))
              return () => fiber.unsafeInterruptAsFork(FiberId.none)
            },
            onWake: platform.onWake
          }
        })
      ),
      (client) => Effect.sync(client.close)
    )

    /** What is pushed until the client is closed. Bound: `size` for each consumer; the oldest are dropped. */
    const pushed = <A, E = never>(
      size: number,
      listen: (push: (value: A) => void) => Unsubscribe,
      failure: (freshness: Freshness) => E | undefined = () => undefined
    ): Stream.Stream<A, E> =>
      Stream.asyncPush<A, E>(
        (emit) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const finish = (freshness: Freshness) => {
                if (freshness._tag !== "closed") return
                const error = failure(freshness)
                if (error === undefined) emit.end()
                else emit.fail(error)
              }
              const stop = [listen(emit.single), client.onFreshness(finish)]
              finish(client.freshness)
              return stop
            }),
            (stop) =>
              Effect.sync(() => {
                for (const unsubscribe of stop) unsubscribe()
              })
          ),
        { bufferSize: size, strategy: "sliding" }
      )

    return StatusStream.of({
      events: pushed(bufferSize, client.onEvent, failureOf),
      state: Subscribable.make({
        get: Effect.sync(() => client.state),
        // Only that it changed is pushed: reading the state for every event would copy it for every event.
        changes: pushed<void>(1, (push) => {
          push()
          return client.onState(() => push())
        }).pipe(
          Stream.map(() => client.state),
          Stream.changesWith((left, right) => left === right)
        )
      }),
      freshness: Subscribable.make({
        get: Effect.sync(() => client.freshness),
        changes: pushed<Freshness>(FRESHNESS_BUFFER_SIZE, (push) => {
          push(client.freshness)
          return client.onFreshness(push)
        })
      }),
      transport: Effect.sync(() => client.transport),
      nextAttemptAt: Effect.sync(() => Option.fromNullable(client.nextAttemptAt)),
      retryNow: Effect.sync(client.retryNow),
      subscribe: (filter) => attempt(() => client.subscribe(filter))
    })
  })

/** A client as long as the layer is in use.
 * @since 0.1.0
 * @category layers */
export const layer = <R = never>(options: Options<R>): Layer.Layer<StatusStream, StatusStreamError, R> =>
  Layer.scoped(StatusStream, make(options))
