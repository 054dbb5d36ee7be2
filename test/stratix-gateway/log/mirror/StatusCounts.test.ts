import { assert, describe, it } from "@effect/vitest"
import type { Draft } from "../../../../src/stratix-gateway/log/EventLog.js"
import { StatusCounts } from "../../../../src/stratix-gateway/log/mirror/StatusCounts.js"
import { draft } from "../../../support/draft.js"

const agent = (status: Draft["status"]) => draft({ eventType: "stratix:agent_status_update", key: "agent:a", status })
const command = (status: Draft["status"]) =>
  draft({ eventType: "stratix:command_status_update", key: "command:c", status })

describe("the counts of statuses", () => {
  it("are those of agents, and those of commands", () => {
    const counts = new StatusCounts()
    for (const event of [agent("busy"), agent("busy"), agent("online"), command("running")]) counts.add(event)
    counts.remove(agent("busy"))
    assert.deepStrictEqual(
      [...counts.agents],
      [
        ["busy", 1],
        ["online", 1]
      ]
    )
    assert.deepStrictEqual([...counts.commands], [["running", 1]])
  })

  it("leave out what has no status, is the state of nothing, or is of another type", () => {
    const counts = new StatusCounts()
    counts.add({ ...agent("busy"), key: undefined })
    counts.add(agent(undefined))
    counts.add({ ...agent("busy"), eventType: "stratix:x" })
    assert.strictEqual(counts.agents.size + counts.commands.size, 0)
  })
})
