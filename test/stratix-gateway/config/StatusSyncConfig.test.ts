import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Layer, Logger, Redacted } from "effect"
import { StatusSyncConfig } from "../../../src/stratix-gateway/index.js"

const read = (environment: Record<string, string>) =>
  StatusSyncConfig.read.pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))))

const problems = (environment: Record<string, string>) => Effect.map(Effect.flip(read(environment)), (e) => e.problems)

/** What is logged while a layer is built. */
const logged = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${message}`)
    })
    yield* Effect.scoped(Layer.build(layer)).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    return lines
  })

const millisOf = (input: Duration.DurationInput) => Duration.toMillis(input)

describe("the knobs", () => {
  it.effect("are at their defaults in an empty environment, and the defaults are in range", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({}), StatusSyncConfig.defaults)
      assert.deepStrictEqual(yield* StatusSyncConfig.make(), StatusSyncConfig.defaults)
      for (const knob of Object.values(StatusSyncConfig.knobs)) assert.isUndefined(knob.problem(knob.default), knob.env)
    })
  )

  it.effect("under a nested provider are read, and named as they are named here", () =>
    Effect.gen(function* () {
      const under = (environment: Record<string, string>) =>
        StatusSyncConfig.read.pipe(
          Effect.withConfigProvider(
            ConfigProvider.nested(
              ConfigProvider.fromMap(new Map(Object.entries(environment)), { pathDelim: "_" }),
              "GATEWAY"
            )
          )
        )
      assert.strictEqual((yield* under({ GATEWAY_STRATIX_PORT: "4000" })).port, 4000)
      const { problems } = yield* Effect.flip(under({ GATEWAY_STRATIX_PORT: "many" }))
      assert.match(problems[0] ?? "", /STRATIX_PORT \(port\) must be/)
    })
  )

  it.effect("given in code take the place of those in the environment, and are checked with them", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.fromMap(
        new Map([
          ["STRATIX_HISTORY_CAPACITY", "77"],
          ["STRATIX_HEARTBEAT_INTERVAL", "10s"]
        ])
      )
      const built = (overrides: Partial<StatusSyncConfig.Settings>) =>
        StatusSyncConfig.StatusSyncConfig.pipe(
          Effect.provide(StatusSyncConfig.layerConfigWith(overrides)),
          Effect.withConfigProvider(provider)
        )
      const settings = yield* built({ heartbeatInterval: "20 seconds" })
      assert.strictEqual(settings.historyCapacity, 77)
      assert.strictEqual(millisOf(settings.heartbeatInterval), 20_000)
      const error = yield* Effect.flip(built({ heartbeatInterval: "2 minutes" }))
      assert.match(error.message, /STRATIX_HEARTBEAT_TIMEOUT.*above the interval/)
    })
  )

  it.effect("durations are written as people type them", () =>
    Effect.gen(function* () {
      for (const [text, millis] of [
        ["500ms", 500],
        ["90s", 90_000],
        ["1.5 m", 90_000],
        ["5min", 300_000],
        ["1h", 3_600_000],
        ["2d", 172_800_000],
        ["30 seconds", 30_000],
        [" 1 Minute ", 60_000],
        ["100 millis", 100]
      ] as const) {
        assert.strictEqual(millisOf((yield* read({ STRATIX_STALL_TIMEOUT: text })).stallTimeout), millis, text)
      }
      assert.strictEqual(millisOf((yield* read({ STRATIX_LINGER: "0" })).linger), 0)
    })
  )

  it.effect("sizes are bytes, or have a binary unit", () =>
    Effect.gen(function* () {
      for (const [text, bytes] of [
        ["1000", 1000],
        ["64KiB", 65_536],
        ["4 MiB", 4_194_304],
        ["0.5mib", 524_288]
      ] as const) {
        assert.strictEqual((yield* read({ STRATIX_MAX_BODY_BYTES: text })).maxBodyBytes, bytes, text)
      }
    })
  )

  it.effect("lists, flags, choices and secrets are read", () =>
    Effect.gen(function* () {
      const settings = yield* read({
        STRATIX_TRUSTED_PROXIES: "10.0.0.0/8, ::1,",
        STRATIX_COMPRESSION: "yes",
        STRATIX_METRICS: "FALSE",
        STRATIX_SLOW_POLICY: "close",
        STRATIX_JWT_SECRET: "s3cret"
      })
      assert.deepStrictEqual(settings.trustedProxies, ["10.0.0.0/8", "::1"])
      assert.deepStrictEqual([settings.compression, settings.metrics, settings.slowPolicy], [true, false, "close"])
      assert.strictEqual(settings.jwtSecret && Redacted.value(settings.jwtSecret), "s3cret")
    })
  )

  it.effect("an error names every wrong variable, what it is and the right form", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* problems({
          STRATIX_PORT: "http",
          STRATIX_HEARTBEAT_INTERVAL: "30",
          STRATIX_HISTORY_CAPACITY: "5000000000",
          STRATIX_MAX_BODY_BYTES: "4MB",
          STRATIX_COMPRESSION: "maybe",
          STRATIX_LOG_LEVEL: "loud",
          STRATIX_TRUSTED_PROXIES: "proxy.local"
        }),
        [
          'STRATIX_PORT (port) must be a whole number from 0 to 65535, is "http"',
          'STRATIX_HEARTBEAT_INTERVAL (heartbeatInterval) must be a duration from 1ms to 24d, written like 500ms, 30s, 5m or 1h, is "30"',
          'STRATIX_HISTORY_CAPACITY (historyCapacity) must be a whole number from 1 to 16777216, is "5000000000"',
          'STRATIX_COMPRESSION (compression) must be true or false, is "maybe"',
          'STRATIX_TRUSTED_PROXIES (trustedProxies) must be addresses or networks like 10.0.0.0/8, has "proxy.local"',
          'STRATIX_MAX_BODY_BYTES (maxBodyBytes) must be a whole number from 256 to 536870888 bytes, or written like 64KiB or 4MiB, is "4MB"',
          'STRATIX_LOG_LEVEL (logLevel) must be all, trace, debug, info, warning, error, fatal or none, is "loud"'
        ]
      )
    })
  )

  it.effect("the port that Kubernetes sets for a Service named stratix is explained", () =>
    Effect.gen(function* () {
      const [problem = ""] = yield* problems({ STRATIX_PORT: "tcp://10.0.0.1:3001" })
      assert.include(problem, "rename the Service, or set enableServiceLinks: false")
    })
  )

  it.effect("settings given in code are checked alike, whatever their type", () =>
    Effect.gen(function* () {
      const wrong = JSON.parse('{"port":"80","linger":"soon","compression":1,"allowedOrigins":"*","jwtSecret":"plain"}')
      const { problems, reason } = yield* Effect.flip(StatusSyncConfig.make(wrong))
      assert.strictEqual(reason, "OutOfRange")
      assert.deepStrictEqual(
        problems.map((problem) => problem.split(" ")[0]),
        ["STRATIX_PORT", "STRATIX_LINGER", "STRATIX_COMPRESSION", "STRATIX_ALLOWED_ORIGINS", "STRATIX_JWT_SECRET"]
      )
      assert.notInclude(problems.join(), "plain")
    })
  )

  it.effect("settings that cannot work together are refused", () =>
    Effect.gen(function* () {
      const wrong = { heartbeatTimeout: "30 seconds", requestTimeout: "1 second", tlsCert: "cert.pem" } as const
      const { message } = yield* Effect.flip(StatusSyncConfig.make(wrong))
      assert.match(message, /STRATIX_HEARTBEAT_TIMEOUT \(heartbeatTimeout\) must be above the interval/)
      assert.match(message, /STRATIX_REQUEST_TIMEOUT \(requestTimeout\) must not be below/)
      assert.match(message, /STRATIX_TLS_CERT \(tlsCert\) and STRATIX_TLS_KEY \(tlsKey\) must be set together/)
    })
  )
})

describe("what is warned of at start", () => {
  const environment = (values: Record<string, string>) =>
    Effect.acquireRelease(
      Effect.sync(() => Object.assign(process.env, values)),
      () => Effect.sync(() => Object.keys(values).forEach((name) => delete process.env[name]))
    )

  it.scoped("a variable that is no setting, with the nearest name", () =>
    Effect.gen(function* () {
      yield* environment({ STRATIX_HEARTBEAT_TIMOUT: "1m", STRATIX_COLOUR: "red", STRATIX_URL: "ws://x" })
      const lines = (yield* logged(StatusSyncConfig.layerConfig)).filter((line) => !line.includes("PROPERTY_RUNS"))
      assert.deepStrictEqual(lines, [
        "WARN STRATIX_HEARTBEAT_TIMOUT is no setting, so it does nothing: did you mean STRATIX_HEARTBEAT_TIMEOUT?",
        "WARN STRATIX_COLOUR is no setting, so it does nothing: see docs/configuration.md"
      ])
    })
  )

  it.scoped("not what Kubernetes sets for its Services", () =>
    Effect.gen(function* () {
      yield* environment({
        STRATIX_SERVICE_HOST: "10.0.0.1",
        STRATIX_SERVICE_PORT_WS: "3001",
        STRATIX_PORT_3001_TCP_ADDR: "10.0.0.1",
        STRATIX_REDIS_PORT: "tcp://10.0.0.2:6379"
      })
      const lines = yield* logged(StatusSyncConfig.layerConfig)
      assert.deepStrictEqual(
        lines.filter((line) => !line.includes("PROPERTY_RUNS")),
        []
      )
    })
  )

  it.effect("an origin that no page can have", () =>
    Effect.gen(function* () {
      const allowedOrigins = ["*", "https://fine.example", "example.org", "example.org:8080", "https://a.example/app"]
      const lines = yield* logged(StatusSyncConfig.layer({ allowedOrigins }))
      const what = "in STRATIX_ALLOWED_ORIGINS is no origin, so it matches no page"
      assert.deepStrictEqual(lines, [
        `WARN "example.org" ${what}: did you mean https://example.org?`,
        `WARN "example.org:8080" ${what}: did you mean https://example.org:8080?`,
        `WARN "https://a.example/app" ${what}: did you mean https://a.example?`
      ])
    })
  )

  it.effect("settings that are wrong start nothing", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(StatusSyncConfig.layer({ port: -1 }))))
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
