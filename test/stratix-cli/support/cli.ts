import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { ConfigProvider, Effect, Layer, Logger, LogLevel, Stream } from "effect"
import { NodeServer, StatusSyncServer } from "stratix-status-sync"
import * as Cli from "../../../src/stratix-cli/Cli.js"
import { teardown } from "../../../src/stratix-cli/ExitCode.js"
import * as Stdio from "../../../src/stratix-cli/Stdio.js"
import { buildCli } from "./build.js"

/** Starting a program on a busy machine takes seconds; what takes longer does not come. */
const PATIENCE_MS = 20_000

const main = await buildCli()

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Running {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** Waits until standard output, or standard error, has something. */
  readonly until: (pattern: RegExp, where?: "out" | "err") => Promise<RegExpExecArray>
  readonly ended: Promise<Ended>
  readonly type: (text: string) => void
}

export interface Options {
  readonly env?: Record<string, string>
  readonly input?: string | Uint8Array
  readonly cwd?: string
}

// Nothing of whoever runs the tests.
const environment = (env: Record<string, string> = {}) => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(STRATIX_|NO_COLOR|FORCE_COLOR|TERM$|CI$)/.test(name))
  ),
  TERM: "xterm",
  TZ: "UTC",
  ...env
})

/** How far back a pattern is looked for in front of what came last: longer than any line that a test waits for. */
const OVERLAP = 16_384

/** What a stream has said, in pieces: as one string, tens of megabytes would be copied for each piece. */
const heard = (stream: Readable | null) => {
  const pieces: Array<string> = []
  stream?.setEncoding("utf8").on("data", (piece: string) => pieces.push(piece))
  return { stream, pieces, text: () => pieces.join("") }
}

const running = (child: ChildProcess, what: string): Running => {
  const streams = { out: heard(child.stdout), err: heard(child.stderr) }
  const { err, out } = streams
  // Whoever has ended reads nothing more.
  child.stdin?.on("error", () => undefined)
  const ended = once(child, "close").then(([code]) => ({ code, out: out.text(), err: err.text() }))
  const until: Running["until"] = async (pattern, where = "out") => {
    const { pieces, stream } = streams[where]
    const limit = AbortSignal.timeout(PATIENCE_MS)
    let isOver = stream === null
    let window = ""
    let read = 0
    while (true) {
      window = window.slice(-OVERLAP) + pieces.slice(read).join("")
      read = pieces.length
      const found = pattern.exec(window)
      if (found !== null) return found
      if (isOver) throw new Error(`${what} never said ${pattern}\n--- out\n${out.text()}\n--- err\n${err.text()}`)
      const more = stream === null ? Promise.resolve() : once(stream, "data", { signal: limit })
      isOver = await Promise.race([more.then(() => false), ended.then(() => true)]).catch(() => true)
    }
  }
  return { child, out: out.text, err: err.text, until, ended, type: (text) => child.stdin?.write(text) }
}

/** The command in pipes. */
export const start = (args: ReadonlyArray<string>, { cwd, env, input }: Options = {}): Running => {
  const child = spawn(process.execPath, [main, ...args], { env: environment(env), cwd, stdio: "pipe", detached: true })
  if (input !== undefined) child.stdin.end(input)
  return running(child, args.join(" "))
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** A shell line, with the program as `stratix`. */
export const shell = (line: string, { cwd, env }: Options = {}): Running =>
  running(
    spawn("bash", ["-c", `stratix() { ${quote(process.execPath)} ${quote(main)} "$@"; }\n${line}`], {
      env: environment(env),
      cwd,
      stdio: "pipe",
      detached: true
    }),
    line
  )

/** The command in a pseudo-terminal, which both of its streams are. */
export const startInTerminal = (args: ReadonlyArray<string>, { cwd, env }: Options = {}): Running =>
  running(
    spawn(
      "script",
      ["-qefc", ["exec", process.execPath, main, ...args].map(quote).join(" ").replace("'exec'", "exec"), "/dev/null"],
      {
        env: environment(env),
        cwd,
        stdio: "pipe"
      }
    ),
    args.join(" ")
  )

/** Runs a command to its end, in a process of its own. */
export const runProgram = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Ended> =>
  Effect.promise(() => start(args, { input: "", ...options }).ended)

/** Makes it the working directory of this process; answers the one before. */
const enter = (path: string): Effect.Effect<string> =>
  Effect.sync(() => {
    const before = process.cwd()
    process.chdir(path)
    return before
  })

/** Runs a command to its end, in this process: a start takes more time than most commands. */
export const run = (args: ReadonlyArray<string>, { cwd, env, input = "" }: Options = {}): Effect.Effect<Ended> => {
  const said = { out: "", err: "" }
  const sink = (name: keyof typeof said): Stdio.Sink => ({
    write: (text) =>
      Effect.sync(() => {
        said[name] += text
      }),
    isTerminal: false,
    columns: () => undefined
  })
  const variables = Object.entries(environment(env)).filter(
    (entry): entry is [string, string] => entry[1] !== undefined
  )
  const command = Effect.exit(Cli.run([process.execPath, "stratix-status-sync", ...args])).pipe(
    Effect.map((exit) => {
      let code: number | null = null
      teardown(exit, (decided) => {
        code = decided
      })
      return { code, ...said }
    }),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(variables), { pathDelim: "_", seqDelim: "," })),
    Effect.provideService(Stdio.Stdio, {
      stdin: { bytes: Stream.make(Buffer.from(input)), isTerminal: false },
      stdout: sink("out"),
      stderr: sink("err")
    })
  )
  return cwd === undefined ? command : Effect.acquireUseRelease(enter(cwd), () => command, enter)
}

export const runInTerminal = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Ended> =>
  Effect.promise(() => startInTerminal(args, options).ended)

/** Ends a command and all that it started: it leads a process group of its own. */
const endGroup = ({ exitCode, pid, signalCode }: ChildProcess) => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch (error) {
    // Gone already, which is as well.
    if (exitCode === null && signalCode === null) throw error
  }
}

/** A command that is ended with the scope, if it has not ended by itself. */
export const background = (begin: () => Running) =>
  Effect.acquireRelease(Effect.sync(begin), ({ child, ended }) =>
    Effect.promise(() => {
      endGroup(child)
      return ended
    })
  )

export const until = (of: Running, pattern: RegExp, where?: "out" | "err") =>
  Effect.promise(() => of.until(pattern, where))

export const interrupt = ({ child, ended }: Running, signal: NodeJS.Signals = "SIGINT") =>
  Effect.promise(() => {
    child.kill(signal)
    return ended
  })

/** Where a gateway of this process listens. */
export const port = Effect.map(NodeServer.NodeServer, (server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
})

export const url = Effect.map(port, (number) => `ws://127.0.0.1:${number}/`)

/** A gateway on a free port, without its log. */
export const gateway = (options: Partial<StatusSyncServer.LoopbackSettings> = {}) =>
  Layer.provideMerge(StatusSyncServer.layerLoopback({ port: 0, ...options }), Logger.minimumLogLevel(LogLevel.None))

/** A folder that goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "stratix-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const listening = async (
  server: { listen: (port: number, host: string) => unknown; address: () => unknown } & NodeJS.EventEmitter
) => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

/** Something that answers like a gateway, as the test says. */
export const fakeGateway = (answer: (asked: ReadonlyArray<unknown>, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const bodies: Array<unknown> = []
      const times: Array<number> = []
      const server = createServer((request: IncomingMessage, response) => {
        let body = ""
        request.on("data", (chunk) => {
          body += chunk
        })
        request.on("end", () => {
          bodies.push(JSON.parse(body))
          times.push(performance.now())
          answer(bodies, response)
        })
      })
      const number = await listening(server)
      return { url: `http://127.0.0.1:${number}/`, bodies, times, server }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

/** A way to a port that can be cut. */
export const proxy = (to: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Socket>()
      let isOpen = true
      const server = createTcpServer((socket) => {
        const other = connect(to, "127.0.0.1")
        for (const [one, two] of [
          [socket, other],
          [other, socket]
        ] as const) {
          sockets.add(one)
          one.on("error", () => undefined).on("close", () => two.destroy())
          one.pipe(two)
        }
        if (!isOpen) socket.destroy()
      })
      const number = await listening(server)
      return {
        url: `ws://127.0.0.1:${number}/`,
        open: (open: boolean) => {
          isOpen = open
          if (open) return
          for (const socket of sockets) socket.destroy()
          sockets.clear()
        },
        server
      }
    }),
    ({ open, server }) =>
      Effect.sync(() => {
        open(false)
        server.close()
      })
  )

/** What stands on lines as JSON. */
export const json = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

/** One plain line of what is wrong, and no trace of where it was thrown. */
export const isOneLine = (text: string): boolean =>
  /^stratix-status-sync: [^\n]+\n$/.test(text) && !/\n? {2,}at /.test(text)
