/**
 * Several texts as bytes: how many there are, how long each is, and the texts themselves in UTF-8.
 */

/** Bytes of a number. */
const WORD = 4

/** The bytes of texts, after `reserved` bytes that are the caller's. */
export const encode = (texts: ReadonlyArray<string>, reserved = 0): Buffer => {
  const lengths = texts.map((text) => Buffer.byteLength(text))
  const total = lengths.reduce((sum, length) => sum + length, reserved + WORD * (1 + texts.length))
  const bytes = Buffer.allocUnsafe(total)
  let at = bytes.writeUInt32LE(texts.length, reserved)
  for (const length of lengths) at = bytes.writeUInt32LE(length, at)
  for (const text of texts) at += bytes.write(text, at)
  return bytes
}

/** The texts, each of which is a string of its own: one that is kept does not keep the others. */
export const decode = (bytes: Buffer): ReadonlyArray<string> => {
  const count = bytes.readUInt32LE(0)
  const texts: Array<string> = []
  let from = WORD * (1 + count)
  for (let i = 0; i < count; i++) {
    const to = from + bytes.readUInt32LE(WORD * (1 + i))
    texts.push(bytes.toString("utf8", from, to))
    from = to
  }
  return texts
}
