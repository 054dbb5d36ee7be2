import { assert, describe, it } from "@effect/vitest"
import { removalOf } from "../../../../src/stratix-gateway/log/mirror/Removals.js"
import { draft } from "../../../support/draft.js"

const stamp = { timestamp: 7, requestId: "r7" }
const said = (eventType: string, payload: object) =>
  JSON.stringify({ eventType, payload, timestamp: 7, requestId: "r7" })

describe("a removal that a log makes", () => {
  it("of a command ends the command, where its agent is", () => {
    const event = draft({ agentId: "a", commandId: "c", key: "command:c", status: "running", finished: true })
    assert.deepStrictEqual(
      removalOf(event, stamp),
      draft({
        eventType: "stratix:command_remove",
        agentId: "a",
        commandId: "c",
        removes: ["command:c"],
        stamp,
        json: said("stratix:command_remove", { commandId: "c", agentId: "a" })
      })
    )
  })

  it("of an agent ends its status and what was said of it once", () => {
    assert.deepStrictEqual(
      removalOf(draft({ agentId: "a", key: "agent:a", status: "busy" }), stamp),
      draft({
        eventType: "stratix:agent_remove",
        agentId: "a",
        removes: ["agent:a", "agent-info:a"],
        stamp,
        json: said("stratix:agent_remove", { agentId: "a" })
      })
    )
  })

  it("of an agent's key is no command's, though the event names one", () => {
    const { commandId, removes } = removalOf(draft({ agentId: "a", commandId: "c", key: "agent:a" }), stamp)
    assert.deepStrictEqual([commandId, removes], [undefined, ["agent:a", "agent-info:a"]])
    const { removes: without } = removalOf(draft({ agentId: "a", key: "command:undefined" }), stamp)
    assert.deepStrictEqual(without, ["agent:a", "agent-info:a"])
  })

  it("of an event without an agent names an empty one", () => {
    assert.deepStrictEqual(JSON.parse(removalOf(draft({ commandId: "c", key: "command:c" }), stamp).json).payload, {
      commandId: "c",
      agentId: ""
    })
  })

  it("of an author's own key ends that key, and goes where its events go", () => {
    const event = draft({
      eventType: "stratix:zone_update",
      agentId: "a",
      commandId: "c",
      key: "stratix:zone_update/north",
      own: "north",
      finished: true
    })
    assert.deepStrictEqual(
      removalOf(event, stamp),
      draft({
        eventType: "stratix:zone_update",
        agentId: "a",
        commandId: "c",
        own: "north",
        removes: ["stratix:zone_update/north"],
        stamp,
        json: said("stratix:key_remove", { eventType: "stratix:zone_update", key: "north" })
      })
    )
  })

  it("ends keys of the event's own tenant alone", () => {
    const removes = (rest: Parameters<typeof draft>[0]) => removalOf(draft({ tenant: "t", ...rest }), stamp).removes
    assert.deepStrictEqual(removes({ agentId: "a", key: "@t/agent:a" }), ["@t/agent:a", "@t/agent-info:a"])
    assert.deepStrictEqual(removes({ agentId: "a", commandId: "c", key: "@t/command:c" }), ["@t/command:c"])
    assert.deepStrictEqual(removes({ eventType: "stratix:z", key: "@t/stratix:z/k", own: "k" }), ["@t/stratix:z/k"])
    assert.strictEqual(removalOf(draft({ tenant: "t", agentId: "a" }), stamp).tenant, "t")
  })
})
