import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as JsonBody from "../../../src/stratix-gateway/runtime/JsonBody.js"

const limits = { maxItems: 1000, maxItemBytes: 1_500_000 }

const read = (body: string | Buffer) => Effect.either(JsonBody.parse(Buffer.from(body), limits))

/** So long that a body with it is split. */
const PAD = "x".repeat(200_000)

describe("the JSON of a large body", () => {
  it.live("is what JSON.parse makes of it, whatever is in it", () =>
    Effect.gen(function* () {
      for (const value of [
        [PAD, 1, null, true, { a: [[], {}, [1, [2]]], "]": "}" }, '",\\"[]{}\\', "\\", "\u2028é👍"],
        [{ pad: PAD }],
        { pad: PAD, more: [1, 2, 3] },
        PAD
      ]) {
        for (const text of [JSON.stringify(value), `\n ${JSON.stringify(value, null, 2)}\r\n\t`]) {
          assert.deepStrictEqual(yield* read(text), Either.right(value))
        }
      }
    })
  )

  it.live("is refused where JSON.parse would refuse it", () =>
    Effect.gen(function* () {
      for (const text of [
        `["${PAD}"`,
        `["${PAD}"}`,
        `["${PAD}",]`,
        `[,"${PAD}"]`,
        `["${PAD}"] 1`,
        `["${PAD}",{"a":1]]`,
        `["${PAD}","a]`,
        `["${PAD}",\u00a01]`,
        `${PAD}`,
        ""
      ]) {
        const found = yield* read(text)
        assert.isTrue(Either.isLeft(found) && found.left._tag === "NotJson", text.slice(-10))
      }
    })
  )

  it.live("is refused where it is not UTF-8", () =>
    Effect.gen(function* () {
      const found = yield* read(Buffer.from('["\u00e4"]', "latin1"))
      assert.deepStrictEqual(found, Either.left({ _tag: "NotJson", message: "it is not UTF-8" }))
    })
  )

  it.live("is not parsed where it has too many items, or too large a one", () =>
    Effect.gen(function* () {
      const many = yield* read(`[${"nonsense,".repeat(100_000)}1]`)
      assert.deepStrictEqual(many, Either.left({ _tag: "TooMany", count: 100_001 }))
      for (const text of [`[[${"1,".repeat(1_000_000)}1]]`, `{"a":[${"1,".repeat(1_000_000)}1]}`]) {
        const found = yield* read(text)
        assert.isTrue(Either.isLeft(found) && found.left._tag === "ItemTooLarge")
      }
    })
  )
})
