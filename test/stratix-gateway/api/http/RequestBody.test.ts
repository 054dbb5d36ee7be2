import { IncomingMessage } from "node:http"
import { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as RequestBody from "../../../../src/stratix-gateway/api/http/RequestBody.js"

/** A request whose body comes in these chunks. */
const request = (chunks: ReadonlyArray<Buffer>) => {
  const source = new IncomingMessage(new Socket())
  for (const chunk of chunks) source.push(chunk)
  source.push(null)
  return source
}

/** As many bytes as asked for, all of them different from their neighbours. */
const bytes = (size: number, from = 0) => Buffer.from(Array.from({ length: size }, (_, i) => (from + i) % 251))

describe("the body of a request", () => {
  it.live("is what was sent, in chunks of whatever size", () =>
    Effect.gen(function* () {
      const mixed = [1, 4095, 1, 4096, 3, 70_000, 2, 2, 65_536, 4095, 4095, 1]
      for (const sizes of [[], [0], [1], [4096], [300_000], Array.from({ length: 10_000 }, () => 1), mixed]) {
        const chunks = sizes.map((size, i) => bytes(size, i))
        const whole = Buffer.concat(chunks)
        const read = yield* RequestBody.bytes(request(chunks), whole.length)
        assert.isTrue(whole.equals(read), `${sizes.slice(0, 12)}`)
      }
    })
  )

  it.live("is refused where it is larger than allowed", () =>
    Effect.gen(function* () {
      const chunks = [bytes(5000), bytes(10), bytes(5000)]
      const read = yield* Effect.either(RequestBody.bytes(request(chunks), 10_009))
      assert.deepStrictEqual(read, Either.left(undefined))
    })
  )
})
