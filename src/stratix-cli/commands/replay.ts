/**
 * `replay`: a recording into a gateway.
 */
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { type CliError, failed } from "../CliError.js"
import * as Gateway from "../Gateway.js"
import * as Lines from "../Lines.js"
import { visible } from "../Output.js"
import * as Publisher from "../Publisher.js"
import * as Recording from "../Recording.js"
import { Stdio } from "../Stdio.js"
import { described, textArg } from "../typed/Arguments.js"

const speedOption = Options.text("speed").pipe(
  Options.withDescription(
    'How many times as fast as it was recorded: 1 if absent, 10, 0.5, or "max" for without any pause'
  ),
  Options.withDefault("1"),
  Options.mapEffect((text) => {
    const speed = text === "max" ? Number.POSITIVE_INFINITY : Number(text)
    return text.trim() !== "" && speed > 0
      ? Effect.succeed(speed)
      : Effect.fail(
          ValidationError.invalidValue(HelpDoc.p(`--speed must be a number above 0 or "max", is "${visible(text)}"`))
        )
  })
)

const linesOf = (file: string): Stream.Stream<Lines.Line, CliError, FileSystem.FileSystem | Stdio> => {
  const bytes: Stream.Stream<Uint8Array, PlatformError, FileSystem.FileSystem | Stdio> =
    file === "-"
      ? Stream.unwrap(Effect.map(Stdio, ({ stdin }) => stdin.bytes))
      : Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(file)))
  return bytes.pipe(
    Stream.mapError((error) =>
      failed(
        `${visible(file)} cannot be read: ${error._tag === "SystemError" ? (error.reason === "NotFound" ? "it does not exist" : error.reason) : error.message}`
      )
    ),
    Lines.split,
    Stream.mapConcat((lines) => lines)
  )
}

export const replay = Command.make(
  "replay",
  {
    file: textArg("file", "What record wrote; - is standard input"),
    url: Gateway.urlOption,
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    speed: speedOption
  },
  ({ file, speed, ...given }) =>
    Effect.gen(function* () {
      const gateway = yield* Gateway.resolve(given)
      const publisher = yield* Publisher.make(gateway, false)
      const begin = yield* Clock.currentTimeMillis
      let number = 0
      yield* linesOf(file).pipe(
        Stream.runForEach((line) =>
          Effect.gen(function* () {
            number++
            if (number === 1) {
              const header = Either.flatMap(line, Recording.parseHeader)
              return Either.isLeft(header)
                ? yield* failed(`${visible(file)} is no recording: ${header.left}`)
                : undefined
            }
            if (Either.isRight(line) && line.right.trim() === "") return
            const entry = Either.flatMap(line, Recording.parseEntry)
            if (Either.isLeft(entry)) return yield* publisher.refuse(number, entry.left)
            const due = begin + entry.right.at / speed
            const early = due - (yield* Clock.currentTimeMillis)
            if (early > 0) {
              yield* publisher.flush
              // The flush took its time.
              const left = due - (yield* Clock.currentTimeMillis)
              if (left > 0) yield* Effect.sleep(left)
            }
            yield* publisher.add({ number, json: JSON.stringify(entry.right.event) })
          })
        ),
        Effect.zipRight(publisher.flush),
        Publisher.tellIfCutOff(publisher)
      )
      if (number === 0) return yield* failed(`${visible(file)} is no recording: it is empty`)
      yield* Publisher.summarise(publisher, begin)
    })
).pipe(
  Command.withDescription(
    described(
      "Publishes the events of a recording, with their original timestamps and request ids, at the pace they came.",
      ["replay session.ndjson", "into the gateway on this machine, as it was"],
      ["replay session.ndjson --url ws://staging:3001/ --speed 10", "ten times as fast"],
      ["replay session.ndjson --speed max", "as fast as the gateway takes it"]
    )
  )
)
