import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isLargerThan, problemIn } from "../../../src/stratix-gateway/log/JsonValue.js"

describe("the least size of a value as JSON", () => {
  it("is never above its real size", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.isFalse(isLargerThan(value, Buffer.byteLength(JSON.stringify(value))))
      })
    )
    for (const value of [
      { a: undefined, f: () => 1 },
      [undefined, 1],
      "\ud800",
      "é👍\u2028",
      new Date(0),
      { toJSON: () => 1, pad: "x".repeat(99) }
    ]) {
      assert.isFalse(isLargerThan(value, Buffer.byteLength(JSON.stringify(value))))
    }
  })

  it("is known without looking at all of a large value", () => {
    let asked = 0
    const value = Array.from({ length: 100_000 }, () => ({
      get a() {
        asked++
        return "x".repeat(10)
      }
    }))
    assert.isTrue(isLargerThan({ value }, 200_000))
    assert.isBelow(asked, 20_000)
  })

  it("ends for a value within itself", () => {
    const value: { self?: object; pad: string } = { pad: "x" }
    value.self = value
    assert.isFalse(isLargerThan(value, 10_000))
  })
})

describe("what JSON cannot express", () => {
  it("is found with its path", () => {
    assert.deepStrictEqual(problemIn({ a: [1, { b: [0, Number.NaN] }] }, "payload"), {
      path: "payload.a.1.b.1",
      detail: "NaN is not a JSON number"
    })
    assert.deepInclude(problemIn({ a: [{}, [], { b: 1n }] }, "payload"), { path: "payload.a.2.b" })
    assert.isUndefined(problemIn({ a: [{ b: [1] }, "x"], c: null }, "payload"))
  })
})
