/** A gateway in a process of its own, and how its parent talks with it: the other side is `gateway-child.mjs`. */
import { fork } from "node:child_process"

/** How its process is begun: `shell` is run by `sh` before it (`unshare`: where it sees mounts of its own), `node` is the program, `execArgv` are its options.
 * @typedef {{ readonly shell?: string, readonly unshare?: boolean, readonly node?: string, readonly execArgv?: ReadonlyArray<string> }} Surroundings */

/** @param {Surroundings} surroundings
 * @returns {{ readonly execPath: string, readonly execArgv: Array<string> }} */
const programOf = ({ execArgv = [], node = process.execPath, shell, unshare = false }) => {
  const options = ["--expose-gc", ...execArgv]
  if (shell === undefined) return { execPath: node, execArgv: options }
  const quoted = [node, ...options].map((word) => `'${word}'`).join(" ")
  const line = ["-c", `${shell}; exec ${quoted} "$0" "$@"`]
  return unshare ? { execPath: "unshare", execArgv: ["-m", "sh", ...line] } : { execPath: "sh", execArgv: line }
}

/**
 * Starts it and waits until it listens. `error` is told what it logs as an error and what would have ended it, `message` whatever else it sends.
 * It ends with its parent, and its parent with it, unless `end` is called.
 *
 * @param {string} file
 * @param {unknown} given
 * @param {{ readonly error: (text: string) => void, readonly message?: (told: any) => void }} listeners
 * @param {Surroundings} [surroundings]
 */
export const startGateway = async (file, given, { error, message }, surroundings = {}) => {
  const child = fork(file, [JSON.stringify(given)], {
    ...programOf(surroundings),
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  process.on("exit", () => child.kill("SIGKILL"))
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130))

  let ending = false
  /** What it wrote last of what went wrong. */
  let told = ""
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)))
  ended.then((how) => {
    if (ending) return
    console.log(`the gateway ended with ${how}${told === "" ? "" : `: ${told}`}`)
    process.exit(1)
  })

  let logged = ""
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    const lines = (logged + text).split("\n")
    logged = lines.pop() ?? ""
    for (const line of lines) if (/"logLevel":"(ERROR|FATAL)"/.test(line)) error(line)
  })
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    told = text.slice(0, 2000)
    error(text)
  })

  const questions = new Map()
  let asked = 0
  const port = await new Promise((resolve) => {
    child.on("message", (/** @type {any} */ told) => {
      if (told.port !== undefined) resolve(told.port)
      else if (told.error !== undefined) error(told.error)
      else if (told.id !== undefined) {
        questions.get(told.id)?.(told.answer)
        questions.delete(told.id)
      } else message?.(told)
    })
  })
  return {
    port,
    ask: (what) =>
      new Promise((resolve) => {
        questions.set(++asked, resolve)
        child.send({ ask: what, id: asked })
      }),
    /** Asks it to end by itself, and answers how it did. */
    end: () => {
      ending = true
      child.kill("SIGTERM")
      const late = new Promise((resolve) => setTimeout(resolve, 10_000, "nothing within 10 s"))
      return Promise.race([ended, late])
    }
  }
}
