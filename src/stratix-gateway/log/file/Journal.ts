/**
 * The file of a log, as this thread sees it: questions to the thread that has it, answered in their order.
 */
import { Worker } from "node:worker_threads"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import { EventLogStartError } from "../EventLog.js"
import type { Retained } from "../mirror/Records.js"
import type { Address } from "./Address.js"

/** Time for the thread to finish what it writes when the gateway ends. */
const CLOSE_WITHIN: Duration.DurationInput = "5 seconds"

/** Why something was not done. */
export interface Failure {
  readonly reason: "Refused" | "Format" | "Damaged" | "Failed"
  /** Of SQLite, extended; 0 where there is none. */
  readonly code: number
  readonly message: string
}

/** What is written as one: all, or nothing. */
export interface Batch {
  /** Sequence number of the first event. */
  readonly first: number
  readonly packed: ReadonlyArray<string>
  /** Idempotency keys, each with what stands for it. */
  readonly keys: ReadonlyArray<readonly [string, string]>
  /** Idempotency keys that are not remembered any more. */
  readonly forgotten: ReadonlyArray<string>
}

/** What can be asked, and what the answer is. */
interface Questions {
  readonly meta: { readonly request: { readonly name: string }; readonly value: string | undefined }
  readonly setMeta: { readonly request: { readonly name: string; readonly value: string }; readonly value: undefined }
  readonly rows: { readonly request: { readonly after: number }; readonly value: ReadonlyArray<string> }
  /** Sequence number of the oldest event of the history, `undefined` where there is no event. */
  readonly historyFrom: { readonly request: { readonly capacity: number }; readonly value: number | undefined }
  readonly keys: { readonly request: undefined; readonly value: ReadonlyArray<string> }
  readonly revoked: { readonly request: undefined; readonly value: ReadonlyArray<string> }
  /** Keeps no more than `most`. */
  readonly revoke: {
    readonly request: { readonly name: string; readonly value: string; readonly most: number }
    readonly value: undefined
  }
  readonly checkpoint: { readonly request: undefined; readonly value: undefined }
  readonly commit: { readonly request: Batch; readonly value: undefined }
  readonly sweep: { readonly request: Pick<Retained, "first" | "older">; readonly value: undefined }
  readonly sweepPage: { readonly request: undefined; readonly value: number | undefined }
  readonly close: { readonly request: undefined; readonly value: undefined }
}

type Answer<A> = Either.Either<A, Failure>

/** How a file was found. */
interface Opened {
  readonly isNew: boolean
  /** Its write-ahead log begins otherwise than it was written, and nothing of it is used. */
  readonly isWalLost: boolean
  /** The format that it had, if that is an older one. */
  readonly formatBefore: number | undefined
}

/** A file that is open. */
export interface Journal extends Opened {
  /** Calls back later, never at once. */
  readonly ask: <Name extends keyof Questions>(
    name: Name,
    request: Questions[Name]["request"],
    then: (answer: Answer<Questions[Name]["value"]>) => void
  ) => void
}

/** The versions of Node that have what is needed. */
const isFit = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major === 22 ? minor >= 13 : major === 23 ? minor >= 4 : major > 23
}

/** What is wrong with a version of Node; `undefined`: nothing. */
export const problemWith = (version: string): string | undefined =>
  isFit(version)
    ? undefined
    : `a log in a file needs Node 22.13 or newer, except 23.0 to 23.3, and this is Node ${version}: run the gateway on Node 22 or 24, or set STRATIX_EVENT_LOG to memory or to the URL of a Redis`

const refused = ({ message, reason }: Failure): EventLogStartError =>
  new EventLogStartError({ reason: reason === "Format" ? "Format" : "Refused", detail: message })

const broken = (message: string): Failure => ({ reason: "Failed", code: 0, message })

/** One question, as an effect. */
export const ask = <Name extends keyof Questions>(
  journal: Journal,
  name: Name,
  request: Questions[Name]["request"]
): Effect.Effect<Questions[Name]["value"], Failure> =>
  Effect.async((resume) => {
    journal.ask(name, request, resume)
  })

/** A question at the start, whose failure is a reason not to start. */
export const askAtStart = <Name extends keyof Questions>(
  journal: Journal,
  name: Name,
  request: Questions[Name]["request"]
): Effect.Effect<Questions[Name]["value"], EventLogStartError> => Effect.mapError(ask(journal, name, request), refused)

/** The same, asked now and answered later. */
export const begin = <Name extends keyof Questions>(
  journal: Journal,
  name: Name,
  request: Questions[Name]["request"]
): Effect.Effect<Effect.Effect<Questions[Name]["value"], EventLogStartError>> =>
  Effect.sync(() => {
    const answered = Deferred.unsafeMake<Questions[Name]["value"], Failure>(FiberId.none)
    journal.ask(name, request, (answer) => Deferred.unsafeDone(answered, answer))
    return Effect.mapError(Deferred.await(answered), refused)
  })

/** Opens the file until the scope closes. `isLook`: without changing it. */
export const open = (
  { durability, path }: Address,
  { isLook = false } = {}
): Effect.Effect<Journal, EventLogStartError, Scope.Scope> =>
  Effect.gen(function* () {
    const problem = problemWith(process.versions.node)
    if (problem !== undefined) return yield* new EventLogStartError({ reason: "Refused", detail: problem })
    // Bound: the questions of one start, and after that a batch, a page of rows to sweep and the end.
    const waiting: Array<(answer: Answer<never>) => void> = []
    let ended: Failure | undefined
    const worker = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Worker(new URL("./JournalWorker.js", import.meta.url), {
            name: "stratix-log",
            workerData: { path, durability, isLook },
            // SQLite in Node is called experimental; what is used of it is the same in all of these versions.
            execArgv: ["--disable-warning=ExperimentalWarning"]
          })
      ),
      (thread) => Effect.promise(() => thread.terminate())
    )
    const end = (failure: Failure) => {
      ended ??= failure
      for (const then of waiting.splice(0)) then(Either.left(failure))
    }
    worker.on("message", (said: { readonly value: never } | { readonly failure: Failure }) => {
      waiting.shift()?.("failure" in said ? Either.left(said.failure) : Either.right(said.value))
    })
    worker.on("error", (error) => end(broken(`the thread of the log has ended: ${error.message}`)))
    worker.on("exit", () => end(broken("the thread of the log has ended")))

    const opened = yield* Effect.async<Opened, Failure>((resume) => {
      waiting.push(resume)
    }).pipe(Effect.mapError(refused))
    const journal: Journal = {
      ...opened,
      ask: (name, request, then) => {
        if (ended !== undefined) {
          const failure = ended
          queueMicrotask(() => then(Either.left(failure)))
          return
        }
        waiting.push(then)
        worker.postMessage({ name, request })
      }
    }
    yield* Effect.addFinalizer(() =>
      ask(journal, "close", undefined).pipe(Effect.timeout(CLOSE_WITHIN), Effect.ignore, Effect.interruptible)
    )
    return journal
  })
