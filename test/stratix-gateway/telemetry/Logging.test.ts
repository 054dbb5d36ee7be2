import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, type Console, Effect, Layer } from "effect"
import { Logging } from "../../../src/stratix-gateway/index.js"

/** What is written to standard output under this environment. */
const written = (environment: Record<string, string>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const real = yield* Effect.console
    const write = (...parts: ReadonlyArray<unknown>) => {
      lines.push(parts.map(String).join(" "))
    }
    const console: Console.Console = {
      ...real,
      unsafe: { ...real.unsafe, log: write, info: write, debug: write, warn: write, error: write }
    }
    yield* Effect.gen(function* () {
      yield* Effect.logDebug("quiet")
      yield* Effect.logInfo("client joined").pipe(
        Effect.annotateLogs({ module: "Connections", connectionId: "conn-1" })
      )
      yield* Effect.logError("loud")
    }).pipe(
      Effect.provide(
        Layer.provide(
          Logging.layerConfig,
          Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment))))
        )
      ),
      Effect.withConsole(console)
    )
    return lines
  })

describe("the log of the stand-alone gateway", () => {
  it.effect("is one JSON object a line where the settings say so, with its annotations as fields", () =>
    Effect.gen(function* () {
      const lines = yield* written({ STRATIX_LOG_FORMAT: "json" })
      assert.strictEqual(lines.length, 2)
      assert.deepInclude(JSON.parse(lines[0] ?? ""), {
        message: "client joined",
        logLevel: "INFO",
        annotations: { module: "Connections", connectionId: "conn-1" }
      })
    })
  )

  it.effect("is logfmt where they say so", () =>
    Effect.gen(function* () {
      const [line] = yield* written({ STRATIX_LOG_FORMAT: "logfmt" })
      assert.match(line ?? "", /level=INFO .*message="client joined" .*connectionId=conn-1/)
    })
  )

  it.effect("is for people where nothing is said", () =>
    Effect.gen(function* () {
      const lines = yield* written({})
      assert.include(lines.join("\n"), "client joined")
      assert.notInclude(lines.join("\n"), "level=")
      assert.notInclude(lines.join("\n"), "{")
    })
  )

  it.effect("leaves out what is below its level", () =>
    Effect.gen(function* () {
      const messages = (level: string) =>
        Effect.map(written({ STRATIX_LOG_FORMAT: "json", STRATIX_LOG_LEVEL: level }), (lines) =>
          lines.map((line): unknown => JSON.parse(line).message)
        )
      assert.deepStrictEqual(yield* messages("debug"), ["quiet", "client joined", "loud"])
      assert.deepStrictEqual(yield* messages("warning"), ["loud"])
      assert.deepStrictEqual(yield* messages("none"), [])
    })
  )

  it.effect("does not begin with settings that mean nothing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(written({ STRATIX_LOG_FORMAT: "xml" }))
      assert.include(String(error), "STRATIX_LOG_FORMAT")
    })
  )
})
