/**
 * `doctor`: whether a gateway could run with these settings, and whether it should.
 */
import * as Http from "node:http"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Authenticator from "../../stratix-gateway/auth/Authenticator.js"
import {
  make as check,
  defaults,
  knobs,
  problemsOf,
  type Settings,
  StatusSyncConfig
} from "../../stratix-gateway/config/StatusSyncConfig.js"
import * as Warnings from "../../stratix-gateway/config/Warnings.js"
import * as EventLogFile from "../../stratix-gateway/log/file/EventLogFile.js"
import * as EventLogRedis from "../../stratix-gateway/log/redis/EventLogRedis.js"
import * as Access from "../../stratix-gateway/operations/diagnosis/Access.js"
import * as BehindProxy from "../../stratix-gateway/operations/diagnosis/BehindProxy.js"
import * as Certificate from "../../stratix-gateway/operations/diagnosis/Certificate.js"
import * as Files from "../../stratix-gateway/operations/diagnosis/Files.js"
import { type Finding, ok, problem, warning } from "../../stratix-gateway/operations/diagnosis/Finding.js"
import * as NodeServer from "../../stratix-gateway/transport/NodeServer.js"
import { failed } from "../CliError.js"
import * as FromOutside from "../diagnosis/FromOutside.js"
import * as Gateway from "../Gateway.js"
import { counted, jsonLine, Output, visible } from "../Output.js"
import { described } from "../typed/Arguments.js"
import * as SettingsFlags from "../typed/SettingsFlags.js"

/** The settings, with unreadable ones at their defaults, and what is wrong with them. */
const settings: Effect.Effect<readonly [Settings, ReadonlyArray<Finding>]> = Effect.gen(function* () {
  const findings: Array<Finding> = []
  const readable = new Map<string, string>()
  for (const knob of Object.values(knobs)) {
    const text = yield* Effect.option(Config.string(knob.env))
    const value = yield* Effect.either<unknown, ConfigError, never>(knob)
    if (Either.isRight(value)) {
      if (Option.isSome(text)) readable.set(knob.env, text.value)
    } else findings.push(...problemsOf(value.left).map((text) => problem("settings", text)))
  }
  const given = yield* Config.all(knobs).pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(readable)),
    Effect.orElseSucceed(() => defaults)
  )
  const checked = yield* Effect.either(check(given))
  if (Either.isLeft(checked)) findings.push(...checked.left.problems.map((text) => problem("settings", text)))
  if (findings.length === 0) {
    const { heartbeatInterval, heartbeatTimeout } = given
    const format = (input: Duration.DurationInput) => Duration.format(input)
    findings.push(
      ok(
        "settings",
        `all can be read and none is out of range; ${readable.size} of ${Object.keys(knobs).length} are set`
      ),
      ok("heartbeat", `pings every ${format(heartbeatInterval)}, gives up after ${format(heartbeatTimeout)}`)
    )
  }
  return [given, findings]
})

const authentication = (
  given: Settings
): Effect.Effect<ReadonlyArray<Finding>, never, StatusSyncConfig | Scope.Scope> =>
  Effect.map(Effect.either(Layer.build(Authenticator.layerLoopback)), (built) => {
    if (Either.isLeft(built)) {
      const instead = "docs/SECURITY.md shows how tokens and keys are written"
      return [problem("authentication", built.left.message, instead), ...Access.exposure(given, false)]
    }
    const { open } = Context.get(built.right, Authenticator.Authenticator)
    return [Access.tokens(given, open), ...Access.exposure(given, !open)]
  })

const listening = (given: Settings): Effect.Effect<ReadonlyArray<Finding>, never, StatusSyncConfig | Scope.Scope> =>
  Effect.gen(function* () {
    const findings: Array<Finding> = []
    const built = yield* Effect.either(Layer.build(NodeServer.layer))
    if (Either.isLeft(built)) {
      findings.push(
        problem("tls", built.left.message, "STRATIX_TLS_CERT and STRATIX_TLS_KEY name PEM files that belong together")
      )
    } else if (given.tlsCert === undefined) {
      findings.push(ok("tls", "none: the gateway speaks ws and http"))
    } else findings.push(...Certificate.inFile(given.tlsCert, yield* Clock.currentTimeMillis))
    const server = Either.isRight(built) ? Context.get(built.right, NodeServer.NodeServer) : Http.createServer()
    const listened = yield* NodeServer.listen.pipe(Effect.provideService(NodeServer.NodeServer, server), Effect.either)
    findings.push(
      Either.isLeft(listened)
        ? problem("address", listened.left.message)
        : ok("address", given.port === 0 ? `${given.host}, any free port` : `${given.host}:${given.port} is free`)
    )
    return findings
  })

/** Whether the log is where the settings say, and can be held there. */
const eventLog = ({ eventLog: where }: Settings): Effect.Effect<ReadonlyArray<Finding>> => {
  const text = Redacted.value(where)
  if (text === "memory")
    return Effect.succeed([ok("log", "in memory: a restart forgets it, and no other gateway sees it")])
  if (text.startsWith("file:"))
    return Effect.match(EventLogFile.inspect(text), {
      onFailure: (detail) => [problem("log", visible(detail), "docs/operations/scale.md says what a file must be")],
      onSuccess: ({ events, path }) => [
        ok(
          "log",
          visible(`${path} ${events === undefined ? "will be made" : `is whole, with ${counted(events, "event")}`}`)
        )
      ]
    })
  return Effect.match(EventLogRedis.inspect(where), {
    onFailure: (detail) => [problem("log", detail, "docs/operations/scale.md says what a Redis must be")],
    onSuccess: ({ engine, refusals, warnings, where: named }) => [
      ...refusals.map((what) => problem("log", what, "docs/operations/scale.md says what a Redis must be")),
      ...warnings.map((what) => warning("log", what, "set appendonly yes in Redis")),
      ...(refusals.length === 0 ? [ok("log", `${named} answers, and is ${engine}`)] : [])
    ]
  })
}

const colourOf = { ok: "green", warning: "yellow", problem: "red" } as const

const WIDTHS = { level: 9, about: 16 }

/** The findings about what `serve` would run with. */
const inSettings = Effect.gen(function* () {
  const [given, found] = yield* settings
  return yield* Effect.all([authentication(given), listening(given), eventLog(given)]).pipe(
    Effect.scoped,
    Effect.provideService(StatusSyncConfig, given),
    Effect.map((more) => [
      ...found,
      ...Warnings.names(process.env).map(({ instead, what }) => warning("settings", what, instead)),
      ...more.flat(),
      ...BehindProxy.inSettings(given),
      ...Files.secrets(given),
      ...Files.limit(given)
    ])
  )
})

export const doctor = Command.make(
  "doctor",
  {
    ...SettingsFlags.flags,
    url: Options.text("url").pipe(
      Options.withDescription("Looks at the gateway that runs there, from here, through the proxies in between"),
      Options.optional
    ),
    origin: Options.text("origin").pipe(
      Options.withDescription("With --url: as pages of this origin, like https://dashboard.example"),
      Options.optional
    ),
    token: Gateway.tokenOption,
    tenant: Gateway.tenantOption,
    json: Options.boolean("json").pipe(Options.withDescription("The findings as JSON, for programs")),
    strict: Options.boolean("strict").pipe(Options.withDescription("Fails for warnings, too"))
  },
  ({ json, origin, strict, tenant, token, url, ...typed }) =>
    Effect.gen(function* () {
      const { paint, write } = yield* Output
      const findings = Option.isNone(url)
        ? yield* inSettings
        : yield* FromOutside.look(yield* Gateway.resolve({ url, token, tenant }), Option.getOrUndefined(origin))
      const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length
      if (json) yield* write(jsonLine(findings))
      else {
        const indent = " ".repeat(WIDTHS.level + WIDTHS.about)
        const lines = findings.map(
          ({ about, instead, level, what }) =>
            `${paint(colourOf[level], level.padEnd(WIDTHS.level))}${about.padEnd(WIDTHS.about)}${visible(what)}\n${
              instead === undefined ? "" : `${indent}${paint("dim", `right: ${visible(instead)}`)}\n`
            }`
        )
        yield* write(lines.join(""))
      }
      const problems = count("problem")
      const warnings = count("warning")
      if (problems > 0 || (strict && warnings > 0)) {
        yield* failed(`${counted(problems, "problem")}, ${counted(warnings, "warning")}`)
      }
    }).pipe(SettingsFlags.withTyped(typed))
).pipe(
  Command.withDescription(
    described(
      "Looks at the settings that serve would run with, or at a gateway that runs, and says what is wrong and what would be right.",
      ["doctor", "with the environment as it is"],
      ["doctor --host 0.0.0.0 --tokens-file tokens.json", "with the flags of serve"],
      ["doctor --strict --json", "before a deployment"],
      ["doctor --url wss://status.example/ --origin https://status.example", "from outside, as a page"]
    )
  )
)
