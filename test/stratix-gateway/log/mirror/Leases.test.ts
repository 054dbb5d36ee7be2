import { assert, describe, it } from "@effect/vitest"
import {
  agentKey,
  failedOf,
  type Holder,
  Leases,
  offlineOf
} from "../../../../src/stratix-gateway/log/mirror/Leases.js"
import { draft } from "../../../support/draft.js"

const holder = (agentId: string, tenant = "default"): Holder => ({ tenant, agentId })
const world = () => {
  const leases = new Leases()
  const start = (name: string, millis: number, now = 0, endCommands = false) =>
    leases.start(name, holder(name), { millis, endCommands }, now)
  return { leases, start, lapsedAt: (now: number) => leases.lapsed(now)?.key }
}

describe("the leases of a mirror", () => {
  it("run out one by one, each at its own millisecond", () => {
    const { lapsedAt, leases, start } = world()
    assert.strictEqual(leases.nearest(), Number.POSITIVE_INFINITY)
    assert.isUndefined(lapsedAt(1000))
    start("b", 200)
    start("a", 100, 0, true)
    assert.deepStrictEqual([leases.size, leases.nearest()], [2, 100])
    assert.isUndefined(lapsedAt(99))
    assert.deepInclude(leases.lapsed(100), { key: "a", holder: holder("a"), millis: 100, endCommands: true })
    // It stays until it is stopped.
    assert.strictEqual(lapsedAt(100), "a")
    leases.stop("a")
    assert.deepStrictEqual([leases.size, leases.nearest()], [1, 200])
    assert.isUndefined(lapsedAt(199))
    assert.strictEqual(lapsedAt(200), "b")
  })

  it("run their full length from a renewal, which the next look learns of", () => {
    const { lapsedAt, leases, start } = world()
    start("a", 100)
    start("b", 120)
    assert.isTrue(leases.renew("a", 50))
    assert.isFalse(leases.renew("c", 50))
    assert.strictEqual(leases.nearest(), 100)
    assert.isUndefined(lapsedAt(100))
    assert.strictEqual(leases.nearest(), 120)
    assert.strictEqual(lapsedAt(120), "b")
    leases.stop("b")
    assert.isUndefined(lapsedAt(149))
    assert.strictEqual(lapsedAt(150), "a")
  })

  it("of an agent that has a newer one are gone: there is never a second one", () => {
    const { lapsedAt, leases, start } = world()
    start("a", 100)
    start("a", 500, 50)
    assert.strictEqual(leases.size, 1)
    assert.isUndefined(lapsedAt(549))
    assert.strictEqual(lapsedAt(550), "a")
    leases.stop("a")
    assert.deepStrictEqual([leases.size, leases.nearest()], [0, Number.POSITIVE_INFINITY])
    leases.stop("a")
  })

  it("all run once more after a restart, as long as they were, and from then on", () => {
    const { lapsedAt, leases, start } = world()
    start("a", 100)
    start("b", 50, 0, true)
    leases.restart(1000)
    assert.deepStrictEqual([leases.size, leases.nearest()], [2, 1050])
    assert.isUndefined(lapsedAt(1049))
    assert.deepInclude(leases.lapsed(1050), { key: "b", millis: 50, endCommands: true })
    leases.stop("b")
    assert.strictEqual(lapsedAt(1100), "a")
  })
})

describe("what a log says of an agent whose lease ran out", () => {
  const stamp = { timestamp: 7, requestId: "r7" }
  const json = (eventType: string, payload: object) =>
    JSON.stringify({ eventType, payload, timestamp: 7, requestId: "r7" })

  it("is that it is offline", () => {
    assert.deepStrictEqual(
      offlineOf(holder("a"), stamp),
      draft({
        eventType: "stratix:agent_status_update",
        agentId: "a",
        key: "agent:a",
        status: "offline",
        stamp,
        json: json("stratix:agent_status_update", { agentId: "a", status: "offline", reason: "lease expired" })
      })
    )
  })

  it("is that a command it was running has failed, which is the last word on it", () => {
    assert.deepStrictEqual(
      failedOf("c", holder("a"), stamp),
      draft({
        eventType: "stratix:command_status_update",
        agentId: "a",
        commandId: "c",
        key: "command:c",
        status: "failed",
        finished: true,
        stamp,
        json: json("stratix:command_status_update", {
          commandId: "c",
          agentId: "a",
          commandStatus: "failed",
          error: "lease expired"
        })
      })
    )
  })

  it("is said in the agent's tenant", () => {
    assert.deepInclude(offlineOf(holder("a", "t"), stamp), { tenant: "t", key: "@t/agent:a" })
    assert.deepInclude(failedOf("c", holder("a", "t"), stamp), { tenant: "t", key: "@t/command:c" })
    assert.deepStrictEqual([agentKey("a", "t"), agentKey("a")], ["@t/agent:a", "agent:a"])
  })
})
