/** Files that are read again when they change: certificates, tokens, keys. */
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as NodeError from "./NodeError.js"

/** A file could not be read. */
export class FileError extends Schema.TaggedError<FileError>("stratix/FileError")("FileError", {
  reason: Schema.Literal("NotFound", "PermissionDenied", "Unknown"),
  path: Schema.String,
  message: Schema.String
}) {}

const reasons: { readonly [code: string]: readonly [FileError["reason"], string] } = {
  ENOENT: ["NotFound", "does not exist"],
  EACCES: ["PermissionDenied", "cannot be read by this user"],
  EISDIR: ["Unknown", "is a directory"]
}

const fileError = (path: string, error: unknown): FileError => {
  const code = NodeError.codeOf(error)
  const [reason, what] = reasons[code] ?? ["Unknown" as const, `cannot be read (${code})`]
  return new FileError({ reason, path, message: `${path} ${what}` })
}

/** Reads one file after the other, so that the error is always that of the first unreadable one. */
const read = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, FileError> =>
  Effect.forEach(paths, (path) =>
    Effect.tryPromise({
      try: (signal) => Fs.promises.readFile(path, { encoding: "utf8", signal }),
      catch: (error) => fileError(path, error)
    })
  )

/** Pause between the first sign of a change and reading: files that belong together are often written in several steps. */
const SETTLE = "250 millis"

/** Files are also compared without a sign of a change: network file systems give none, and the operating system limits watches. */
const POLL = "1 minute"

/** Signs of a change beside a file. Kubernetes changes a file by replacing a link next to it, so the directory is watched, not the file. */
const activity = (directory: string): Stream.Stream<void> =>
  Stream.asyncPush<void>(
    (emit) =>
      Effect.acquireRelease(
        Effect.try(() => {
          const watcher = Fs.watch(directory, { persistent: false }, () => emit.single(undefined))
          // A broken watch reports nothing more: read once for what it may have missed.
          watcher.on("error", () => emit.single(undefined))
          return watcher
        }),
        (watcher) => Effect.sync(() => watcher.close())
      ).pipe(
        Effect.catchAll((error) =>
          Effect.logWarning(`${directory} cannot be watched; its files are read every ${POLL} instead`, error.cause)
        )
      ),
    // One pending sign is enough.
    { bufferSize: 1, strategy: "dropping" }
  )

const digestOf = (texts: ReadonlyArray<string>): string =>
  texts.map((text) => Crypto.createHash("sha256").update(text).digest("base64")).join()

/** The value parsed from files, and a way to follow its changes. */
export interface Loaded<A> {
  readonly value: A
  /** Applies every later value and emits after each one, for as long as the stream runs. */
  readonly reloads: (apply: (value: A) => Effect.Effect<void>) => Stream.Stream<void>
}

/**
 * Reads and parses files that belong together. When they change they are read again; files that cannot be read or parsed leave the value as it
 * is, which is logged: once for files that cannot be read, at every change for files that cannot be parsed.
 */
export const load = <A, E extends { readonly message: string }>(options: {
  /** What the files contain, for the log: `tokens`. */
  readonly what: string
  readonly paths: ReadonlyArray<string>
  /** Parses the texts of the files, in the order of their paths. */
  readonly parse: (texts: ReadonlyArray<string>) => Effect.Effect<A, E>
}): Effect.Effect<Loaded<A>, E | FileError> =>
  Effect.gen(function* () {
    const { parse, paths, what } = options
    const texts = yield* read(paths)
    const value = yield* parse(texts)

    const reloads: Loaded<A>["reloads"] = (apply) =>
      Stream.suspend(() => {
        let digest = digestOf(texts)
        let readable = true
        const stillUsing = (error: { readonly message: string }) =>
          Effect.as(Effect.logError(`${error.message}; still using the ${what} read before`), false)
        const reload = (next: ReadonlyArray<string>) =>
          parse(next).pipe(
            Effect.flatMap(apply),
            Effect.zipRight(Effect.logInfo(`read the ${what} again from ${paths.join(" and ")}`)),
            Effect.as(true),
            Effect.catchAll(stillUsing)
          )
        const look = Effect.matchEffect(read(paths), {
          onFailure: (error) => {
            const first = readable
            readable = false
            return first ? stillUsing(error) : Effect.succeed(false)
          },
          onSuccess: (next) => {
            readable = true
            const now = digestOf(next)
            if (now === digest) return Effect.succeed(false)
            digest = now
            return reload(next)
          }
        })
        const directories = [...new Set(paths.map((path) => Path.dirname(path)))]
        return Stream.mergeAll(directories.map(activity), { concurrency: "unbounded" }).pipe(
          Stream.tap(() => Effect.sleep(SETTLE)),
          Stream.merge(Stream.drop(Stream.fromSchedule(Schedule.spaced(POLL)), 1)),
          Stream.mapEffect(() => look),
          Stream.filter((changed) => changed),
          Stream.map(() => undefined)
        )
      })

    return { value, reloads }
  })
