/**
 * `record`: events into a file, with their times.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { CliError, failed } from "../CliError.js"
import { asLongAsWanted } from "../ExitCode.js"
import { follow } from "../Follow.js"
import * as Gateway from "../Gateway.js"
import { counted, Output, visible } from "../Output.js"
import * as Recording from "../Recording.js"
import { described, durationOption, textArg } from "../typed/Arguments.js"
import { filterOf, filterOptions, makeTeller, snapshotOption } from "./watch.js"

const cannotWrite = (file: string) => (error: PlatformError.PlatformError) =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"
    ? failed(`${file} is there already: choose another name, or say --force`)
    : failed(`${file} cannot be written: ${error._tag === "SystemError" ? error.reason : error.message}`)

/** Where a recording goes: a file that is not there yet, or standard output. */
const open = (
  file: string,
  force: boolean
): Effect.Effect<
  (text: string) => Effect.Effect<void, CliError>,
  CliError,
  Output | FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function* () {
    if (file === "-") return (yield* Output).write
    const fs = yield* FileSystem.FileSystem
    const handle = yield* Effect.mapError(fs.open(file, { flag: force ? "w" : "wx" }), cannotWrite(visible(file)))
    const encoder = new TextEncoder()
    return (text) => Effect.mapError(handle.writeAll(encoder.encode(text)), cannotWrite(visible(file)))
  })

/** Ends the following when enough was recorded; not an error that is shown. */
const enough = new CliError({ reason: "ReaderGone", message: "enough was recorded" })

export const record = Command.make(
  "record",
  {
    file: textArg("file", "Where to; - is standard output"),
    url: Gateway.urlOption,
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    ...filterOptions,
    snapshot: snapshotOption,
    time: durationOption("for", "Stops after this time, like 30s or 5m; by default it goes on until Ctrl-C"),
    count: Options.integer("count").pipe(Options.withDescription("Stops after so many events"), Options.optional),
    force: Options.boolean("force").pipe(Options.withDescription("Overwrites a file that is there"))
  },
  ({ agents, commands, count, events, file, force, snapshot, time, ...given }) =>
    Effect.gen(function* () {
      const output = yield* Output
      const gateway = yield* Gateway.resolve(given)
      const tell = yield* makeTeller(gateway)
      const write = yield* open(file, force)
      const begin = yield* Clock.currentTimeMillis
      const most = Option.getOrElse(count, () => Number.POSITIVE_INFINITY)
      let recorded = 0
      yield* write(Recording.headerLine({ url: gateway.shown, startedAt: begin }))
      const following = follow(gateway, filterOf({ agents, commands, events }), (items) =>
        Effect.gen(function* () {
          const at = (yield* Clock.currentTimeMillis) - begin
          let text = ""
          for (const item of items) {
            if (item._tag !== "Event") yield* tell(item)
            else if ((snapshot || !item.inFirstSnapshot) && recorded < most) {
              text += Recording.entryLine(at, item.event)
              recorded++
            }
          }
          if (text !== "") {
            // What was begun is ended, so that Ctrl-C leaves no half of a line.
            yield* Effect.uninterruptible(write(text))
            yield* output.progress(`recorded ${counted(recorded, "event")}`)
          }
          if (recorded >= most) yield* enough
        })
      )
      yield* Option.match(time, {
        onNone: () => following,
        onSome: (length) => Effect.asVoid(Effect.timeoutOption(following, length))
      }).pipe(
        Effect.catchIf(
          (error) => error === enough,
          () => Effect.void
        ),
        Effect.ensuring(Effect.suspend(() => output.note(`recorded ${counted(recorded, "event")} in ${visible(file)}`)))
      )
    }).pipe(Effect.scoped, asLongAsWanted)
).pipe(
  Command.withDescription(
    described(
      "Writes events into a file, with the times at which they came, until Ctrl-C. replay plays it.",
      ["record session.ndjson", "until Ctrl-C"],
      ["record session.ndjson --for 5m", "five minutes of STRATIX_URL"],
      ["record session.ndjson --agents agent-001 --no-snapshot", "what one agent does from now on"]
    )
  )
)
