/**
 * The standard streams that a command reads and writes.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"

/** Where text goes. */
export interface Sink {
  /** Writes and waits until it is written. */
  readonly write: (text: string) => Effect.Effect<void, Error>
  readonly isTerminal: boolean
  /** Width of the terminal. */
  readonly columns: () => number | undefined
}

/** The standard streams. */
export class Stdio extends Context.Tag("stratix/cli/Stdio")<
  Stdio,
  {
    readonly stdin: { readonly bytes: Stream.Stream<Uint8Array>; readonly isTerminal: boolean }
    readonly stdout: Sink
    readonly stderr: Sink
  }
>() {}

const sinkOf = (stream: NodeJS.WriteStream): Sink => {
  // A stream without an error listener ends the process. This one stays: what is written may fail later, and its writer hears of it.
  stream.on("error", () => undefined)
  return {
    write: (text) =>
      Effect.uninterruptible(
        Effect.async((resume) => {
          stream.write(text, (error) => resume(error == null ? Effect.void : Effect.fail(error)))
        })
      ),
    isTerminal: stream.isTTY === true,
    columns: () => stream.columns
  }
}

/** Those of this process. */
export const layer: Layer.Layer<Stdio> = Layer.sync(Stdio, () => ({
  stdin: { bytes: NodeStream.stdin, isTerminal: process.stdin.isTTY === true },
  stdout: sinkOf(process.stdout),
  stderr: sinkOf(process.stderr)
}))
