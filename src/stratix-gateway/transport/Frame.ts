/**
 * WebSocket frames as a server sends them (RFC 6455 §5.2): final, unmasked.
 * They are made here rather than by `ws`, because one frame serves all connections and a batch of frames is one buffer.
 */

import { constants, deflateRawSync } from "node:zlib"

const FIN = 0x80
const RSV1 = 0x40
const TEXT = 0x1
const PING = 0x9

/** Payloads up to this size have their length in the second byte, up to the next bound in two more, above it in eight more. */
const LENGTH_7 = 125
const LENGTH_16 = 0xffff

const headerLength = (payload: number): number => (payload <= LENGTH_7 ? 2 : payload <= LENGTH_16 ? 4 : 10)

const writeHeader = (target: Buffer, at: number, first: number, length: number): number => {
  target[at] = first
  if (length <= LENGTH_7) {
    target[at + 1] = length
    return at + 2
  }
  if (length <= LENGTH_16) {
    target[at + 1] = 126
    target.writeUInt16BE(length, at + 2)
    return at + 4
  }
  target[at + 1] = 127
  target.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2)
  target.writeUInt32BE(length >>> 0, at + 6)
  return at + 10
}

/** One buffer with a text frame for each text, after the bytes `before` them. */
export const texts = (all: ReadonlyArray<string>, before?: Uint8Array): Buffer => {
  const lengths: Array<number> = []
  let total = before?.length ?? 0
  for (const text of all) {
    const length = Buffer.byteLength(text)
    lengths.push(length)
    total += headerLength(length) + length
  }
  const target = Buffer.allocUnsafe(total)
  let at = 0
  if (before !== undefined) {
    target.set(before)
    at = before.length
  }
  for (let i = 0; i < all.length; i++) {
    const length = lengths[i] ?? 0
    at = writeHeader(target, at, FIN | TEXT, length)
    at += target.write(all[i] ?? "", at, length, "utf8")
  }
  return target
}

/** One text frame. */
export const text = (content: string): Buffer => {
  const length = Buffer.byteLength(content)
  const target = Buffer.allocUnsafe(headerLength(length) + length)
  target.write(content, writeHeader(target, 0, FIN | TEXT, length), length, "utf8")
  return target
}

/** The end of a sync flush, which permessage-deflate leaves out (RFC 7692 §7.2.1). */
const FLUSH_TAIL = 4

/** A text frame compressed with permessage-deflate without context takeover, or a plain one below `threshold` bytes or where compression saves nothing. */
export const compressedText = (content: string, threshold: number): Buffer => {
  const bytes = Buffer.byteLength(content)
  if (bytes < threshold) return text(content)
  // A window no larger than the message: setting up a large one costs more than compressing a small message.
  const windowBits = Math.min(15, Math.max(9, 32 - Math.clz32(bytes)))
  const deflated = deflateRawSync(content, {
    windowBits,
    memLevel: Math.min(8, windowBits - 7),
    finishFlush: constants.Z_SYNC_FLUSH
  })
  const length = deflated.length - FLUSH_TAIL
  if (length >= bytes) return text(content)
  const target = Buffer.allocUnsafe(headerLength(length) + length)
  deflated.copy(target, writeHeader(target, 0, FIN | RSV1 | TEXT, length), 0, length)
  return target
}

/** A ping without payload, the same for every connection. */
export const ping: Buffer = Buffer.from([FIN | PING, 0])
