/**
 * Brings connections that are behind to the head, step by step: they joined late, came back, or read too slowly.
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as CloseCodes from "../../stratix-core/close-codes.js"
import { type Offset, SYNC, type SyncMessage, type SyncMode } from "../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as EventLog from "../log/EventLog.js"
import * as Stamps from "../log/Stamps.js"
import { nextTurn } from "../runtime/EventLoop.js"
import { isImmediate } from "../runtime/Immediate.js"
import * as TimeoutQueues from "../runtime/TimeoutQueues.js"
import * as Tracing from "../telemetry/Tracing.js"
import * as Frame from "../transport/Frame.js"
import type { FanoutFaults } from "./FanoutFaults.js"
import * as FlushBudget from "./FlushBudget.js"
import type { Group, Subscriber, Subscribers } from "./Subscribers.js"

/** Characters of events in one step: small enough that live events never wait long behind it. */
const STEP = 64 * 1024

/** Steps between two turns of the event loop, as far as `TURN_BYTES` go. */
const STEPS_PER_TURN = 16

/** Steps taken together: one holds 64 KiB and the rest of its last event, so that so many large ones are a turn. */
const STEPS_AT_ONCE = 4

/** Times in a row that a step of one connection may fail by a fault of the gateway's own; then it is closed, and may come back. */
const MAX_FAULTS = 3

/** Bytes of the steps remembered at a time: as far as clients are apart that read the same at their own pace, of which a system keeps some megabytes each. */
const REMEMBERED = 16 * 1024 * 1024

/** What a remembered step costs besides its bytes: some have none. */
const STEP_COST = 1024

/** Milliseconds that a step is remembered after which others follow. */
const STEP_LIFETIME = 10_000

/** Milliseconds that one is remembered that ends at the head: it says when it was sent, and a client that is live then measures its lag by that. A quarter of the lag at which it calls itself behind. */
const LAST_STEP_LIFETIME = 500

/** What the log said, with its events as they are written. */
interface Step {
  readonly result: Omit<EventLog.CatchUp, "entries">
  readonly count: number
  /** Whether it ends at the head, which is in its bytes. */
  readonly live: boolean
  /** Milliseconds on the monotonic clock. */
  readonly madeAt: number
  readonly bytes: Buffer
}

/** Counts since the start. */
export interface Counts {
  /** Catch-ups that began. */
  readonly begun: Record<SyncMode, number>
  conflations: number
  lost: number
  deliveries: number
  bytes: number
}

/** The catch-ups of the subscribers. */
export interface CatchUps {
  readonly counts: Counts
  /** Brings a subscriber that is away to the head in steps. A sync client is told even if no events follow. */
  readonly begin: (subscriber: Subscriber, cursor: Offset | undefined) => void
  /** The same for one that was interrupted; if its cursor is at the head, it is there at once. */
  readonly resume: (subscriber: Subscriber, cursor: Offset | undefined) => void
  /** A subscriber left: its catch-up, if there is one, is over. */
  readonly abandon: (subscriber: Subscriber) => void
  /** What the log said until now may not be so any more. */
  readonly forget: () => void
}

/** Catch-ups until the scope closes. */
export const make = (
  subscribers: Subscribers,
  head: () => Offset,
  faults: FanoutFaults,
  deadlines: TimeoutQueues.TimeoutQueues
): Effect.Effect<
  CatchUps,
  never,
  StatusSyncConfig.StatusSyncConfig | EventLog.EventLog | Stamps.Stamps | Scope.Scope
> =>
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const log = yield* EventLog.EventLog
    const stamp = yield* Stamps.Stamps
    const clock = yield* Effect.clock
    const tracer = yield* Tracing.listening
    const runFork = yield* FiberSet.makeRuntime<never>()
    // Bound: a subscriber is in it once at the most.
    const behind = yield* Effect.acquireRelease(Queue.unbounded<Subscriber>(), Queue.shutdown)
    // Clients that were live when they all lost their connection come back with the same cursor: a step of one serves all.
    // Bound: REMEMBERED, of which the oldest leaves; forgotten when the youngest has had its time.
    const steps = new Map<string, Step>()
    let remembered = 0
    const forget = () => {
      steps.clear()
      remembered = 0
    }
    const lifetimes = deadlines.queue(STEP_LIFETIME, forget)
    const youngest = new TimeoutQueues.Timeout(undefined)
    // In the turn under way.
    let bytesWritten = 0
    const counts: Counts = {
      begun: { snapshot: 0, resume: 0, conflated: 0 },
      conflations: 0,
      lost: 0,
      deliveries: 0,
      bytes: 0
    }

    /** A catch-up begins, or goes on in another mode than before, which is another catch-up. */
    const begin = (subscriber: Subscriber, mode: SyncMode) => {
      counts.begun[mode]++
      subscriber.catchUps++
      subscriber.catchingUp = true
      if (tracer === undefined) return
      subscriber.span ??= tracer.span(
        Tracing.spans.catchUp,
        Option.none(),
        Context.empty(),
        [],
        clock.unsafeCurrentTimeNanos(),
        "internal",
        { root: true }
      )
      subscriber.span.attribute("stratix.mode", mode)
    }
    /** Its catch-up, if there is one, is over. */
    const end = (subscriber: Subscriber) => {
      subscriber.catchingUp = false
      const { span } = subscriber
      if (span === undefined) return
      subscriber.span = undefined
      span.attribute("client.address", subscriber.socket.remoteAddress)
      span.attribute("stratix.live", subscriber.state === "live")
      span.attribute("stratix.lost", subscriber.lost)
      span.end(clock.unsafeCurrentTimeNanos(), Exit.void)
    }
    const goLive = (subscriber: Subscriber) => {
      subscribers.goLive(subscriber)
      end(subscriber)
    }

    const later = (subscriber: Subscriber, cursor: Offset | undefined) => {
      subscriber.state = "behind"
      subscriber.cursor = cursor
      if (subscriber.queued) return
      subscriber.queued = true
      Queue.unsafeOffer(behind, subscriber)
    }

    const announcement = (from: Offset | undefined, result: EventLog.CatchUp, more: boolean): string => {
      const { requestId, timestamp } = stamp.next()
      const message: SyncMessage = {
        eventType: SYNC,
        payload: {
          mode: result.mode,
          ...(from !== undefined && result.mode !== "snapshot" && { from }),
          to: result.to,
          count: result.entries.length,
          lost: result.lost,
          ...(more && { more: true })
        },
        timestamp,
        requestId,
        sentAt: TimeoutQueues.sentAt(clock)
      }
      return JSON.stringify(message)
    }

    const compress = (text: string) => Frame.compressedText(text, config.compressionThreshold)
    const endsAtHead = ({ more, to }: EventLog.CatchUp) => !more && to === head()
    const encodeStep = ({ encode, form, sync }: Group, from: Offset | undefined, result: EventLog.CatchUp): Step => {
      const live = endsAtHead(result)
      const announced = sync
        ? form.message(SYNC, announcement(from, result, !live), result.mode === "snapshot")
        : undefined
      const shared = { stampOf: stamp.next, now: TimeoutQueues.sentAt(clock), compress }
      const { entries, ...more } = result
      return {
        result: more,
        count: entries.length,
        live,
        madeAt: shared.now,
        bytes: encode(entries, shared, announced)
      }
    }

    const sizeOf = ({ bytes }: Step) => STEP_COST + bytes.length
    const forgetOne = (key: string) => {
      const step = steps.get(key)
      if (step === undefined) return
      remembered -= sizeOf(step)
      steps.delete(key)
    }
    const remember = (key: string, made: Step) => {
      // Set anew, it is the youngest.
      forgetOne(key)
      steps.set(key, made)
      remembered += sizeOf(made)
      lifetimes.start(youngest)
      for (const oldest of steps.keys()) {
        if (remembered <= REMEMBERED) break
        forgetOne(oldest)
      }
    }
    /** One that ends at the head does so until that moves: it says that nothing follows. */
    const recall = (key: string): Step | undefined => {
      const step = steps.get(key)
      if (step === undefined || (step.live && step.result.to !== head())) return undefined
      const age = TimeoutQueues.sentAt(clock) - step.madeAt
      return age < (step.live ? LAST_STEP_LIFETIME : STEP_LIFETIME) ? step : undefined
    }

    const give = (subscriber: Subscriber, until: Offset, { bytes, count, live, result }: Step) => {
      const from = subscriber.cursor
      const conflates = result.mode !== "resume" && subscriber.conflateFrom === undefined
      if (conflates && subscriber.joined && config.slowPolicy === "close") {
        subscriber.socket.end(CloseCodes.TRY_AGAIN_LATER, "fell behind the history")
        return
      }
      if (conflates && subscriber.joined) counts.conflations++
      if (conflates || !subscriber.catchingUp) begin(subscriber, result.mode)
      if (result.mode !== "resume") subscriber.target = until
      if (result.mode === "snapshot") subscriber.conflateFrom = until
      else if (result.mode === "conflated") subscriber.conflateFrom ??= from
      if (!result.more) {
        subscriber.target = undefined
        subscriber.conflateFrom = undefined
      }
      subscriber.lost += result.lost
      subscriber.faults = 0
      counts.lost += result.lost
      counts.deliveries += count
      counts.bytes += bytes.length
      bytesWritten += bytes.length
      try {
        const unsent = bytes.length > 0 ? subscriber.socket.write(bytes) : 0
        if (unsent > subscriber.group.highWaterMark) subscribers.stall(subscriber, result.to)
        else if (live) goLive(subscriber)
        else later(subscriber, result.to)
      } catch (defect) {
        // What it was given of these bytes is unknown: only a new connection can be right.
        faults.record(defect)
        subscriber.socket.terminate()
      }
    }

    /** A step threw before anything was written: it is taken again, a few times. */
    const retry = (subscriber: Subscriber, defect: unknown) => {
      faults.record(defect)
      if (subscriber.state !== "behind" || subscriber.queued) return
      if (++subscriber.faults < MAX_FAULTS) later(subscriber, subscriber.cursor)
      else subscriber.socket.end(CloseCodes.TRY_AGAIN_LATER, "catch-up failed")
    }

    /** What a subscriber needs next, and under which names its step is remembered. */
    const needOf = ({ conflateFrom, cursor, group, target }: Subscriber) => {
      const until = target ?? head()
      const keyUntil = (place: string) => `${group.key}|${cursor ?? ""}|${place}|${conflateFrom ?? ""}`
      // Events that fill a step are the same wherever the head is.
      return { conflateFrom, cursor, group, until, key: keyUntil(until), exact: keyUntil("*") }
    }

    /** Gives it the step that it needs, where that is remembered; `false`: the log has to be asked. */
    const giveRemembered = (subscriber: Subscriber): boolean => {
      subscriber.queued = false
      if (subscriber.state !== "behind") return true
      try {
        const { exact, key, until } = needOf(subscriber)
        const known = recall(key) ?? recall(exact)
        if (known === undefined) return false
        give(subscriber, until, known)
      } catch (defect) {
        retry(subscriber, defect)
      }
      return true
    }

    /** Has its step made by the log, and gives it. */
    const ask = (subscriber: Subscriber): Effect.Effect<void> =>
      Effect.suspend(() => {
        const { conflateFrom, cursor, exact, group, key, until } = needOf(subscriber)
        return log
          .since(cursor, {
            filter: group.filter,
            until,
            maxBytes: STEP,
            neverSnapshot: !group.sync,
            ...(conflateFrom !== undefined && { conflateFrom })
          })
          .pipe(
            Effect.matchEffect({
              onSuccess: (result) =>
                Effect.sync(() => {
                  // It may have left, or have another filter, since the log was asked.
                  if (subscriber.state !== "behind" || subscriber.queued) return
                  if (subscriber.group !== group || subscriber.cursor !== cursor) {
                    later(subscriber, subscriber.cursor)
                    return
                  }
                  const made = encodeStep(group, cursor, result)
                  remember(result.mode === "resume" && result.more ? exact : key, made)
                  give(subscriber, until, made)
                }),
              onFailure: (error) =>
                Effect.zipRight(
                  Effect.logWarning("catch-up failed; the client may come back", error),
                  Effect.sync(() => subscriber.socket.end(CloseCodes.TRY_AGAIN_LATER, "catch-up failed"))
                )
            })
          )
      }).pipe(Effect.catchAllDefect((defect) => Effect.sync(() => retry(subscriber, defect))))

    let stepsTaken = 0
    const takeSteps = (taken: Chunk.Chunk<Subscriber>) => {
      stepsTaken += taken.length
      // Those that wait for the log, all at once. A log with a mirror answers in the call: then no fiber is left to join, and the next one may have the same step.
      const asking: Array<Fiber.RuntimeFiber<void>> = []
      for (const subscriber of taken) {
        if (giveRemembered(subscriber)) continue
        const fiber = runFork(ask(subscriber))
        if (fiber.unsafePoll() === null) asking.push(fiber)
      }
      return asking.length === 0 ? Effect.void : Fiber.awaitAll(asking)
    }
    const takeMore: Effect.Effect<void> = Effect.suspend(() =>
      stepsTaken >= STEPS_PER_TURN || bytesWritten >= FlushBudget.TURN_BYTES
        ? Effect.void
        : Effect.flatMap(Queue.takeUpTo(behind, STEPS_AT_ONCE), (taken) =>
            Chunk.isEmpty(taken) ? Effect.void : Effect.zipRight(takeSteps(taken), takeMore)
          )
    )
    const turn = Effect.flatMap(Queue.takeBetween(behind, 1, STEPS_AT_ONCE), (taken) => {
      stepsTaken = 0
      bytesWritten = 0
      return Effect.zipRight(takeSteps(taken), takeMore)
    })
    yield* turn.pipe(Effect.zipRight(nextTurn), Effect.forever, Effect.forkScoped, Effect.interruptible)

    return {
      counts,
      begin: (subscriber, cursor) => {
        const arrival = cursor === undefined ? Exit.void : log.reached(cursor)
        if (isImmediate(arrival)) {
          later(subscriber, cursor)
          return
        }
        // Parked here, so that no other catch-up waits for it.
        subscriber.state = "behind"
        subscriber.cursor = cursor
        subscriber.queued = true
        runFork(
          Effect.zipRight(
            arrival,
            Effect.sync(() => Queue.unsafeOffer(behind, subscriber))
          )
        )
      },
      resume: (subscriber, cursor) => {
        if (cursor === head() && subscriber.conflateFrom === undefined) goLive(subscriber)
        else later(subscriber, cursor)
      },
      abandon: end,
      forget
    }
  })
