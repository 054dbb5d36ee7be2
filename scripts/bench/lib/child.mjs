/** The parent's end of the control channel: starts a child, asks it, and ends exactly the children it started. */
import { spawn } from "node:child_process"
import { ACK, lines } from "./lines.mjs"

const running = new Set()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1))

/** Enough for the longest command; each command says how long it takes by itself, this is only so that no run hangs. */
const TIMEOUT_MS = 180_000

/** For ending by itself. */
const PATIENCE_MS = 3_000

export class Child {
  #waiting = new Map()
  #next = 1
  #process
  #name
  onAck = () => {}

  static async start(name, command, args, env = {}) {
    const child = new Child(name, command, args, env)
    await child.#reply(0, TIMEOUT_MS)
    return child
  }

  constructor(name, command, args, env) {
    this.#name = name
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } })
    running.add(this.#process)
    let complaints = ""
    this.#process.stderr.setEncoding("utf8").on("data", (text) => {
      complaints = (complaints + text).slice(-4000)
    })
    this.#process.stdout.setEncoding("utf8").on(
      "data",
      lines((line) => this.#onLine(line))
    )
    this.#process.stdin.on("error", () => {})
    const ended = (why) => {
      running.delete(this.#process)
      for (const { reject } of this.#waiting.values()) reject(new Error(`${name} ${why}\n${complaints}`))
    }
    this.#process.on("error", (error) => ended(`did not start: ${error.message}`))
    this.#process.on("exit", (code, signal) => ended(`ended with ${signal ?? code}`))
  }

  #onLine(line) {
    if (line === ACK) return this.onAck()
    if (!line.startsWith("{")) return
    const { id, result, error } = JSON.parse(line)
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    if (error === undefined) waiting.resolve(result)
    else waiting.reject(new Error(`${this.#name}: ${error}`))
  }

  #reply(id, timeoutMs) {
    return new Promise((resolve, reject) => {
      const settle = (then) => (value) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        then(value)
      }
      const waiting = { resolve: settle(resolve), reject: settle(reject) }
      const timer = setTimeout(
        () => waiting.reject(new Error(`${this.#name}: no answer after ${timeoutMs} ms`)),
        timeoutMs
      )
      this.#waiting.set(id, waiting)
    })
  }

  ask(name, args = {}, timeoutMs = TIMEOUT_MS) {
    const id = this.#next++
    this.#process.stdin.write(`${JSON.stringify({ id, do: name, ...args })}\n`)
    return this.#reply(id, timeoutMs)
  }

  ack() {
    this.#process.stdin.write(`${ACK}\n`)
  }

  /** Lets it end by itself, so that node can write the profile it may have been asked for. */
  async stop() {
    if (!running.has(this.#process)) return
    const ended = new Promise((resolve) => this.#process.once("exit", resolve))
    this.#process.stdin.end()
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), PATIENCE_MS)
    await ended
    clearTimeout(timer)
  }
}
