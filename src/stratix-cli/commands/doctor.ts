/**
 * `doctor`: whether a gateway could run with these settings, and whether it should.
 */
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
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
import * as EventLogRedis from "../../stratix-gateway/log/redis/EventLogRedis.js"
import { isLoopback } from "../../stratix-gateway/runtime/IpAddress.js"
import * as NodeServer from "../../stratix-gateway/transport/NodeServer.js"
import { failed } from "../CliError.js"
import * as BehindProxy from "../diagnosis/BehindProxy.js"
import { type Finding, ok, problem, warning } from "../diagnosis/Finding.js"
import * as FromOutside from "../diagnosis/FromOutside.js"
import * as Gateway from "../Gateway.js"
import { counted, jsonLine, Output, visible } from "../Output.js"
import { described } from "../typed/Arguments.js"
import * as SettingsFlags from "../typed/SettingsFlags.js"

/** A certificate that expires sooner than this should have been replaced: 90-day certificates are renewed after 60 days. */
const EXPIRES_SOON = Duration.toMillis("14 days")

/** The settings, with unreadable ones at their defaults, and what is wrong with them. */
const settings: Effect.Effect<readonly [Settings, ReadonlyArray<Finding>]> = Effect.gen(function* () {
  const findings: Array<Finding> = []
  const readable = new Map<string, string>()
  for (const knob of Object.values(knobs)) {
    const text = yield* Effect.option(Config.string(knob.env))
    const value = yield* Effect.either<unknown, ConfigError, never>(knob)
    if (Either.isRight(value)) {
      if (Option.isSome(text)) readable.set(knob.env, text.value)
    } else findings.push(...problemsOf(value.left).map((text) => problem("settings", visible(text))))
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
  Effect.gen(function* () {
    const built = yield* Effect.either(Layer.build(Authenticator.layerLoopback))
    const open = Either.isRight(built) && Context.get(built.right, Authenticator.Authenticator).open
    const asksForTokens = Either.isRight(built) && !open
    const reachable = !isLoopback(given.host)
    const findings: Array<Finding> = []
    if (Either.isLeft(built)) {
      findings.push(
        problem("authentication", built.left.message, "docs/SECURITY.md shows how tokens and keys are written")
      )
    } else if (open && (reachable || given.trustedProxies.length > 0)) {
      findings.push(
        warning(
          "authentication",
          "other machines can reach the gateway, and no token is asked for (STRATIX_ALLOW_ANONYMOUS)",
          "set STRATIX_TOKENS_FILE or a STRATIX_JWT_ key instead"
        )
      )
    } else {
      findings.push(
        ok(
          "authentication",
          open ? `no token is asked for, and only this machine can reach ${given.host}` : "a token is asked for"
        )
      )
    }
    if (reachable && asksForTokens && given.tlsCert === undefined) {
      findings.push(
        warning(
          "authentication",
          `tokens travel unencrypted on ${given.host}`,
          "set STRATIX_TLS_CERT and STRATIX_TLS_KEY, or let a proxy on this machine speak TLS and bind to 127.0.0.1"
        )
      )
    }
    if (given.queryTokens) {
      findings.push(
        warning(
          "authentication",
          "tokens are accepted in query strings (STRATIX_QUERY_TOKENS), which proxies and browsers log",
          "set it to false where clients can send the token in the Authorization header or a subprotocol"
        )
      )
    }
    if (given.allowedOrigins.includes("*")) {
      const what = "web pages of every origin may connect and publish (STRATIX_ALLOWED_ORIGINS=*)"
      const instead = "list the origins of your dashboards, like https://dashboard.example"
      findings.push(asksForTokens ? warning("origins", what, instead) : problem("origins", what, instead))
    }
    findings.push(
      ...Warnings.origins(given.allowedOrigins).map(({ instead, what }) =>
        problem("origins", visible(what), visible(instead))
      )
    )
    return findings
  })

/** Whether others than its owner may read a file with secrets in it. */
const readableByOthers = (path: string): boolean => {
  try {
    return (Fs.statSync(path).mode & 0o044) !== 0
  } catch {
    return false
  }
}

const secretFiles = (given: Settings): ReadonlyArray<Finding> =>
  [given.tokensFile, given.tlsKey]
    .filter((path) => path !== undefined)
    .filter(readableByOthers)
    .map((path) =>
      warning("files", `${visible(path)} can be read by other users of this machine`, `chmod 600 ${visible(path)}`)
    )

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** The dates of a certificate as OpenSSL writes them, like "Nov  2 17:42:56 2030 GMT"; node has them in no other form before 23. */
const certificateTime = (text: string): Option.Option<number> => {
  const [, month = "", day = "", time, year] = /^(\w{3}) +(\d+) (\S+) (\d{4}) GMT$/.exec(text) ?? []
  const two = (value: number | string) => String(value).padStart(2, "0")
  return Option.map(
    DateTime.make(`${year}-${two(MONTHS.indexOf(month) + 1)}-${two(day)}T${time}Z`),
    DateTime.toEpochMillis
  )
}

const certificate = (path: string, now: number): ReadonlyArray<Finding> => {
  const fits = "the certificate and its key fit together"
  const times = Either.try(() => {
    const { validFrom, validTo } = new Crypto.X509Certificate(Fs.readFileSync(path))
    return Option.all([certificateTime(validFrom), certificateTime(validTo)])
  })
  const [from, to] = Option.getOrElse(Option.flatten(Either.getRight(times)), () => [undefined, undefined] as const)
  // TLS has accepted it already; an unreadable date is no reason to stop.
  if (from === undefined) return [ok("tls", fits)]
  const replace = "replace it; a running gateway reads it again by itself"
  if (to <= now) return [problem("tls", `the certificate in ${visible(path)} has expired`, replace)]
  if (from > now) {
    return [
      problem("tls", `the certificate in ${visible(path)} is not valid yet`, "is the clock of this machine right?")
    ]
  }
  const days = Math.floor((to - now) / Duration.toMillis("1 day"))
  return [
    to - now < EXPIRES_SOON
      ? warning("tls", `the certificate in ${visible(path)} expires in ${days} days`, replace)
      : ok("tls", `${fits}, and are good for ${days} days`)
  ]
}

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
    } else findings.push(...certificate(given.tlsCert, yield* Clock.currentTimeMillis))
    const server = Either.isRight(built) ? Context.get(built.right, NodeServer.NodeServer) : Http.createServer()
    const listened = yield* NodeServer.listen.pipe(Effect.provideService(NodeServer.NodeServer, server), Effect.either)
    findings.push(
      Either.isLeft(listened)
        ? problem("address", listened.left.message)
        : ok("address", given.port === 0 ? `${given.host}, any free port` : `${given.host}:${given.port} is free`)
    )
    return findings
  })

/** Files a process has open besides connections: its log, Node's own, publishers. */
const SPARE_FILES = 1100

/** The limit of this process; Linux only. */
const fileLimit = (given: Settings): ReadonlyArray<Finding> => {
  try {
    const limit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(Fs.readFileSync("/proc/self/limits", "utf8"))?.[1])
    const needed = given.maxConnections + SPARE_FILES
    return limit < needed
      ? [
          warning(
            "files",
            `${given.maxConnections} connections (STRATIX_MAX_CONNECTIONS) need ${needed} open files, and ${limit} are allowed here`,
            `ulimit -n ${needed}, LimitNOFILE= in a systemd unit, or fewer connections`
          )
        ]
      : []
  } catch {
    return []
  }
}

/** Whether the log is where the settings say, and can be held there. */
const eventLog = ({ eventLog: where }: Settings): Effect.Effect<ReadonlyArray<Finding>> => {
  const text = Redacted.value(where)
  if (text === "memory")
    return Effect.succeed([ok("log", "in memory: a restart forgets it, and no other gateway sees it")])
  return Effect.match(EventLogRedis.inspect(where), {
    onFailure: (detail) => [problem("log", visible(detail), "docs/operations/scale.md says what a Redis must be")],
    onSuccess: ({ engine, refusals, warnings, where: named }) => [
      ...refusals.map((what) => problem("log", visible(what), "docs/operations/scale.md says what a Redis must be")),
      ...warnings.map((what) => warning("log", visible(what), "set appendonly yes in Redis")),
      ...(refusals.length === 0 ? [ok("log", visible(`${named} answers, and is ${engine}`))] : [])
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
      ...secretFiles(given),
      ...fileLimit(given)
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
    json: Options.boolean("json").pipe(Options.withDescription("The findings as JSON, for programs")),
    strict: Options.boolean("strict").pipe(Options.withDescription("Fails for warnings, too"))
  },
  ({ json, origin, strict, token, url, ...typed }) =>
    Effect.gen(function* () {
      const { paint, write } = yield* Output
      const findings = Option.isNone(url)
        ? yield* inSettings
        : yield* FromOutside.look(yield* Gateway.resolve({ url, token }), Option.getOrUndefined(origin))
      const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length
      if (json) yield* write(jsonLine(findings))
      else {
        const indent = " ".repeat(WIDTHS.level + WIDTHS.about)
        const lines = findings.map(
          ({ about, instead, level, what }) =>
            `${paint(colourOf[level], level.padEnd(WIDTHS.level))}${about.padEnd(WIDTHS.about)}${what}\n${
              instead === undefined ? "" : `${indent}${paint("dim", `right: ${instead}`)}\n`
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
