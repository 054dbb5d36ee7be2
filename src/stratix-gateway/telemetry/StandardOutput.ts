/**
 * Standard output that cannot fail: a full disk or a closed pipe costs lines of the log, and not the gateway.
 */
import { Console as NodeConsole } from "node:console"
import { fstatSync, writeSync } from "node:fs"
import { Writable } from "node:stream"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metrics from "./Metrics.js"

const lost = () => Metrics.logLinesLost.unsafeUpdate(1, [])

const ignore = () => undefined

/** Whether standard output is a file or a device, which Node's own stream would give up for good after one failure: a disk can have room again. */
const isFile = (fd: number): boolean => {
  try {
    // With bigints, which Node keeps elsewhere: after a pipe was seen among its numbers, Node 22 leaves symbolic links in the paths of modules
    // unresolved, and a package that pnpm has linked is loaded empty.
    const stats = fstatSync(fd, { bigint: true })
    return !stats.isFIFO() && !stats.isSocket() && process.stdout.isTTY !== true
  } catch {
    return false
  }
}

const write = (fd: number): ((text: string) => void) => {
  if (isFile(fd)) {
    return (text) => {
      try {
        writeSync(fd, text)
      } catch {
        lost()
      }
    }
  }
  return (text) => {
    process.stdout.write(text, (error) => {
      if (error instanceof Error) lost()
    })
  }
}

const STDOUT = 1

const safeConsole = Effect.sync(() => {
  // A stream without an error listener ends the process. Both listeners stay: what is written may fail later.
  process.stdout.on("error", ignore)
  process.stderr.on("error", ignore)
  const writeText = write(STDOUT)
  const output = new Writable({
    decodeStrings: false,
    write: (text, _encoding, done) => {
      writeText(String(text))
      done()
    }
  })
  return new NodeConsole({ stdout: output, stderr: process.stderr })
})

/** Loggers write to a console that counts the lines it cannot write. A console of the caller's own stays. */
export const layer: Layer.Layer<never> = Layer.unwrapEffect(
  Effect.flatMap(Effect.console, (given) =>
    given.unsafe === globalThis.console
      ? Effect.map(safeConsole, (unsafe) => Console.setConsole({ ...given, unsafe }))
      : Effect.succeed(Layer.empty)
  )
)
