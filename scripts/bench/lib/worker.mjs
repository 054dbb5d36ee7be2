/**
 * The child's end of the control channel: JSON lines `{id, do, …}` in on stdin, `{id, result | error}` out on stdout.
 * The child ends when its stdin does, so nothing outlives the run.
 */
import { ACK, lines } from "./lines.mjs"

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

export const sayAck = () => process.stdout.write(`${ACK}\n`)

export const work = (commands, onAck) => {
  const answer = async ({ id, do: name, ...args }) => {
    try {
      say({ id, result: (await commands[name](args)) ?? null })
    } catch (error) {
      say({ id, error: error instanceof Error ? error.stack : String(error) })
    }
  }
  const onLine = (line) => {
    if (line === ACK) onAck?.()
    else answer(JSON.parse(line))
  }
  process.stdin.setEncoding("utf8")
  process.stdin.on("data", lines(onLine))
  process.stdin.on("end", () => process.exit(0))
  say({ id: 0, result: null })
}
