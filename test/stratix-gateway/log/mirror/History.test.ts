import { assert, describe, it } from "@effect/vitest"
import type { LogEntry } from "../../../../src/stratix-gateway/log/EventLog.js"
import type { Place } from "../../../../src/stratix-gateway/log/mirror/Epochs.js"
import { History } from "../../../../src/stratix-gateway/log/mirror/History.js"
import { draft } from "../../../support/draft.js"

const entry = (seq: number, characters: number, eventType = "stratix:x", tenant = "default"): LogEntry & Place => ({
  ...draft({ tenant, eventType, json: "x".repeat(characters) }),
  offset: `e-${seq}-0`,
  index: seq,
  departure: undefined,
  epoch: "e",
  seq,
  keyless: 0
})
const seqs = (entries: ReadonlyArray<Place> | undefined) => entries?.map(({ seq }) => seq)

describe("a history", () => {
  it("holds the newest of a number of events, and counts their characters", () => {
    const history = new History<LogEntry & Place>(3, 1000, 10)
    assert.deepStrictEqual([history.size, history.first, history.last, history.characters], [0, 11, 10, 0])
    for (const [i, characters] of [5, 6, 7, 8, 9].entries()) history.add(entry(11 + i, characters))
    assert.deepStrictEqual([history.size, history.first, history.last, history.characters], [3, 13, 15, 24])
    assert.strictEqual(history.at(13).seq, 13)
    for (const gone of [12, 16]) assert.throws(() => history.at(gone), `history has no entry ${gone}`)
  })

  it("holds so many characters, and always the newest event", () => {
    const history = new History<LogEntry & Place>(10, 20)
    for (let seq = 1; seq <= 4; seq++) history.add(entry(seq, 5))
    assert.deepStrictEqual([history.first, history.characters], [1, 20])
    history.add(entry(5, 1))
    assert.deepStrictEqual([history.first, history.characters], [2, 16])
    history.add(entry(6, 14))
    assert.deepStrictEqual([history.first, history.size, history.characters], [4, 3, 20])
    history.add(entry(7, 50))
    assert.deepStrictEqual([history.first, history.size, history.characters], [7, 1, 50])
    assert.throws(() => history.at(6), "history has no entry 6")
    history.add(entry(8, 1))
    assert.deepStrictEqual([history.first, history.characters], [8, 1])
    // What left gave its memory back.
    assert.strictEqual(history["ring"].filter((held) => held !== undefined).length, 1)
  })

  it("gives what came after a place, as many as asked for, and nothing where some of it has left", () => {
    const history = new History<LogEntry & Place>(3, 1000)
    for (let seq = 1; seq <= 5; seq++) history.add(entry(seq, 1))
    assert.deepStrictEqual(seqs(history.after(2)), [3, 4, 5])
    assert.deepStrictEqual(seqs(history.after(2, 2)), [3, 4])
    assert.deepStrictEqual(seqs(history.after(5)), [])
    assert.isUndefined(history.after(1))
  })

  it("notes a thousand types of events, scoped by their tenants", () => {
    const history = new History<LogEntry & Place>(3, 1000)
    history.add(entry(1, 1, "stratix:x"))
    history.add(entry(2, 1, "stratix:x", "other"))
    assert.strictEqual(history.types.size, 2)
    for (let seq = 3; seq <= 1010; seq++) history.add(entry(seq, 1, `stratix:x${seq}`))
    assert.strictEqual(history.types.size, 1000)
    assert.isTrue(history.types.has("stratix:x1000"))
    assert.isFalse(history.types.has("stratix:x1001"))
  })
})
