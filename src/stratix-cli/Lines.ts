/**
 * Lines of input as bytes came: each one decoded, or what is wrong with it.
 */
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"

/** Bytes of one line: four times the largest request that a gateway takes by default. */
const MAX_LINE = 16 * 1024 * 1024

const LINE_FEED = 0x0a

/** A line without its end, or why it is none. */
export type Line = Either.Either<string, string>

const decode = (bytes: Uint8Array): Line =>
  Either.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r$/, ""),
    catch: () => "is not UTF-8"
  })

const tooLong: Line = Either.left(`has more than ${MAX_LINE} bytes`)

/** Puts lines together that come in pieces. */
class Assembler {
  // Bound: MAX_LINE; what is longer is dropped up to its end.
  private pieces: Array<Uint8Array> = []
  private size = 0

  /** The lines that end in these bytes. */
  add(bytes: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let from = 0
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
      this.keep(bytes.subarray(from, end))
      lines.push(this.take())
      from = end + 1
    }
    this.keep(bytes.subarray(from))
    return lines
  }

  /** The last line, if it has no end. */
  rest(): ReadonlyArray<Line> {
    return this.size === 0 ? [] : [this.take()]
  }

  private keep(piece: Uint8Array): void {
    this.size += piece.length
    if (this.size > MAX_LINE) this.pieces = []
    else if (piece.length > 0) this.pieces.push(piece)
  }

  private take(): Line {
    const line = this.size > MAX_LINE ? tooLong : decode(Buffer.concat(this.pieces))
    this.pieces = []
    this.size = 0
    return line
  }
}

/** The lines of a stream of bytes; those that ended in the same piece of it come together. */
export const split = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<ReadonlyArray<Line>, E, R> =>
  Stream.suspend(() => {
    const assembler = new Assembler()
    return Stream.concat(
      Stream.map(bytes, (piece) => assembler.add(piece)),
      Stream.sync(() => assembler.rest())
    )
  })
