import { assert, describe, it } from "@effect/vitest"
import { effectsOf, emptyLog, isKeyless, NOTHING } from "../../../../src/stratix-gateway/log/mirror/Records.js"
import { draft } from "../../../support/draft.js"

describe("what an event did to the state", () => {
  const held = draft({ key: "command:c", commandId: "c", agentId: "a" })
  const other = draft({ key: "agent:a", agentId: "a" })
  const newestOf = (key: string) => [held, other].find((event) => event.key === key)

  it("is a move where its key had another agent or another command", () => {
    for (const change of [{ agentId: "b" }, { commandId: "d" }, { agentId: undefined }]) {
      assert.deepStrictEqual(effectsOf({ ...held, ...change }, newestOf), { moved: held, removed: false })
    }
    assert.deepStrictEqual(effectsOf({ ...held, json: "newer" }, newestOf), { moved: undefined, removed: false })
    const ofOtherKey = draft({ key: "command:new", agentId: "b" })
    assert.deepStrictEqual(effectsOf(ofOtherKey, newestOf), { moved: undefined, removed: false })
  })

  it("is a removal where one of the keys it ends was there", () => {
    const removing = (...removes: ReadonlyArray<string>) => effectsOf(draft({ agentId: "a", removes }), newestOf)
    assert.deepStrictEqual(removing("agent:a", "agent-info:a"), { moved: undefined, removed: true })
    assert.deepStrictEqual(removing("agent-info:a", "agent:a"), { moved: undefined, removed: true })
    assert.deepStrictEqual(removing("agent:b"), { moved: undefined, removed: false })
  })

  it("is a move as well where another agent removes the key", () => {
    const byAnother = draft({ agentId: "b", commandId: "c", removes: ["command:c"] })
    assert.deepStrictEqual(effectsOf(byAnother, newestOf), { moved: held, removed: true })
  })

  it("is nothing where the event has no key and ends none", () => {
    assert.deepStrictEqual(NOTHING, { moved: undefined, removed: false })
    assert.deepStrictEqual(effectsOf(draft(), newestOf), NOTHING)
  })
})

describe("an event without a key", () => {
  it("has none and ends none", () => {
    assert.isTrue(isKeyless(draft()))
    assert.isFalse(isKeyless(draft({ key: "agent:a" })))
    assert.isFalse(isKeyless(draft({ removes: ["agent:a"] })))
  })
})

describe("an empty log", () => {
  it("is before its first event, in its one epoch", () => {
    assert.deepStrictEqual(emptyLog("e"), {
      after: { epoch: "e", seq: 0, keyless: 0 },
      index: 0,
      epochs: [{ epoch: "e", start: 0 }]
    })
  })
})
