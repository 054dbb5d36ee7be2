import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { StatusSync } from "stratix-status-sync"
import WebSocket from "ws"
import { agent } from "../../src/stratix-testing/suites/drafts.js"
import { isSupported, openFile } from "../stratix-gateway/log/file/files.js"
import { RedisServer } from "../stratix-gateway/support/redis.js"
import {
  background,
  folder,
  gateway,
  interrupt,
  isOneLine,
  json,
  run,
  runInTerminal,
  runProgram,
  start,
  startInTerminal,
  until,
  url
} from "./support/cli.js"

const ESC = "\u001b"

const READY = /ready on (wss?:[^\s"]+)/

const serving = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  background(() => start(["serve", ...args], { env }))

describe("serve", () => {
  it.scopedLive("runs a gateway by flags before the environment, and lets go of its clients when it is ended", () =>
    Effect.gen(function* () {
      const server = yield* serving(["--port", "0", "--path", "/live"], {
        STRATIX_PORT: "1",
        STRATIX_LOG_FORMAT: "logfmt"
      })
      const [, address = ""] = yield* until(server, READY)
      assert.match(address, /^ws:\/\/127\.0\.0\.1:\d+\/live$/)
      const env = { STRATIX_URL: address }
      const dashboard = new WebSocket(address)
      const closed = once(dashboard, "close")
      yield* Effect.promise(() => once(dashboard, "message"))
      assert.strictEqual((yield* run(["publish", "agent-status", "a1", "busy"], { env })).code, 0)
      assert.match((yield* run(["state"], { env })).out, /a1 +busy/)
      const { code } = yield* interrupt(server, "SIGTERM")
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* Effect.promise(() => closed))[0], 1001)
    })
  )

  it.scopedLive("in a terminal, Ctrl-C ends it well", () =>
    Effect.gen(function* () {
      const server = yield* background(() => startInTerminal(["serve", "--port", "0"]))
      yield* until(server, READY)
      server.type("\u0003")
      assert.strictEqual((yield* Effect.promise(() => server.ended)).code, 0)
    })
  )

  it.scopedLive("what keeps it from starting is one line, and exit code 1", () =>
    Effect.gen(function* () {
      const taken = yield* url
      for (const [args, message] of [
        [["--port", new URL(taken).port], /is already in use/],
        [["--port", "abc"], /STRATIX_PORT/],
        [["--heartbeat-interval", "2m"], /STRATIX_HEARTBEAT_TIMEOUT .*must be above the interval/],
        [["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], /nowhere\.pem does not exist/]
      ] as const) {
        const { code, err } = yield* run(["serve", ...args])
        assert.strictEqual(code, 1)
        assert.match(err, message)
        assert.isTrue(isOneLine(err), err)
      }
    }).pipe(Effect.provide(gateway()))
  )
})

describe("state", () => {
  it.scopedLive("is a table, coloured in a terminal; with --json what the gateway says", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const address = yield* url
      const empty = yield* run(["state", "--url", address])
      assert.deepStrictEqual(empty, { code: 0, out: "", err: `${address} knows of no agent and no command\n` })
      yield* sync.notifyAgentCreate("a1", "Scout", "researcher")
      yield* sync.notifyAgentStatus("a1", "busy")
      yield* sync.notifyAgentStatus("a0", "error")
      yield* sync.notifyCommandStatus("c1", "a1", "failed", 40, undefined, `no ${ESC}space`)
      const { code, out } = yield* run(["state", "--url", address])
      assert.strictEqual(code, 0)
      assert.match(
        out,
        /^AGENT {2}STATUS {2}FOR +NAME {3}TYPE\na0 {5}error {3}\S+\na1 {5}busy {4}\S+ +Scout {2}researcher\n\nCOMMAND {2}AGENT {2}STATUS {2}PROGRESS {2}FOR +ERROR\nc1 {7}a1 {5}failed {2}40% {7}\S+ +no \\u001bspace\n$/
      )
      const terminal = yield* runInTerminal(["state", "--url", address])
      assert.include(terminal.out, `${ESC}[31mfailed${ESC}[0m`)
      assert.match(stripVTControlCharacters(terminal.out), /a1 +busy +\S+ +Scout +researcher\r\n/)
      const [state] = json((yield* run(["state", "--json", "--url", address])).out)
      assert.deepStrictEqual(
        state,
        yield* Effect.promise(async () => (await fetch(`${address.replace("ws", "http")}api/stratix/state`)).json())
      )
    }).pipe(Effect.provide(gateway()))
  )
})

describe("state, of some", () => {
  const someAgents = Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    yield* sync.notifyAgentStatus("a1", "busy")
    yield* sync.notifyAgentStatus("a2", "online")
    yield* sync.notifyCommandStatus("c1", "a1", "running")
    yield* sync.notifyCommandStatus("c2", "a1", "success")
    yield* sync.notifyCommandStatus("c3", "a2", "failed")
    return sync
  })
  const firstCells = (out: string) => [...out.matchAll(/^(a\d|c\d)/gm)].map(([cell]) => cell)

  it.scopedLive("--running and --agents leave out the rest, and say so where nothing is left", () =>
    Effect.gen(function* () {
      yield* someAgents
      const address = yield* url
      const shown = (...args: ReadonlyArray<string>) =>
        Effect.map(run(["state", "--url", address, ...args]), ({ out }) => firstCells(out))
      assert.deepStrictEqual(yield* shown("--running"), ["a1", "c1"])
      assert.deepStrictEqual(yield* shown("--agents", "a2"), ["a2", "c3"])
      const [some] = json((yield* run(["state", "--url", address, "--agents", "a2", "--json"])).out)
      assert.propertyVal(some?.["events"], "length", 2)
      const none = yield* run(["state", "--url", address, "--agents", "a2", "--running"])
      assert.include(none.err, "knows of no such agent or command")
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("--watch shows it again when it changes, and how true it is", () =>
    Effect.gen(function* () {
      const sync = yield* someAgents
      const address = yield* url
      const watch = yield* background(() => start(["state", "--watch", "--url", address]))
      yield* until(watch, /c3 .*failed[\s\S]*● live/)
      yield* sync.notifyAgentRemove("a2")
      yield* sync.notifyAgentStatus("a3", "error")
      yield* until(watch, /a1 .*\na3 +error[\s\S]*● live/)
      const { code } = yield* interrupt(watch)
      assert.strictEqual(code, 0)
    }).pipe(Effect.provide(gateway()))
  )
})

describe("connections", () => {
  const token = "operator-0123456789"
  const tokens = Redacted.make(
    JSON.stringify([
      { name: "boss", token, permissions: ["operator", "subscribe"] },
      { name: "screen", token: "screen-0123456789", permissions: ["subscribe"] }
    ])
  )

  it.scopedLive("is a table of who is connected, for operators", () =>
    Effect.gen(function* () {
      const address = yield* url
      const env = { STRATIX_TOKEN: token }
      const none = yield* run(["connections", "--url", address], { env })
      assert.deepStrictEqual(none, { code: 0, out: "", err: `no client is connected to ${address}\n` })
      const watch = yield* background(() => start(["watch", "--url", address, "--agents", "a1,a2"], { env }))
      yield* until(watch, /● live/, "err")
      const { code, out } = yield* run(["connections", "--url", address], { env })
      assert.strictEqual(code, 0)
      assert.match(out, /^ID +STATE +LAG .*\n\S+ +live +0 +0 B +\S+ .*sync +boss +127\.0\.0\.1 +agents=a1,a2\n$/)
      const [report] = json((yield* run(["connections", "--url", address, "--json"], { env })).out)
      assert.nestedProperty(report, "connections.0.lagEvents")
      const terminal = yield* runInTerminal(["connections", "--url", address], { env })
      assert.include(terminal.out, `${ESC}[32mlive${ESC}[0m`)

      const refused = yield* run(["connections", "--url", address, "--token", "screen-0123456789"])
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "screen may not operate this gateway")
    }).pipe(Effect.provide(gateway({ tokens })))
  )
})

describe("doctor", () => {
  const finding = (out: string, about: string, level: string) =>
    new RegExp(`^${level} +${about} +(.*)\n(?: +(right: .*))?`, "m").exec(out)

  it.scopedLive("has nothing to say against the defaults, in a pipe and in a terminal", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* run(["doctor", "--port", "0"])
      assert.strictEqual(code, 0, out)
      assert.strictEqual(err, "")
      assert.notInclude(out, "problem")
      assert.match(out, /^ok +heartbeat +pings every 30s, gives up after 1m$/m)
      const terminal = yield* runInTerminal(["doctor", "--port", "0"])
      assert.strictEqual(terminal.code, 0)
      assert.include(terminal.out, `${ESC}[32mok`)
    })
  )

  it.scopedLive("looks at the Redis of a shared log", () =>
    Effect.gen(function* () {
      const redis = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start()),
        (server) => Effect.promise(() => server.end())
      )
      const look = run(["doctor", "--port", "0"], { env: { STRATIX_EVENT_LOG: redis.url } })
      const fine = yield* look
      assert.strictEqual(fine.code, 0, fine.out)
      assert.match(fine.out, /^ok +log +Redis at 127\.0\.0\.1:\d+ answers, and is Redis \d/m)
      assert.match(fine.out, /^warning +log +persistence is off/m)
      yield* Effect.promise(() => redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
      const evicts = yield* look
      assert.strictEqual(evicts.code, 1)
      assert.match(evicts.out, /^problem +log +its maxmemory-policy is allkeys-lru/m)
      yield* Effect.promise(() => redis.kill())
      assert.match((yield* look).out, /^problem +log +Redis at 127\.0\.0\.1:\d+ does not answer/m)
    })
  )

  it.scopedLive("looks at the file of a log, and changes nothing in it", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const look = run(["doctor", "--port", "0"], { env: { STRATIX_EVENT_LOG: `file:${path}` } })
      if (!isSupported) return assert.match((yield* look).out, /^problem +log +a log in a file needs Node 22\.13/m)
      assert.match((yield* look).out, /^ok +log +.*log\.db will be made/m)
      assert.isFalse(existsSync(path))
      yield* Effect.scoped(Effect.flatMap(openFile(path), (log) => log.append([agent("a"), agent("b")])))
      const whole = readFileSync(path)
      const fine = yield* look
      assert.strictEqual(fine.code, 0, fine.out)
      assert.match(fine.out, /^ok +log +.*log\.db is whole, with 2 events/m)
      assert.deepStrictEqual(readFileSync(path), whole)
      whole[whole.indexOf('{"agent":"b"') + 10] = 0x78
      writeFileSync(path, whole)
      const damaged = yield* look
      assert.strictEqual(damaged.code, 1)
      assert.match(damaged.out, /^problem +log +.*is damaged, and nothing of it is used/m)
      assert.deepStrictEqual(readFileSync(path), whole)
    })
  )

  it.scopedLive("names every problem at once, and what would be right", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "tokens.json"), '[{"name":"x","token":"short-secret","permissions":[]}]')
      const { code, err, out } = yield* runProgram(
        ["doctor", "--heartbeat-interval", "60s", "--host", "0.0.0.0", "--tokens-file", "tokens.json"],
        {
          cwd: path,
          env: {
            STRATIX_PORT: "0",
            STRATIX_MAX_CONNECTIONS: "many",
            STRATIX_HISTORY_CAPACITY: "0",
            STRATIX_TLS_CERT: "missing.pem",
            STRATIX_TLS_KEY: "missing.key",
            STRATIX_ALLOWED_ORIGINS: "https://fine.example,dashboard.example",
            STRATIX_HEARTBEAT_TIMOUT: "2 minutes"
          }
        }
      )
      assert.strictEqual(code, 1)
      assert.isTrue(isOneLine(err), err)
      assert.match(err, /\d problems, \d warnings?/)
      for (const [level, text] of [
        ["problem", "STRATIX_HEARTBEAT_TIMEOUT \\(heartbeatTimeout\\) must be above the interval"],
        [
          "problem",
          'STRATIX_MAX_CONNECTIONS \\(maxConnections\\) must be a whole number from 1 to 16777216, is "many"'
        ],
        ["problem", 'STRATIX_HISTORY_CAPACITY \\(historyCapacity\\) must be a whole number from 1 to 16777216, is "0"'],
        ["problem", "tokens.json: 0.token: must be a text of at least 16"],
        ["problem", "missing.pem does not exist"],
        ["problem", '"dashboard.example" in STRATIX_ALLOWED_ORIGINS is no origin'],
        ["warning", "STRATIX_HEARTBEAT_TIMOUT is no setting"]
      ]) {
        assert.match(out, new RegExp(`^${level} .*${text}`, "m"))
      }
      assert.include(out, "right: did you mean STRATIX_HEARTBEAT_TIMEOUT?")
      assert.notInclude(out, "short-secret")
    })
  )

  it.scopedLive("an address that others reach needs authentication, and pages of every origin an answer", () =>
    Effect.gen(function* () {
      const open = yield* run(["doctor", "--port", "0", "--host", "0.0.0.0", "--allowed-origins", "*"])
      assert.strictEqual(open.code, 1)
      assert.match(
        finding(open.out, "authentication", "problem")?.[1] ?? "",
        /0\.0\.0\.0 can be reached from other machines.*STRATIX_TOKENS_FILE.*STRATIX_ALLOW_ANONYMOUS=true/
      )
      assert.isNotNull(finding(open.out, "origins", "problem"))

      const anonymous = yield* run(["doctor", "--port", "0", "--host", "0.0.0.0"], {
        env: { STRATIX_ALLOW_ANONYMOUS: "true" }
      })
      assert.strictEqual(anonymous.code, 0, anonymous.out)
      assert.include(finding(anonymous.out, "authentication", "warning")?.[1], "no token is asked for")

      const env = { STRATIX_TOKENS: '[{"name":"x","token":"0123456789abcdef","permissions":["subscribe"]}]' }
      const args = ["doctor", "--port", "0", "--host", "0.0.0.0", "--allowed-origins", "*"]
      const guarded = yield* run(args, { env })
      assert.strictEqual(guarded.code, 0, guarded.out)
      assert.isNotNull(finding(guarded.out, "authentication", "ok"))
      assert.include(finding(guarded.out, "authentication", "warning")?.[1], "unencrypted")
      assert.isNotNull(finding(guarded.out, "origins", "warning"))
      assert.notInclude(guarded.out, "0123456789abcdef")
      assert.strictEqual((yield* run([...args, "--strict"], { env })).code, 1)
    })
  )

  it.scopedLive("finds a port in use, a missing file of tokens, and a certificate that is no good", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const taken = createServer()
      taken.listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(taken, "listening"))
      yield* Effect.addFinalizer(() => Effect.sync(() => taken.close()))
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? String(address.port) : ""

      const openssl = (name: string, ...more: ReadonlyArray<string>) =>
        execFileSync(
          "openssl",
          [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            `${name}.key`,
            "-out",
            `${name}.pem`,
            ...more
          ],
          { cwd: path, stdio: "ignore" }
        )
      openssl("short", "-days", "5")
      openssl("long", "-days", "90")
      chmodSync(join(path, "short.key"), 0o600)
      chmodSync(join(path, "long.key"), 0o644)

      const [report] = json(
        (yield* run(["doctor", "--json", "--port", port, "--tokens-file", "none.json"], { cwd: path })).out
      )
      assert.isArray(report)
      const problems = JSON.stringify(report)
      assert.match(problems, new RegExp(`127\\.0\\.0\\.1:${port} is already in use`))
      assert.include(problems, "none.json does not exist")

      const tls = (cert: string, key: string) =>
        run(["doctor", "--port", "0", "--tls-cert", cert, "--tls-key", key], { cwd: path })
      const expiring = yield* tls("short.pem", "short.key")
      assert.strictEqual(expiring.code, 0, expiring.out)
      assert.match(expiring.out, /^warning +tls +.*expires in [45] days/m)
      const fine = yield* tls("long.pem", "long.key")
      assert.match(fine.out, /^ok +tls +.*good for (89|90) days/m)
      assert.match(fine.out, /^warning +files +long\.key can be read by other users/m)
      const mixed = yield* tls("long.pem", "short.key")
      assert.strictEqual(mixed.code, 1)
      assert.match(mixed.out, /^problem +tls +long\.pem and short\.key cannot be used/m)
    })
  )
})
