import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { commandsIn, withHelp } from "../../scripts/lib/cli-help.mjs"
import { background, folder, gateway, isOneLine, port, run, runInTerminal, runProgram, shell } from "./support/cli.js"

const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8")
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))

const COMMANDS = ["serve", "watch", "publish", "state", "record", "replay", "connections", "doctor"]

interface Step {
  readonly typed: string
  readonly expected: string
  /** Ctrl-C ends it. */
  /** What it says until it is interrupted; `undefined` for what ends by itself. */
  readonly beforeInterrupt: string | undefined
}

/** What is typed on the page, and what it says there. */
const steps: ReadonlyArray<Step> = [
  ...page.replaceAll(/<!-- help:.*?<!-- \/help -->/gs, "").matchAll(/```console\n(.*?)```/gs)
]
  .flatMap(([, block = ""]) => block.split(/^\$ /m).slice(1))
  .map((text) => {
    const [typed = "", ...lines] = text.split("\n")
    const interrupt = lines.indexOf("^C")
    return {
      typed,
      expected: lines.filter((line) => line !== "^C").join("\n"),
      beforeInterrupt: interrupt === -1 ? undefined : lines.slice(0, interrupt).join("\n")
    }
  })

/** Without what is different every time: times, offsets, ports, and the widths of columns that follow from them. */
const same = (text: string) =>
  text
    .replaceAll(/[0-9a-z]{14}-\d+-\d+/g, "OFFSET")
    .replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, "TIME")
    .replaceAll(/127\.0\.0\.1:\d+/g, "HOST")
    .replaceAll(/\b\d{13}\b(-\d+)?/g, "EPOCH")
    .replaceAll(/"at":\d+/g, '"at":AT')
    .replaceAll(/\b\d+(ms|s)\b/g, "LONG")
    .replaceAll(/fiber=#\d+|\(#\d+\)/g, "FIBER")
    // How many files a process may have is up to the machine, and with it a warning of doctor.
    .replaceAll(/, \d warnings?/g, ", WARNINGS")
    .replaceAll(/ +/g, " ")
    // Of two streams, neither waits for the other.
    .split("\n")
    .filter((line) => line !== "" && !line.includes("open files") && !line.includes("ulimit"))
    .sort()
    .join("\n")

describe("docs/cli.md", () => {
  it.live(
    "has the help of every command, as it is",
    () =>
      Effect.gen(function* () {
        const commands = commandsIn(page)
        assert.includeMembers([...commands], ["", ...COMMANDS])
        const texts = yield* Effect.forEach(
          commands,
          (command) => run([...command.split(" ").filter((word) => word !== ""), "--help"]),
          { concurrency: 2 }
        )
        const help = new Map(commands.map((command, i) => [command, texts[i]?.out ?? ""] as const))
        assert.strictEqual(
          withHelp(page, help),
          page,
          "the help in docs/cli.md is out of date: run `npm run docs` and commit docs/cli.md"
        )
        for (const [command, text] of help) {
          assert.match(text, command === "" ? /^COMMANDS$/m : /^EXAMPLES$/m)
          assert.notInclude(text, "\u001b")
        }
      }),
    60_000
  )

  it.scopedLive(
    "shows what each command says",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        const own = String(yield* port)
        for (const { beforeInterrupt, expected, typed } of steps) {
          const served = typed.endsWith(" serve") ? { STRATIX_PORT: "0" } : {}
          const line = typed.replaceAll("stratix-status-sync", "stratix")
          const running = yield* background(() =>
            shell(`{ ${line}; } 2>&1`, { cwd, env: { STRATIX_URL: `ws://127.0.0.1:${own}/`, ...served } })
          )
          if (beforeInterrupt !== undefined) {
            yield* Effect.sleep("20 millis").pipe(
              Effect.repeat({ until: () => same(running.out()) === same(beforeInterrupt) }),
              // What does not come is told of below.
              Effect.timeoutOption("20 seconds")
            )
            if (running.child.pid !== undefined) process.kill(-running.child.pid, "SIGINT")
          }
          const { out } = yield* Effect.promise(() => running.ended)
          assert.strictEqual(same(out), same(expected), typed)
        }
        assert.isAbove(steps.length, 12)
      }).pipe(Effect.provide(gateway())),
    120_000
  )
})

describe("the program", () => {
  it.live("says its version, and completions that bash understands", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* runProgram(["--version"])).out, `${version}\n`)
      const { out } = yield* run(["--completions", "bash"])
      execFileSync("bash", ["-n"], { input: out })
      for (const command of COMMANDS) assert.include(out, command)
      for (const other of ["zsh", "fish"])
        assert.include((yield* run(["--completions", other])).out, "stratix-status-sync")
    })
  )

  it.live("its help is coloured in a terminal only, and not where NO_COLOR is set", () =>
    Effect.gen(function* () {
      assert.include((yield* runInTerminal(["--help"])).out, "\u001b[1mCOMMANDS\u001b[0m")
      assert.notInclude((yield* runInTerminal(["--help"], { env: { NO_COLOR: "1" } })).out, "\u001b")
      assert.include((yield* runProgram(["--help"], { env: { FORCE_COLOR: "1" } })).out, "\u001b[1m")
    })
  )

  it.live("what is typed wrong is one line, and exit code 2", () =>
    Effect.gen(function* () {
      for (const args of [
        ["nonsense"],
        ["watch", "--nonsense"],
        ["watch", "--url", "127.0.0.1:3001"],
        ["state", "--url", "ftp://127.0.0.1/"],
        ["state", "ws://127.0.0.1/", "too", "many"],
        ["record"],
        ["watch", "--token", "not a token"],
        ["serve", "--nonsense", "1"]
      ]) {
        const { code, err, out } = yield* run(args)
        assert.strictEqual(code, 2, args.join(" "))
        assert.isTrue(isOneLine(err), err)
        assert.strictEqual(out, "")
        assert.notInclude(err, "not a token")
      }
    })
  )

  it.live("a slip is told what was probably meant", () =>
    Effect.gen(function* () {
      for (const [args, meant] of [
        [["wathc"], "there is no command wathc: did you mean watch?"],
        [["--hlp"], "there is no option --hlp: did you mean --help?"],
        [["watch", "--token=secret", "--jsn"], "there is no option --jsn: did you mean --json?"],
        [["serve", "--prot", "4000"], "there is no option --prot: did you mean --port?"],
        [["publish", "agent-statu", "a1", "busy"], "there is no command agent-statu: did you mean agent-status?"],
        [["publish", "agent-status", "--request", "r"], "there is no option --request: did you mean --request-id?"]
      ] as const) {
        const { code, err } = yield* run(args)
        assert.deepStrictEqual({ code, err }, { code: 2, err: `stratix-status-sync: ${meant}\n` })
      }
    })
  )

  it.live("an address in the environment that is none is named", () =>
    Effect.gen(function* () {
      const { code, err } = yield* run(["state"], { env: { STRATIX_URL: "localhost" } })
      assert.strictEqual(code, 2)
      assert.strictEqual(err, 'stratix-status-sync: STRATIX_URL must be like ws://127.0.0.1:3001/, is "localhost"\n')
    })
  )
})
