import { assert, describe, it } from "@effect/vitest"
import { RunningCommands } from "../../../../src/stratix-gateway/log/mirror/RunningCommands.js"
import { draft } from "../../../support/draft.js"

const runs = (commandId: string, agentId = "a", tenant = "default") =>
  draft({ tenant, agentId, commandId, status: "running" })

describe("the running commands of an agent", () => {
  it("are told one by one, the one that began first first", () => {
    const running = new RunningCommands()
    assert.isUndefined(running.firstOf("agent:a"))
    for (const commandId of ["one", "two"]) running.add(runs(commandId))
    assert.strictEqual(running.firstOf("agent:a"), "one")
    running.remove(runs("one"))
    assert.strictEqual(running.firstOf("agent:a"), "two")
    running.remove(runs("two"))
    assert.isUndefined(running.firstOf("agent:a"))
  })

  it("are no other agent's, and no other tenant's", () => {
    const running = new RunningCommands()
    running.add(runs("of b", "b"))
    running.add(runs("of t", "a", "t"))
    assert.deepStrictEqual(
      ["agent:a", "agent:b", "@t/agent:a"].map((key) => running.firstOf(key)),
      [undefined, "of b", "of t"]
    )
    running.remove(runs("of b", "a"))
    assert.strictEqual(running.firstOf("agent:b"), "of b")
  })

  it("are none that have another status, or neither agent nor command", () => {
    const running = new RunningCommands()
    running.add({ ...runs("c"), status: "pending" })
    running.add({ ...runs("c"), commandId: undefined })
    running.add({ ...runs("c"), agentId: undefined })
    assert.strictEqual(running["byAgent"].size, 0)
    running.add(runs("c"))
    running.remove({ ...runs("c"), status: "success" })
    assert.strictEqual(running.firstOf("agent:a"), "c")
    // Nor those of an agent whose name is what a missing one would read as.
    running.add(runs("c", "undefined"))
    running.remove({ ...runs("c"), agentId: undefined })
    assert.strictEqual(running.firstOf("agent:undefined"), "c")
  })

  it("leave nothing behind once they have ended", () => {
    const running = new RunningCommands()
    for (const commandId of ["one", "two"]) running.add(runs(commandId))
    for (const commandId of ["one", "two"]) running.remove(runs(commandId))
    assert.strictEqual(running["byAgent"].size, 0)
  })
})
