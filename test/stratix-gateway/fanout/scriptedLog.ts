import { Effect, Exit, Layer, Logger, type Scope } from "effect"
import * as CatchUps from "../../../src/stratix-gateway/fanout/CatchUps.js"
import { type Subscriber, Subscribers } from "../../../src/stratix-gateway/fanout/Subscribers.js"
import { EventLog, EventLogMemory, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as Stamps from "../../../src/stratix-gateway/log/Stamps.js"
import * as TimeoutQueues from "../../../src/stratix-gateway/runtime/TimeoutQueues.js"
import * as Form from "../../../src/stratix-gateway/transport/Form.js"
import { draft } from "../../support/draft.js"
import { nextTurn } from "../../support/waiting.js"

type Since = (
  cursor: string | undefined,
  options: EventLog.SinceOptions
) => Effect.Effect<EventLog.CatchUp, EventLog.EventLogError>

/** What a log answers to `since`. */
export const answer = (
  mode: EventLog.CatchUp["mode"],
  to: string,
  more: boolean,
  rest: Partial<EventLog.CatchUp> = {}
): EventLog.CatchUp => ({ mode, to, more, entries: [], lost: 0, ...rest })

export const entry = (json: string): EventLog.LogEntry => ({
  ...draft({ json }),
  offset: "h1",
  index: 1,
  departure: undefined
})

/** Catch-ups over a log that answers what the test says. */
export const world = (since: Since, reached: (offset: string) => Effect.Effect<void> = () => Exit.void) =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const queue = () =>
      new TimeoutQueues.TimeoutQueue<Subscriber>(
        1000,
        () => {},
        () => 0,
        () => {}
      )
    const subscribers = new Subscribers(queue(), queue(), 1000)
    const asked: Array<readonly [string | undefined, EventLog.SinceOptions]> = []
    const faults: Array<unknown> = []
    const at = { head: "h5" }
    const recording = { record: (defect: unknown) => faults.push(defect), isFailing: () => false }
    const deadlines = yield* TimeoutQueues.make
    const catchUps = yield* CatchUps.make(subscribers, () => at.head, recording, deadlines).pipe(
      Effect.provideService(EventLog.EventLog, {
        ...log,
        reached,
        since: (cursor, options = {}) => {
          asked.push([cursor, options])
          return since(cursor, options)
        }
      })
    )
    const client = ({
      filter = Filter.all,
      sync = true,
      unsent = 0,
      form = sync ? Form.stream : Form.frames
    }: {
      filter?: Filter.Filter
      sync?: boolean
      unsent?: number
      form?: Form.Form
    } = {}) => {
      const ended: Array<string> = []
      const written: Array<string> = []
      const subscriber = subscribers.add(
        {
          remoteAddress: "127.0.0.1",
          form,
          writes: () => written.length,
          write: (bytes) => {
            if (unsent < 0) throw new Error("no socket")
            written.push(Buffer.from(bytes).toString())
            return unsent
          },
          ping: () => {},
          unsentBytes: () => 0,
          end: (code, reason) => ended.push(`${code} ${reason}`),
          terminate: () => ended.push("terminated")
        },
        filter,
        sync
      )
      /** Payloads of the `stratix:sync` messages. */
      const announced = () =>
        written
          .join("")
          .split("\n")
          .filter((line) => line.startsWith("data: ") && line.includes('"stratix:sync"'))
          .map((line) => JSON.parse(line.slice("data: ".length)).payload)
      return { subscriber, ended, written, announced }
    }
    /** A client that is behind all the time, until it is removed. */
    const waiting = client({ filter: Filter.none })
    return { asked, at, catchUps, client, faults, subscribers, waiting }
  })

export const aFewTurns = Effect.repeatN(nextTurn, 4)

export const over =
  (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  <A, E>(
    effect: Effect.Effect<A, E, EventLog.EventLog | Stamps.Stamps | StatusSyncConfig.StatusSyncConfig | Scope.Scope>
  ) =>
    Effect.scoped(effect).pipe(
      Effect.provide(
        EventLogMemory.layer.pipe(Layer.merge(Stamps.layer), Layer.provideMerge(StatusSyncConfig.layer(settings)))
      ),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )
