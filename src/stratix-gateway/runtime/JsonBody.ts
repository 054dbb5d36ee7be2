/** The JSON of a large body, read in steps: between two of them the gateway serves others. */
import { isUtf8 } from "node:buffer"
import * as Effect from "effect/Effect"
import * as EventLoop from "./EventLoop.js"

/** Why a body is not what it should be. */
export type Fault =
  | { readonly _tag: "NotJson"; readonly message: string }
  | { readonly _tag: "TooMany"; readonly count: number }
  | { readonly _tag: "ItemTooLarge"; readonly message: string }

/** What is not looked into: a body above it is split at the commas of its outermost array first. Parsed in some 2 ms. */
const WHOLE = 128 * 1024

/** Bytes scanned between two looks at the time. */
const PIECE = 64 * 1024

const [QUOTE, COMMA, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('",\\[]{}')

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** Finds the items of an array: its own brackets and commas, and nothing else of its grammar. */
class Splitter {
  /** Where each item begins and ends; those above `maxItems` are only counted. */
  readonly items: Array<readonly [from: number, to: number]> = []
  count = 0
  /** Where the array has ended; -1 before that. */
  end = -1
  private depth = 1
  private isText = false
  private from: number

  /** `at` is behind the bracket that opens the array. */
  constructor(
    private readonly body: Buffer,
    private at: number,
    private readonly maxItems: number
  ) {
    this.from = at
  }

  get isDone(): boolean {
    return this.end !== -1 || this.at >= this.body.length
  }

  scan(bytes: number): void {
    const { body } = this
    const stop = Math.min(body.length, this.at + bytes)
    for (; this.at < stop; this.at++) {
      const byte = body[this.at]
      if (this.isText) {
        if (byte === BACKSLASH) this.at++
        else if (byte === QUOTE) this.isText = false
      } else if (byte === QUOTE) this.isText = true
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.depth++
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        if (--this.depth > 0) continue
        this.item()
        this.end = byte === CLOSE_LIST ? this.at : body.length
        return
      } else if (byte === COMMA && this.depth === 1) this.item()
    }
  }

  private item(): void {
    this.count++
    if (this.items.length <= this.maxItems) this.items.push([this.from, this.at])
    this.from = this.at + 1
  }
}

const notJson = (error: unknown) =>
  Effect.fail<Fault>({ _tag: "NotJson", message: error instanceof Error ? error.message : String(error) })

const parseText = (body: Buffer, from = 0, to = body.length): Effect.Effect<unknown, Fault> =>
  Effect.suspend(() => {
    try {
      const value: unknown = JSON.parse(body.toString("utf8", from, to))
      return Effect.succeed(value)
    } catch (error) {
      return notJson(error)
    }
  })

const firstOf = (body: Buffer): number => {
  let at = 0
  while (isSpace(body[at])) at++
  return at
}

/** The value of a body. A large array is refused before it is parsed where it has too many items, or one above `maxItemBytes`. */
export const parse = (
  body: Buffer,
  limits: { readonly maxItems: number; readonly maxItemBytes: number }
): Effect.Effect<unknown, Fault> =>
  Effect.gen(function* () {
    if (!isUtf8(body)) return yield* notJson("it is not UTF-8")
    if (body.length <= WHOLE) return yield* parseText(body)
    const tooLarge = Effect.fail<Fault>({
      _tag: "ItemTooLarge",
      message: `an event must be at most ${limits.maxItemBytes} bytes of the body`
    })
    const first = firstOf(body)
    if (body[first] !== OPEN_LIST) return yield* body.length > limits.maxItemBytes ? tooLarge : parseText(body)
    const splitter = new Splitter(body, first + 1, limits.maxItems)
    while (!splitter.isDone) {
      splitter.scan(PIECE)
      yield* EventLoop.step
    }
    if (splitter.end === -1) return yield* notJson("its array has no end")
    if (firstOf(body.subarray(splitter.end + 1)) !== body.length - splitter.end - 1) {
      return yield* notJson("something follows its array")
    }
    if (splitter.count > limits.maxItems) return yield* Effect.fail<Fault>({ _tag: "TooMany", count: splitter.count })
    const values: Array<unknown> = []
    for (const [from, to] of splitter.items) {
      if (to - from > limits.maxItemBytes) return yield* tooLarge
      values.push(yield* parseText(body, from, to))
      yield* EventLoop.step
    }
    return values
  })
