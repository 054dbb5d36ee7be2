import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { buildProgram } from "../../stratix-cli/support/build.js"

const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** How a program ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

/** A program of the test, which ends it if it does not end by itself. */
export interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has printed, once that matches; fails if it ends before. */
  readonly prints: (pattern: RegExp) => Promise<RegExpExecArray>
}

/** Starts a program, by a command line whose environment is this one and `environment`. */
export const startProgram = (
  command: string,
  args: ReadonlyArray<string>,
  environment: Record<string, string>
): Program => {
  const child = spawn(command, [...args], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  running.add(child)
  let output = ""
  let look = () => {}
  const onOutput = (text: Buffer) => {
    output += text.toString()
    look()
  }
  child.stdout.on("data", onOutput)
  child.stderr.on("data", onOutput)
  const ended = once(child, "close").then(([code, signal]): Ended => {
    running.delete(child)
    return { code, signal, output }
  })
  return {
    child,
    ended,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        look = () => {
          const match = pattern.exec(output)
          if (match !== null) resolve(match)
        }
        look()
        void ended.then(() => reject(new Error(`it ended before it printed ${pattern}: ${output}`)))
      })
  }
}

/** The stand-alone gateway of `npm start`, built once for each state of the sources; `prefix` runs before it in the same shell. */
export const startGateway = async (environment: Record<string, string> = {}, prefix?: string): Promise<Program> => {
  const main = await buildProgram("stratix-gateway")
  const settings = { STRATIX_PORT: "0", STRATIX_LOG_FORMAT: "logfmt", ...environment }
  return prefix === undefined
    ? startProgram(process.execPath, [main], settings)
    : startProgram("bash", ["-c", `${prefix}; exec "${process.execPath}" "${main}"`], settings)
}

/** The port it listens on, once it does. */
export const portOf = async (gateway: Program): Promise<number> =>
  Number((await gateway.prints(/ready on wss?:\/\/127\.0\.0\.1:(\d+)\//))[1])
