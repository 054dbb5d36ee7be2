/**
 * The primary of a gateway with workers: it holds the log, feeds it to the workers, and replaces those that end.
 */
import cluster, { type Worker } from "node:cluster"
import { Duplex } from "node:stream"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Limits from "../admission/Limits.js"
import * as SharedLimits from "../admission/SharedLimits.js"
import * as Channel from "../channel/Channel.js"
import { Link, Topic } from "../channel/Link.js"
import * as Primary from "../channel/Primary.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as LogFeed from "../log/channel/LogFeed.js"
import type { EventLog } from "../log/EventLog.js"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import { Answers } from "./Answers.js"

/** A gateway with workers could not start.
 * @since 0.1.0
 * @category errors */
export class WorkersError extends Schema.TaggedError<WorkersError>("stratix/WorkersError")("WorkersError", {
  /** `Ended`: a worker ended before it was ready, and has said why. `Nested`: this process is a worker of another program. */
  reason: Schema.Literal("Ended", "Nested"),
  message: Schema.String
}) {}

/** Milliseconds before another worker takes the place of one that ended: doubled for each that does not last, up to the second. */
const BACK_OFF = { first: 100, most: 10_000 } as const

/** Milliseconds that a worker must last, so that the next one comes at once. */
const LASTS = 10_000

/** Time for a worker to end by itself once its clients are gone. */
const GRACE = "5 seconds"

/** A worker that runs. */
interface Running {
  readonly number: number
  readonly process: Worker
  readonly since: number
  isReady: boolean
}

/** Starts the workers, and completes once all are ready. They run until the scope closes, which lets them drain. */
export const make = (options: {
  readonly port?: number | undefined
}): Effect.Effect<void, WorkersError, EventLog | StatusSyncConfig.StatusSyncConfig | Scope.Scope> =>
  Effect.gen(function* () {
    const { drainTimeout, workers: count } = yield* StatusSyncConfig.StatusSyncConfig
    const { port } = options
    if (!cluster.isPrimary) {
      return yield* new WorkersError({
        reason: "Nested",
        message: "this process is a worker of another program, and cannot have workers of its own"
      })
    }
    const feed = yield* LogFeed.make
    const counts = yield* Limits.counts
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const answers = new Answers(feed.tell, runFork)
    const clock = yield* Effect.clock
    const now = () => monotonicMillis(clock)
    const running = new Set<Running>()
    const started = yield* Deferred.make<void, WorkersError>()
    const allEnded = Effect.unsafeMakeLatch(false)
    const said = new Set<string>()
    let stopping = false
    let numbers = 0
    let failures = 0
    let ready = 0

    cluster.setupPrimary({ stdio: ["inherit", "inherit", "inherit", "ipc", "pipe"] })

    const onEnd = (worker: Running, how: string) => {
      running.delete(worker)
      if (running.size === 0) allEnded.unsafeOpen()
      if (stopping) return
      if (ready < count) {
        const message = `worker ${worker.number} ended before it was ready (${how})`
        Deferred.unsafeDone(started, Effect.fail(new WorkersError({ reason: "Ended", message })))
        return
      }
      failures = now() - worker.since > LASTS ? 0 : failures + 1
      const wait = failures === 0 ? 0 : Math.min(BACK_OFF.most, BACK_OFF.first * 2 ** (failures - 1))
      runFork(
        Effect.logWarning(`worker ${worker.number} has ended (${how}): another takes its place`).pipe(
          Effect.zipRight(Effect.sleep(Duration.millis(wait))),
          Effect.zipRight(Effect.sync(start))
        )
      )
    }

    const start = () => {
      if (stopping) return
      const number = ++numbers
      const process = cluster.fork({ [Primary.VARIABLE]: `${number}:${count}:${port ?? ""}` })
      const worker: Running = { number, process, since: now(), isReady: false }
      running.add(worker)
      allEnded.unsafeClose()
      let isOver = false
      const end = (how: string) => {
        if (isOver) return
        isOver = true
        onEnd(worker, how)
      }
      process.on("error", (error) => end(error.message))
      process.on("exit", (code, signal) => end(signal ?? `exit code ${code}`))
      const stream = process.process.stdio[Primary.DESCRIPTOR]
      if (!(stream instanceof Duplex)) return
      const link = new Link(Channel.overStream(stream))
      link.on(Topic.hello, () => {
        if (worker.isReady) return
        worker.isReady = true
        answers.add(link)
        if (++ready === count) Deferred.unsafeDone(started, Effect.void)
        if (ready > count) runFork(Effect.logInfo(`worker ${number} is ready (pid ${process.process.pid})`))
      })
      // What each worker says of the gateway as a whole is said once.
      link.on(Topic.say, ([text = ""]) => {
        if (said.has(text)) return
        said.add(text)
        runFork(Effect.zipRight(Effect.ignore(Deferred.await(started)), Effect.logInfo(text)))
      })
      feed.add(link)
      SharedLimits.serve(counts, link)
      answers.serve(link)
      link.open()
    }

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        stopping = true
        if (running.size === 0) return
        for (const { process } of running) process.process.kill("SIGTERM")
        const patience = Duration.sum(Duration.decode(drainTimeout), GRACE)
        yield* Effect.timeoutOption(Effect.interruptible(allEnded.await), patience)
        for (const { process } of running) process.process.kill("SIGKILL")
        if (running.size > 0) yield* Effect.timeoutOption(Effect.interruptible(allEnded.await), GRACE)
      })
    )
    for (let i = 0; i < count; i++) start()
    yield* Effect.interruptible(Deferred.await(started))
    yield* Effect.logInfo(`${count} workers are ready`)
  }).pipe(Effect.annotateLogs({ module: "Supervisor" }))
