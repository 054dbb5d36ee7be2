import { assert, describe, it } from "@effect/vitest"
import { Epochs, offsetOf, placeOf } from "../../../../src/stratix-gateway/log/mirror/Epochs.js"

describe("an offset", () => {
  it("is the text of its place, and is read back", () => {
    const place = { epoch: "e1", seq: 36 ** 2 + 1, keyless: 35 }
    assert.strictEqual(offsetOf(place), "e1-101-z")
    assert.deepStrictEqual(placeOf("e1-101-z"), place)
  })

  it("that no log writes is none", () => {
    for (const text of ["", "e", "e-1", "e-1-", "e--1", "e-1-0-0", "e-01-0", "e-1-00", "e-A-0", "e-1.5-0", "e-x y-0"])
      assert.isUndefined(placeOf(text), text)
  })
})

describe("the epochs of a log", () => {
  const epochs = new Epochs([
    { epoch: "one", start: 0 },
    { epoch: "two", start: 10 },
    { epoch: "three", start: 15 }
  ])

  it("each gave the places from its start to that of the next", () => {
    const given = (epoch: string) =>
      Array.from({ length: 20 }, (_, seq) => seq).filter((seq) => epochs.gave({ epoch, seq }))
    const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
    assert.deepStrictEqual(given("one"), from(0, 10))
    assert.deepStrictEqual(given("two"), from(10, 15))
    assert.deepStrictEqual(given("three"), from(15, 19))
    assert.deepStrictEqual(given("other"), [])
  })

  it("the newest is the current one", () => {
    assert.strictEqual(epochs.current, "three")
    assert.strictEqual(new Epochs([{ epoch: "only", start: 0 }]).current, "only")
  })
})
