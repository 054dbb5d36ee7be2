/**
 * Bytes in both directions between two processes of one gateway: a pipe that the system made for the two, or memory in tests.
 */
import type { Duplex } from "node:stream"

/** What a channel tells its end. */
export interface Listener {
  readonly data: (bytes: Buffer) => void
  /** What was written has left this process. */
  readonly drained: () => void
  /** The other end is gone. Told once. */
  readonly closed: () => void
}

/** One end. */
export interface Channel {
  readonly write: (bytes: Buffer) => void
  /** Bytes that were written and have not left this process. */
  readonly unsent: () => number
  readonly listen: (listener: Listener) => void
  readonly end: () => void
}

/** A channel over a stream of Node. What is written in one turn of the event loop leaves in one call of the system. */
export const overStream = (stream: Duplex): Channel => {
  let isCorked = false
  const uncork = () => {
    isCorked = false
    stream.uncork()
  }
  return {
    write: (bytes) => {
      if (stream.destroyed || stream.writableEnded) return
      if (!isCorked) {
        isCorked = true
        stream.cork()
        process.nextTick(uncork)
      }
      stream.write(bytes)
    },
    unsent: () => stream.writableLength,
    listen: ({ closed, data, drained }) => {
      let isClosed = false
      const close = () => {
        if (isClosed) return
        isClosed = true
        closed()
      }
      // A process that was killed resets its end: that is its end, not an error.
      stream.on("error", close)
      stream.on("close", close)
      stream.on("end", close)
      stream.on("drain", drained)
      stream.on("data", data)
    },
    end: () => {
      stream.destroy()
    }
  }
}

class MemoryEnd implements Channel {
  other: MemoryEnd | undefined
  private listener: Listener | undefined
  private waiting: Array<Buffer> = []
  private isScheduled = false
  private isClosed = false

  write(bytes: Buffer): void {
    const { other } = this
    if (other === undefined || this.isClosed) return
    other.waiting.push(bytes)
    other.schedule()
  }

  unsent(): number {
    return this.other?.waiting.reduce((sum, { length }) => sum + length, 0) ?? 0
  }

  listen(listener: Listener): void {
    this.listener = listener
    this.schedule()
  }

  end(): void {
    this.close()
    this.other?.close()
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.listener?.closed()
  }

  private schedule(): void {
    if (this.isScheduled || this.listener === undefined) return
    this.isScheduled = true
    queueMicrotask(() => {
      this.isScheduled = false
      const { waiting } = this
      if (waiting.length === 0) return
      this.waiting = []
      for (const bytes of waiting) if (!this.isClosed) this.listener?.data(bytes)
      this.other?.listener?.drained()
    })
  }
}

/** Two ends in one process. What is written arrives in a microtask. */
export const memory = (): readonly [Channel, Channel] => {
  const one = new MemoryEnd()
  const two = new MemoryEnd()
  one.other = two
  two.other = one
  return [one, two]
}
