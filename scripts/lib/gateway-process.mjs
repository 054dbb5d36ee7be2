/** A gateway in a process of its own, and how its parent talks with it: the other side is `gateway-child.mjs`. */
import { fork } from "node:child_process"

/**
 * Starts it and waits until it listens. `error` is told what it logs as an error and what would have ended it, `message` whatever else it sends.
 * It ends with its parent, and its parent with it, unless `end` is called.
 *
 * @param {string} file
 * @param {unknown} given
 * @param {{ readonly error: (text: string) => void, readonly message?: (told: any) => void }} listeners
 */
export const startGateway = async (file, given, { error, message }) => {
  const child = fork(file, [JSON.stringify(given)], {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  process.on("exit", () => child.kill("SIGKILL"))
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130))

  let ending = false
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)))
  ended.then((how) => {
    if (ending) return
    console.log(`the gateway ended with ${how}`)
    process.exit(1)
  })

  let logged = ""
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    const lines = (logged + text).split("\n")
    logged = lines.pop() ?? ""
    for (const line of lines) if (/"logLevel":"(ERROR|FATAL)"/.test(line)) error(line)
  })
  child.stderr?.setEncoding("utf8").on("data", error)

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
