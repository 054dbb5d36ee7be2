import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import * as StatusEvent from "../../src/stratix-core/StatusEvent.js"
import { platform } from "../../src/stratix-publisher/Environment.js"
import { makeWorld } from "./support/World.js"

const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, load: Schema.Number }),
  key: ({ zoneId }) => zoneId,
  finished: ({ load }) => load === 0
})
/** The same type, for a process without its Schema. */
const ZoneReference: StatusEvent.Reference<typeof Zone> = { eventType: "stratix:zone_update" }

describe("a publisher", () => {
  it("announces an agent, reports what it does, and says offline when it is closed", async () => {
    const { gateway, publisher, said, settled } = makeWorld()
    const agent = publisher.agent("a", { name: "Scout", type: "researcher" })
    agent.command("c", "running", { progress: 40 })
    agent.status("busy", { reason: "compiling" })
    await settled()
    agent.command("c", "success", { result: { files: 3 } })
    publisher.publish("stratix:note", { n: 1 })
    expect(await publisher.close()).toBe(true)
    expect(said()).toEqual([
      "agent_create a",
      "command_status_update c running",
      "agent_status_update a busy",
      "command_status_update c success",
      "note",
      "agent_status_update a offline"
    ])
    expect(gateway.events[1]).toEqual({
      eventType: "stratix:command_status_update",
      payload: { commandId: "c", agentId: "a", commandStatus: "running", progress: 40 }
    })
    expect(gateway.events[2]).toEqual({
      eventType: "stratix:agent_status_update",
      payload: { agentId: "a", status: "busy", reason: "compiling" },
      leaseMs: 30_000,
      endCommands: true
    })
    expect(gateway.events[5]).toEqual({
      eventType: "stratix:agent_status_update",
      payload: { agentId: "a", status: "offline" }
    })
    expect(gateway.requests[0]?.headers).toMatchObject({
      "content-type": "application/json",
      "idempotency-key": "key-1"
    })
  })

  it("ends what an agent is running with the agent, unless told otherwise", async () => {
    const { publisher, said } = makeWorld()
    for (const [agentId, endCommands] of [
      ["a", true],
      ["b", false]
    ] as const) {
      const agent = publisher.agent(agentId, { endCommands })
      agent.command(`runs-${agentId}`, "running")
      agent.command(`waits-${agentId}`, "pending")
    }
    await publisher.close()
    expect(said().filter((line) => line.startsWith("command"))).toEqual([
      "command_status_update waits-a pending",
      "command_status_update runs-b running",
      "command_status_update waits-b pending",
      "command_status_update runs-a failed"
    ])
  })

  it("sends its token, asked for anew each time where it is a function", async () => {
    let n = 0
    const { gateway, publisher, settled } = makeWorld({ token: () => Promise.resolve(`t${++n}`) })
    publisher.agent("a")
    await settled()
    publisher.agent("b")
    await settled()
    expect(gateway.requests.map(({ headers }) => headers["authorization"])).toEqual(["Bearer t1", "Bearer t2"])
  })

  it("renews the leases of all its agents in one request, three times in each, without an event", async () => {
    const { advance, gateway, publisher } = makeWorld()
    for (let i = 0; i < 1500; i++) publisher.agent(`a${i}`)
    await advance(0)
    const before = gateway.requests.length
    await advance(30_000)
    expect(gateway.requests.slice(before).map(({ path }) => path)).toEqual(Array(6).fill("/api/stratix/leases"))
    expect(gateway.events).toHaveLength(1500)
  })

  it("renews nothing for agents that are offline, closed or removed", async () => {
    const { advance, gateway, publisher, said } = makeWorld()
    publisher.agent("offline").status("offline")
    publisher.agent("closed").close()
    const removed = publisher.agent("removed", { name: "R", type: "x" })
    removed.command("c", "running")
    await advance(0)
    removed.remove()
    removed.status("busy")
    await advance(60_000)
    expect(gateway.requests.filter(({ path }) => path === "/api/stratix/leases")).toEqual([])
    expect(said().slice(-2)).toEqual(["command_remove c", "agent_remove removed"])
  })

  it("says again what an agent is and does that the gateway took for dead", async () => {
    const { advance, gateway, publisher, said } = makeWorld()
    const agent = publisher.agent("a")
    agent.command("c", "running")
    agent.status("busy")
    publisher.agent("b")
    await advance(0)
    gateway.leases.delete("a")
    await advance(10_000)
    const alive = ["agent_status_update a busy", "command_status_update c running"]
    expect(said()).toEqual([alive[1], alive[0], "agent_status_update b online", ...alive])
  })

  it("says everything again that is so to a gateway that has forgotten it, and nothing that is over", async () => {
    const { advance, gateway, publisher, said } = makeWorld()
    const agent = publisher.agent("a", { name: "Scout", type: "researcher" })
    agent.command("runs", "running")
    agent.command("done", "success")
    publisher.agent("closed").close()
    publisher.publish("stratix:note", {})
    await advance(0)
    gateway.restart()
    await advance(10_000)
    expect(said()).toEqual(["agent_create a", "agent_status_update a online", "command_status_update runs running"])
    gateway.restart()
    agent.status("busy")
    await advance(0)
    expect(said()).toEqual(["agent_status_update a busy", "agent_create a", "command_status_update runs running"])
  })

  it("while the gateway is away keeps the newest of each key only, and is heard when it is back", async () => {
    const { advance, gateway, problems, publisher, said } = makeWorld()
    gateway.manner = "away"
    const agent = publisher.agent("a")
    await advance(0)
    for (let progress = 0; progress < 100; progress++) agent.command("c", "running", { progress })
    for (const status of ["busy", "error", "busy"] as const) agent.status(status)
    expect(publisher.pending()).toBe(3)
    await advance(60_000)
    expect(problems[0]).toMatchObject({ _tag: "Unreachable" })
    gateway.manner = "well"
    await advance(10_000)
    expect(said()).toEqual(["command_status_update c running", "agent_status_update a busy"])
    expect(gateway.events[0]?.payload["progress"]).toBe(99)
    expect([publisher.pending(), publisher.dropped()]).toEqual([0, 0])
  })

  it("bounds what waits: above it the oldest are dropped and counted", async () => {
    const { advance, gateway, publisher, said } = makeWorld({ maxPending: 3 })
    gateway.manner = { status: 503 }
    for (let i = 0; i < 10; i++) publisher.publish(`stratix:n${i}`, {})
    await advance(1000)
    expect([publisher.pending(), publisher.dropped()]).toEqual([3, 7])
    gateway.manner = "well"
    await advance(10_000)
    expect(said()).toEqual(["n7", "n8", "n9"])
  })

  it("asks again under the same key where no answer came, so that nothing happens twice", async () => {
    const { advance, gateway, publisher, said } = makeWorld()
    gateway.manner = "deaf"
    publisher.publish("stratix:note", {})
    publisher.agent("a")
    await advance(2000)
    gateway.manner = "frozen"
    await advance(15_000)
    gateway.manner = "well"
    await advance(20_000)
    expect(said()).toEqual(["note", "agent_status_update a online"])
    const publications = gateway.requests.filter(({ path }) => path === "/api/stratix/events")
    expect(publications.length).toBeGreaterThan(2)
    expect(new Set(publications.map(({ headers }) => headers["idempotency-key"]))).toEqual(new Set(["key-1"]))
  })

  it("waits as long as the gateway asks, with pauses that grow where it does not ask", async () => {
    const { advance, gateway, problems, publisher } = makeWorld()
    gateway.manner = { status: 429, retryAfter: "7" }
    publisher.publish("stratix:note", {})
    await advance(6999)
    expect(gateway.requests).toHaveLength(1)
    await advance(1)
    expect(gateway.requests).toHaveLength(2)
    gateway.manner = { status: 503 }
    await advance(7000)
    const before = gateway.requests.length
    await advance(1000 + 2000 + 4000)
    expect(gateway.requests.length - before).toBe(3)
    expect(problems[0]).toEqual({ _tag: "Busy", message: "429 not now" })
  })

  it("leaves out an event that the gateway refuses, and says so; the others are published", async () => {
    const { gateway, problems, publisher, said, settled } = makeWorld()
    publisher.publish("stratix:one", {})
    publisher.publish("stratix:two", { wrong: true })
    publisher.publish("stratix:three", { n: 1n })
    publisher.publish("stratix:four", {})
    await settled()
    expect(said()).toEqual(["one", "four"])
    expect(problems.map(({ _tag }) => _tag)).toEqual(["Refused", "Refused"])
    expect(problems[1]).toMatchObject({ message: "payload.wrong: is wrong" })
    expect(gateway.requests).toHaveLength(2)
  })

  it("halves a request that is too large for the gateway", async () => {
    const { gateway, publisher, said, settled } = makeWorld()
    const { fetch } = gateway
    gateway.fetch = (url, request) =>
      request.body.length > 150
        ? Promise.resolve({ status: 413, headers: { get: () => null }, text: () => Promise.resolve("") })
        : fetch.call(gateway, url, request)
    for (let i = 0; i < 7; i++) publisher.publish(`stratix:n${i}`, {})
    await settled()
    expect(said()).toEqual(["n0", "n1", "n2", "n3", "n4", "n5", "n6"])
  })

  it("tells a wrong token, and something that is no gateway", async () => {
    const { advance, gateway, problems, publisher, said } = makeWorld()
    gateway.manner = { status: 401 }
    publisher.publish("stratix:note", {})
    await advance(0)
    gateway.manner = { status: 404 }
    await advance(250)
    expect(problems.map(({ _tag }) => _tag)).toEqual(["Denied", "Strange"])
    gateway.manner = "well"
    await advance(1000)
    expect(said()).toEqual(["note"])
  })

  it("flushes, or says that it could not in time; leaves no timer behind", async () => {
    const { advance, gateway, publisher, timers } = makeWorld()
    gateway.manner = "away"
    publisher.agent("a")
    const late = publisher.flush(1000)
    await advance(1000)
    expect(await late).toBe(false)
    gateway.manner = "well"
    expect(await publisher.flush()).toBe(true)
    gateway.manner = "away"
    const closing = publisher.close(500)
    await advance(500)
    expect(await closing).toBe(false)
    await advance(60_000)
    expect(timers.size).toBe(0)
  })

  it("announces an agent with fields of your own, and says them again to a gateway that has forgotten it", async () => {
    const { advance, gateway, publisher } = makeWorld()
    publisher.agent("a", { name: "Scout", type: "researcher", extra: { title: "The first" } })
    await advance(0)
    const created = {
      eventType: "stratix:agent_create",
      payload: { agentId: "a", name: "Scout", type: "researcher" },
      extra: { title: "The first" }
    }
    expect(gateway.events[0]).toEqual(created)
    gateway.restart()
    await advance(10_000)
    expect(gateway.events).toContainEqual(created)
  })

  it("keeps the newest event of each key of a declared type, and says it again after a restart until it is over", async () => {
    const { advance, gateway, publisher } = makeWorld()
    const loads = () =>
      gateway.events.flatMap(({ eventType, payload }) =>
        eventType === Zone.eventType ? [[payload["zoneId"], payload["load"]]] : []
      )
    gateway.manner = "away"
    for (const load of [1, 2, 3]) publisher.publish(Zone, { zoneId: "z1", load })
    publisher.publish(ZoneReference, { zoneId: "z2", load: 4 }, { key: "z2" })
    publisher.publish(ZoneReference, { zoneId: "z2", load: 5 }, { key: "z2" })
    publisher.publish(ZoneReference, { zoneId: "once", load: 6 })
    publisher.publish(Zone, { zoneId: "over", load: 0 })
    expect(publisher.pending()).toBe(4)
    gateway.manner = "well"
    expect(await publisher.flush()).toBe(true)
    const kept = [
      ["z1", 3],
      ["z2", 5]
    ]
    expect(loads()).toEqual([...kept, ["once", 6], ["over", 0]])
    gateway.restart()
    publisher.agent("a")
    await advance(0)
    expect(loads()).toEqual(kept)
    publisher.remove(Zone, "z1")
    await advance(0)
    expect(gateway.events.at(-1)).toEqual({
      eventType: "stratix:key_remove",
      payload: { eventType: "stratix:zone_update", key: "z1" }
    })
    gateway.restart()
    publisher.publish("stratix:note", {})
    await advance(0)
    expect(loads()).toEqual([["z2", 5]])
  })

  it("removes a key without saying first what it was, and says it anew where it is published again", async () => {
    const { gateway, publisher, settled } = makeWorld()
    publisher.publish(Zone, { zoneId: "z1", load: 1 })
    publisher.remove(Zone, "z1")
    publisher.publish(Zone, { zoneId: "z1", load: 2 })
    await settled()
    expect(gateway.events.map(({ eventType }) => eventType)).toEqual(["stratix:key_remove", Zone.eventType])
    expect(gateway.events[1]?.payload).toEqual({ zoneId: "z1", load: 2 })
  })

  it("checks what is declared before it is sent, in code and by the compiler", async () => {
    const { gateway, problems, publisher, settled } = makeWorld()
    // @ts-expect-error: a zone's load is a number.
    publisher.publish(Zone, { zoneId: "z1", load: "high" })
    // @ts-expect-error: a zone has no such field. It passes, as any further field does.
    publisher.publish(ZoneReference, { zoneId: "z1", load: 1, laod: 2 })
    await settled()
    expect(gateway.events).toHaveLength(1)
    expect(problems).toEqual([
      { _tag: "Refused", event: Zone.eventType, message: expect.stringContaining("Expected number") }
    ])
  })

  it("publishes for one of its token's tenants", async () => {
    const urls: Array<string> = []
    const { publisher, settled } = makeWorld({
      tenant: "a:b@c",
      environment: {
        ...platform,
        fetch: (url) => {
          urls.push(url)
          return Promise.reject(new Error("away"))
        }
      }
    })
    publisher.publish("stratix:note", {})
    await settled()
    expect(urls[0]).toBe("http://gateway.test/api/stratix/events?tenant=a%3Ab%40c")
    await publisher.close(0)
  })
})
