/**
 * Feeds the copies of a log in other processes, and takes their appends: for the process that holds the log.
 *
 * There is no queue for each copy. The log's history is the queue: a copy that reads too slowly is behind in it, and one that is behind its
 * beginning gets everything anew.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { frame, type Link, Topic } from "../../channel/Link.js"
import { monotonicMillis } from "../../runtime/TimeoutQueues.js"
import { EventLog, EventLogError } from "../EventLog.js"
import type { Mirror } from "../mirror/Mirror.js"
import { pack } from "../mirror/Packed.js"
import * as Replica from "../Replica.js"
import * as Revocations from "./Revocations.js"
import * as Wire from "./Wire.js"

/** Events in one frame: 300 KB, and less than a turn of the event loop should take. */
const FRAME_EVENTS = 1000

/** Between two words to copies of a log that is quiet: they show how old their news is after three of them. */
const SPEAK_EVERY = "1 second"

/** An answer that waits until the copy has all that it speaks of. */
interface Answer {
  readonly index: number
  readonly number: number
  readonly texts: ReadonlyArray<string>
}

/** One copy. */
interface Feed {
  readonly link: Link
  /** The mirror that it is a copy of; `undefined`: it has none yet. */
  mirror: Mirror | undefined
  /** Up to where it has it. */
  index: number
  /** What is left of a snapshot that is on its way. Bound: the history and the state of the mirror. */
  snapshot: Iterator<string> | undefined
  // Bound: what the other process has asked and waits for.
  answers: Array<Answer>
  /** What the log had ended when its state was told. */
  dropped: number
}

/** A log that is fed to copies. */
export interface LogFeed {
  /** Feeds the copy at the other end, until that is gone. */
  readonly add: (link: Link) => void
  /** Tells all copies how the log is now; it is told every second in any case. */
  readonly tell: () => void
}

/** Feeds until the scope closes. Dies on a log that has no mirror: an application's own, whose copies could not be made. */
export const make: Effect.Effect<LogFeed, never, EventLog | Scope.Scope> = Effect.gen(function* () {
  const log = yield* EventLog
  const replica = Replica.of(log)
  if (replica === undefined) return yield* Effect.dieMessage("this log cannot be fed to other processes")
  const clock = yield* Effect.clock
  const now = () => monotonicMillis(clock)
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const feeds = new Set<Feed>()
  const announced = yield* log.subscribe
  const relayRevocations = yield* Revocations.relay(log, runFork)

  // The newest frame, for the next copy at the same place.
  let made: { readonly mirror: Mirror; readonly from: number; readonly to: number; readonly bytes: Buffer } | undefined
  const frameAfter = (mirror: Mirror, from: number): { readonly to: number; readonly bytes: Buffer } | undefined => {
    const head = mirror.head.index
    if (made?.mirror === mirror && made.from === from && made.to === Math.min(head, from + FRAME_EVENTS)) return made
    const recorded = mirror.recordedAfter(from, FRAME_EVENTS)
    if (recorded === undefined) return undefined
    const first = Wire.batchText({ epochs: mirror.epochs.chain, now: now() })
    const bytes = frame(Topic.events, [first, ...recorded.map(pack)])
    made = { mirror, from, to: from + recorded.length, bytes }
    return made
  }

  const tell = ({ link }: Feed): void => {
    const { epochChanges, failures, rebuilds, staleMillis, unread } = log.health()
    const { appended, finishedDropped, keysDropped, leasesExpired } = log.stats()
    const state = {
      staleMillis,
      epochChanges,
      rebuilds,
      unread,
      failures,
      appended,
      finishedDropped,
      keysDropped,
      leasesExpired
    }
    link.send(Topic.logState, [JSON.stringify(state)])
  }

  const begin = (feed: Feed, mirror: Mirror) => {
    const copy = mirror.copy()
    feed.mirror = mirror
    feed.index = mirror.head.index
    feed.snapshot = Wire.textsOf(copy)
    const { after, epochs, forgotten } = copy
    const { epoch, keyless, seq } = after
    const start = { id: log.id, after: { epoch, keyless, seq }, epochs, forgotten, now: now() }
    feed.link.send(Topic.snapshotBegins, [Wire.startText(start)])
  }

  const goOn = (feed: Feed, snapshot: Iterator<string>) => {
    const texts: Array<string> = []
    while (texts.length < FRAME_EVENTS) {
      const { done, value } = snapshot.next()
      if (done === true) {
        feed.snapshot = undefined
        break
      }
      texts.push(value)
    }
    feed.link.send(Topic.snapshotPart, texts)
    if (feed.snapshot === undefined) feed.link.send(Topic.snapshotEnds, [])
  }

  /** Everything that the copy does not have, as far as it reads. */
  const pump = (feed: Feed, dropped: number) => {
    const { link } = feed
    const mirror = replica.mirror()
    while (!link.isBehind && !link.isClosed) {
      if (feed.snapshot !== undefined) {
        goOn(feed, feed.snapshot)
        continue
      }
      if (feed.mirror === mirror && feed.index === mirror.head.index) break
      const next = feed.mirror === mirror ? frameAfter(mirror, feed.index) : undefined
      if (next === undefined) begin(feed, mirror)
      else {
        link.sendFrame(next.bytes)
        feed.index = next.to
      }
    }
    // Before the answers: who is answered can ask what the log has ended.
    if (feed.dropped !== dropped) {
      feed.dropped = dropped
      tell(feed)
    }
    if (feed.snapshot !== undefined || feed.answers.length === 0) return
    const later: Array<Answer> = []
    for (const answer of feed.answers) {
      if (answer.index > feed.index) later.push(answer)
      else link.send(Topic.answer, answer.texts, answer.number)
    }
    feed.answers = later
  }

  let isScheduled = false
  /** Once for all that happens before the next microtask. */
  const schedule = () => {
    if (isScheduled || feeds.size === 0) return
    isScheduled = true
    queueMicrotask(() => {
      isScheduled = false
      const { finishedDropped, keysDropped, leasesExpired } = log.stats()
      for (const feed of feeds) pump(feed, finishedDropped + keysDropped + leasesExpired)
    })
  }

  const answerWith = <A>(
    feed: Feed,
    number: number,
    effect: Effect.Effect<A, EventLogError>,
    texts: (value: A) => ReadonlyArray<string>
  ) => {
    const answered = effect.pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        const answer = Exit.match(exit, {
          onSuccess: (value) => ["", ...texts(value)],
          onFailure: (cause) =>
            Wire.failureOf(
              Option.getOrElse(
                Cause.failureOption(cause),
                () => new EventLogError({ reason: "Uncertain", detail: Cause.pretty(cause) })
              )
            )
        })
        feed.answers.push({ index: log.head().index, number, texts: answer })
        schedule()
        return Effect.void
      })
    )
    runFork(answered)
  }

  yield* Queue.takeBetween(announced, 1, Number.POSITIVE_INFINITY).pipe(
    Effect.zipRight(Effect.sync(schedule)),
    Effect.forever,
    Effect.interruptible,
    Effect.forkScoped
  )
  yield* log.rebuilds.pipe(
    Effect.zipRight(Effect.sync(schedule)),
    Effect.forever,
    Effect.interruptible,
    Effect.forkScoped
  )
  yield* Effect.sync(() => {
    for (const feed of feeds) tell(feed)
  }).pipe(Effect.zipRight(Effect.sleep(SPEAK_EVERY)), Effect.forever, Effect.interruptible, Effect.forkScoped)

  return {
    tell: () => {
      for (const feed of feeds) tell(feed)
    },
    add: (link) => {
      const feed: Feed = { link, mirror: undefined, index: 0, snapshot: undefined, answers: [], dropped: -1 }
      feeds.add(feed)
      link.closed(() => feeds.delete(feed))
      link.drained(schedule)
      relayRevocations(link)
      link.on(Topic.append, (texts, number) => {
        const idempotencyKey = Wire.keyOf(texts)
        answerWith(feed, number, log.append(Wire.draftsOf(texts), { idempotencyKey }), (offsets) => offsets)
      })
      link.on(Topic.renew, ([agentId = "", tenant], number) =>
        answerWith(feed, number, log.renew(agentId, tenant), (held) => [held ? "1" : "0"])
      )
      schedule()
    }
  }
})
