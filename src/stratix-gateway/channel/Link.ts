/**
 * Frames over a channel: what one end tells the other, and questions with their answers.
 *
 * A frame is its length, a topic, the number of a question or 0, and texts.
 */
import * as Effect from "effect/Effect"
import type { Channel } from "./Channel.js"
import * as Texts from "./Texts.js"

/** Length, topic and number. */
const HEADER = 9

/** Bytes that may wait for the other end to read before this one holds back what it can: some 10,000 events. */
const MAX_UNSENT = 4 * 1024 * 1024

/** What a frame is about. Both ends are the same program. */
export const Topic = {
  answer: 0,
  snapshotBegins: 1,
  snapshotPart: 2,
  snapshotEnds: 3,
  events: 4,
  logState: 5,
  append: 6,
  renew: 7,
  acquire: 8,
  permitChanged: 9,
  takePublishes: 10,
  askAll: 11,
  report: 12,
  hello: 13,
  say: 14,
  revoke: 15,
  revoked: 16
} as const

/** A topic. */
export type Topic = (typeof Topic)[keyof typeof Topic]

/** What is done with a frame. */
export type Handler = (texts: ReadonlyArray<string>, number: number) => void

/** A frame, ready for any number of links. */
export const frame = (topic: Topic, texts: ReadonlyArray<string>, number = 0): Buffer => {
  const bytes = Texts.encode(texts, HEADER)
  bytes.writeUInt32LE(bytes.length - 4, 0)
  bytes.writeUInt8(topic, 4)
  bytes.writeUInt32LE(number, 5)
  return bytes
}

/** One end of the frames. */
export class Link {
  private readonly handlers = new Map<number, Handler>()
  // Bound: those who ask wait for their answers, and bound what they ask.
  private readonly questions = new Map<number, (answer: ReadonlyArray<string> | undefined) => void>()
  private asked = 0
  private pending: Array<Buffer> = []
  private pendingBytes = 0
  private readonly onClose = new Set<() => void>()
  private readonly onDrain = new Set<() => void>()
  private isOpen = false
  /** The other end is gone. */
  isClosed = false

  constructor(private readonly channel: Channel) {}

  /** Frames are read from now on. Calling it again does nothing. */
  open(): void {
    if (this.isOpen) return
    this.isOpen = true
    this.channel.listen({
      data: (bytes) => this.read(bytes),
      drained: () => {
        for (const resume of this.onDrain) resume()
      },
      closed: () => {
        this.isClosed = true
        for (const resume of this.questions.values()) resume(undefined)
        this.questions.clear()
        for (const close of this.onClose) close()
      }
    })
  }

  /** Whether the other end reads more slowly than this one writes: what can wait waits until it has `drained`. */
  get isBehind(): boolean {
    return this.channel.unsent() > MAX_UNSENT
  }

  /** Runs each time that what was written has left. */
  drained(resume: () => void): void {
    this.onDrain.add(resume)
  }

  /** Runs when the other end is gone. */
  closed(run: () => void): void {
    this.onClose.add(run)
  }

  on(topic: Topic, handler: Handler): void {
    this.handlers.set(topic, handler)
  }

  /** Answers each question on a topic. */
  answer(topic: Topic, handler: (texts: ReadonlyArray<string>, reply: (texts: ReadonlyArray<string>) => void) => void) {
    this.on(topic, (texts, number) => handler(texts, (answer) => this.send(Topic.answer, answer, number)))
  }

  send(topic: Topic, texts: ReadonlyArray<string>, number = 0): void {
    if (!this.isClosed) this.channel.write(frame(topic, texts, number))
  }

  /** A frame that goes to several links. */
  sendFrame(bytes: Buffer): void {
    if (!this.isClosed) this.channel.write(bytes)
  }

  /** Completes with the answer; `undefined`: the other end is gone. */
  ask(topic: Topic, texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string> | undefined> {
    return Effect.async((resume) => {
      if (this.isClosed) return resume(Effect.succeed(undefined))
      this.asked = (this.asked % 0xffff_ffff) + 1
      const number = this.asked
      this.questions.set(number, (answer) => resume(Effect.succeed(answer)))
      this.send(topic, texts, number)
      return Effect.sync(() => {
        this.questions.delete(number)
      })
    })
  }

  /** Ends the channel for both ends. */
  end(): void {
    this.channel.end()
  }

  private read(bytes: Buffer): void {
    this.pending.push(bytes)
    this.pendingBytes += bytes.length
    if (this.pendingBytes < HEADER) return
    // The parts of a frame are put together once it is whole, not at each part that comes.
    const first = this.joined(HEADER)
    if (this.pendingBytes < first.readUInt32LE(0) + 4) return
    const all = this.joined(this.pendingBytes)
    let at = 0
    while (all.length - at >= HEADER) {
      const end = at + 4 + all.readUInt32LE(at)
      if (end > all.length) break
      const topic = all.readUInt8(at + 4)
      const number = all.readUInt32LE(at + 5)
      this.take(topic, number, Texts.decode(all.subarray(at + HEADER, end)))
      at = end
    }
    this.pending = at === all.length ? [] : [all.subarray(at)]
    this.pendingBytes = all.length - at
  }

  /** The first of the bytes that wait, in one piece of this length or more. */
  private joined(length: number): Buffer {
    const [first] = this.pending
    if (first !== undefined && first.length >= length) return first
    const all = Buffer.concat(this.pending)
    this.pending = [all]
    return all
  }

  private take(topic: number, number: number, texts: ReadonlyArray<string>): void {
    if (topic !== Topic.answer) {
      this.handlers.get(topic)?.(texts, number)
      return
    }
    const resume = this.questions.get(number)
    this.questions.delete(number)
    resume?.(texts)
  }
}
