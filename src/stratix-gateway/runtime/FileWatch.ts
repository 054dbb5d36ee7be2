/**
 * Files that are read again when they change: certificates, tokens, keys.
 *
 * @since 0.1.0
 */
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** A file could not be read.
 * @since 0.1.0
 * @category errors */
export class FileError extends Schema.TaggedError<FileError>("stratix/FileError")("FileError", {
  reason: Schema.Literal("NotFound", "PermissionDenied", "Unknown"),
  path: Schema.String,
  message: Schema.String
}) {}

const reasons: { readonly [code: string]: readonly [FileError["reason"], string] } = {
  ENOENT: ["NotFound", "does not exist"],
  EACCES: ["PermissionDenied", "may not be read by this user"],
  EISDIR: ["Unknown", "is a directory"]
}

const fileError = (path: string, error: unknown): FileError => {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  const [reason, what] = reasons[code] ?? ["Unknown" as const, `cannot be read (${code})`]
  return new FileError({ reason, path, message: `${path} ${what}` })
}

/** The texts of files, in their order. One after the other, so that the error is always that of the first that cannot be read.
 * @since 0.1.0
 * @category effects */
export const read = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, FileError> =>
  Effect.forEach(paths, (path) =>
    Effect.tryPromise({
      try: (signal) => Fs.promises.readFile(path, { encoding: "utf8", signal }),
      catch: (error) => fileError(path, error)
    })
  )

/** From the first sign of a change to the reading: what belongs together is often written in several steps. */
const SETTLE = "250 millis"

/** Looks without a sign, too: network file systems give none, and the operating system has only so many watches. */
const LOOK = "1 minute"

/** Something happened beside the file. Kubernetes changes a file by replacing a link next to it, so the directory is watched, not the file. */
const activity = (directory: string): Stream.Stream<void> =>
  Stream.asyncPush<void>(
    (emit) =>
      Effect.acquireRelease(
        Effect.try(() => {
          const watcher = Fs.watch(directory, { persistent: false }, () => emit.single(undefined))
          // A watch that broke shows nothing more; what it may have missed is looked for.
          watcher.on("error", () => emit.single(undefined))
          return watcher
        }),
        (watcher) => Effect.sync(() => watcher.close())
      ).pipe(
        Effect.catchAll((error) =>
          Effect.logWarning(`${directory} cannot be watched; its files are looked at every ${LOOK}`, error.cause)
        )
      ),
    // One sign that waits is as good as many.
    { bufferSize: 1, strategy: "dropping" }
  )

const digest = (texts: ReadonlyArray<string>): string =>
  texts.map((text) => Crypto.createHash("sha256").update(text).digest("base64")).join()

/**
 * The texts of files, whenever they are not what they were; `known` is what they were at first. While one of them cannot be read,
 * that is logged and nothing is emitted.
 *
 * @since 0.1.0
 * @category streams
 */
export const changes = (
  paths: ReadonlyArray<string>,
  known: ReadonlyArray<string>
): Stream.Stream<ReadonlyArray<string>> => {
  const directories = [...new Set(paths.map((path) => Path.dirname(path)))]
  return Stream.suspend(() => {
    let last = digest(known)
    let complained = false
    const complain = (error: FileError) => {
      const first = !complained
      complained = true
      return first ? Effect.logError(`${error.message}: what was read before stays in force`) : Effect.void
    }
    return Stream.mergeAll(directories.map(activity), { concurrency: "unbounded" }).pipe(
      Stream.tap(() => Effect.sleep(SETTLE)),
      Stream.merge(Stream.drop(Stream.fromSchedule(Schedule.spaced(LOOK)), 1)),
      Stream.mapEffect(() => Effect.catchAll(read(paths), (error) => Effect.as(complain(error), undefined))),
      Stream.filterMap((texts) => {
        if (texts === undefined) return Option.none()
        complained = false
        const now = digest(texts)
        if (now === last) return Option.none()
        last = now
        return Option.some(texts)
      })
    )
  })
}
