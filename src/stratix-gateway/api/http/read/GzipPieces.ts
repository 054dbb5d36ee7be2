/**
 * A gzip stream (RFC 1952) of pieces that are each compressed by themselves, so that a compressed piece serves all who read it: the stream is
 * its header, the deflated pieces one after the other, and the checksum of them all.
 */
import { constants, deflateRaw } from "node:zlib"
import * as Effect from "effect/Effect"

/** No name, no time, no system. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])

const CRC_TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

/** Node has it as a function from 20.15 on. */
const crc32 = (bytes: Buffer, before: number): number => {
  let crc = ~before
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** The pieces of one text, each of which must be asked for after the one before it. */
export class GzipPieces {
  /** Of all pieces before the n-th. */
  private readonly checksums: Array<number> = [0]
  private readonly sizes: Array<number> = [0]

  /** Compressed in a thread of its own. The last one ends the stream. */
  piece(index: number, bytes: Buffer, isLast: boolean): Effect.Effect<Buffer> {
    this.checksums[index + 1] ??= crc32(bytes, this.checksums[index] ?? 0)
    this.sizes[index + 1] ??= (this.sizes[index] ?? 0) + bytes.length
    // Ends at a whole byte, so that the next piece can follow.
    const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH
    return Effect.async((resume) => {
      deflateRaw(bytes, { finishFlush }, (error, deflated) =>
        resume(error === null ? Effect.succeed(this.framed(index, deflated, isLast)) : Effect.die(error))
      )
    })
  }

  private framed(index: number, deflated: Buffer, isLast: boolean): Buffer {
    const parts = index === 0 ? [HEADER, deflated] : [deflated]
    if (isLast) {
      const trailer = Buffer.alloc(8)
      trailer.writeUInt32LE(this.checksums[index + 1] ?? 0, 0)
      // Modulo 2^32, as the format has it.
      trailer.writeUInt32LE((this.sizes[index + 1] ?? 0) >>> 0, 4)
      parts.push(trailer)
    }
    return Buffer.concat(parts)
  }
}
