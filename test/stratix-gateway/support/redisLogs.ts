/** Logs of several gateways on one Redis, and readers that go from one to the other. */
import { Clock, Context, Effect, Layer, Redacted, type Scope } from "effect"
import { EventLog, EventLogRedis, type Filter, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { quiet } from "./gateway.js"

export type Log = EventLog.EventLog["Type"]

/** An append may take as long as the machine takes it. */
export const patient = { eventLogTimeout: "30 seconds" } as const

let namespaces = 0

/** A namespace that no other test has. */
export const newNamespace = (): string => `test-${process.pid}-${++namespaces}`

/** The log of one gateway, on real time. */
export const openLog = (
  url: string,
  namespace: string,
  settings: Partial<StatusSyncConfig.Settings> = patient,
  logger: Layer.Layer<never> = quiet
): Effect.Effect<Log, EventLog.EventLogStartError | StatusSyncConfig.ConfigInvalid, Scope.Scope> =>
  EventLogRedis.layer({ url: Redacted.make(url), namespace }).pipe(
    Layer.provide(StatusSyncConfig.layer(settings)),
    Layer.provide(logger),
    Layer.build,
    Effect.map((context) => Context.get(context, EventLog.EventLog))
  )

/** Asks again every few milliseconds until the answer is as wanted. What happens in another process cannot be awaited otherwise. */
export const eventually = <A, E, R>(ask: Effect.Effect<A, E, R>, isWanted: (answer: A) => boolean) =>
  Effect.gen(function* () {
    while (true) {
      const answer = yield* ask
      if (isWanted(answer)) return answer
      yield* Effect.sleep("5 millis")
    }
  }).pipe(Effect.withClock(Clock.make()))

/** What a client folds, that reads from whichever gateway it is sent to. */
export class Reader {
  readonly state = new Map<string, string>()
  readonly modes: Array<string> = []
  readonly heard: Array<string> = []
  cursor: string | undefined
  lost = 0
  private conflateFrom: string | undefined

  constructor(private readonly filter?: Filter.Filter) {}

  /** Takes all there is at this gateway. */
  readonly read = (log: Log): Effect.Effect<void, EventLog.EventLogError> =>
    Effect.gen(this, function* () {
      if (this.cursor !== undefined) yield* log.reached(this.cursor)
      while (true) {
        const { offset } = log.head()
        const from = this.cursor
        const result = yield* log.since(from, {
          ...(this.filter !== undefined && { filter: this.filter }),
          ...(this.conflateFrom !== undefined && { conflateFrom: this.conflateFrom })
        })
        this.modes.push(result.mode)
        if (result.mode === "snapshot") this.state.clear()
        for (const entry of result.entries) {
          this.heard.push(entry.json)
          for (const key of entry.removes) this.state.delete(key)
          if (entry.key !== undefined) this.state.set(entry.key, entry.json)
        }
        this.lost += result.lost
        this.cursor = result.to
        if (result.mode === "snapshot") this.conflateFrom = offset
        else if (result.mode === "conflated") this.conflateFrom ??= from
        if (!result.more) {
          this.conflateFrom = undefined
          return
        }
      }
    })
}

/** The state that a gateway holds. */
export const stateOf = (log: Log): Effect.Effect<ReadonlyMap<string, string>, EventLog.EventLogError> =>
  Effect.map(log.latest(), ({ entries }) => new Map(entries.map(({ json, key }) => [key ?? "", json])))
