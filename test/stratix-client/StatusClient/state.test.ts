import { describe, expect, it } from "vitest"
import type { EventReference, StatusClient } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { live, World } from "../support/World.js"

describe("what is shown", () => {
  it("is live after the sync and the events it announced, not before", () => {
    const world = new World()
    const it = world.connect()
    expect(it.tag).toBe("connecting")
    world.socket.welcome()
    expect(it.tag).toBe("catching-up")
    world.socket.sync("snapshot", "o2", 2)
    world.socket.agent("a1", "busy", "o1")
    expect(it.tag).toBe("catching-up")
    world.socket.agent("a2", "online", "o2")
    expect(it.tag).toBe("live")
    expect(it.freshness.slice(1)).toEqual([{ _tag: "live" }])
    expect(it.agents).toEqual({ a1: "busy", a2: "online" })
  })

  it("is not live while more chunks follow", () => {
    const world = new World()
    const it = world.connect()
    world.socket.welcome()
    world.socket.sync("snapshot", "o1", 1, true)
    world.socket.agent("a1", "busy", "o1")
    expect(it.tag).toBe("catching-up")
    world.socket.sync("conflated", "o2", 0, true)
    expect(it.tag).toBe("catching-up")
    world.socket.sync("conflated", "o3", 0)
    expect(it.tag).toBe("live")
  })

  it("stays the old state until a snapshot is complete, then is replaced at once", () => {
    const world = new World()
    const it = live(world)
    const seen: Array<Record<string, string>> = []
    world.socket.agent("gone", "busy", "o1")
    world.frame()
    const changed: Array<ReadonlySet<string>> = []
    it.client.onState((keys) => {
      seen.push(it.agents)
      changed.push(keys)
    })
    world.socket.sync("snapshot", "o5", 2, true)
    world.socket.agent("a1", "online", "o3")
    world.socket.agent("a2", "online", "o4")
    world.socket.sync("conflated", "o5", 1)
    world.frame()
    expect(it.agents).toEqual({ gone: "busy" })
    world.socket.agent("a3", "online", "o5")
    world.frame()
    expect(seen).toEqual([{ a1: "online", a2: "online", a3: "online" }])
    expect(changed.map((keys) => [...keys].sort())).toEqual([["agent:a1", "agent:a2", "agent:a3", "agent:gone"]])
  })

  it("keeps agents, agent infos and commands apart, each by its newest event", () => {
    const world = new World()
    const { client } = live(world)
    world.socket.message(Types.AGENT_CREATE, { agentId: "a1", name: "Ada", type: "coder" }, "o1")
    world.socket.agent("a1", "busy", "o2")
    const command = { commandId: "c1", agentId: "a1" }
    world.socket.message(Types.COMMAND_STATUS_UPDATE, { ...command, commandStatus: "running", progress: 10 }, "o3")
    world.socket.message(Types.COMMAND_STATUS_UPDATE, { ...command, commandStatus: "success", result: [1] }, "o4")
    world.socket.message("stratix:deploy", { agentId: "a1" }, "o5")
    expect(client.state.agentInfos.get("a1")?.payload.name).toBe("Ada")
    expect(client.state.agents.get("a1")?.payload.status).toBe("busy")
    expect(client.state.commands.get("c1")?.payload).toEqual({ ...command, commandStatus: "success", result: [1] })
    expect(client.state.agents.size + client.state.agentInfos.size + client.state.commands.size).toBe(3)
  })

  it("is a value: what was read never changes, and is the same until something does", () => {
    const world = new World()
    const { client } = live(world)
    world.socket.agent("a1", "busy", "o1")
    const before = client.state
    expect(client.state).toBe(before)
    world.socket.agent("a1", "online", "o2")
    const after = client.state
    expect(before.agents.get("a1")?.payload.status).toBe("busy")
    expect(after.agents.get("a1")?.payload.status).toBe("online")
    expect(after.commands).toBe(before.commands)
    world.socket.agent("a2", "online", "o3")
    expect(after.agents.size).toBe(1)
  })

  it("lets go of a command when the gateway does, and of no other", () => {
    const world = new World()
    const { client } = live(world)
    const tell = (eventType: string, commandId: string, more: object, offset: string) =>
      world.socket.message(eventType, { commandId, agentId: "a", ...more }, offset)
    tell(Types.COMMAND_STATUS_UPDATE, "c1", { commandStatus: "success" }, "c1")
    tell(Types.COMMAND_STATUS_UPDATE, "c2", { commandStatus: "failed" }, "c2")
    tell(Types.COMMAND_REMOVE, "c1", {}, "c3")
    expect([...client.state.commands.keys()]).toEqual(["c2"])
  })
})

describe("keys of a declared event type", () => {
  const Zone: EventReference<"stratix:zone_update", { readonly load: number }> = { eventType: "stratix:zone_update" }
  const zone = (world: World, key: string, load: number, offset: string) =>
    world.socket.message(Zone.eventType, { load }, offset, key)
  const loads = (client: StatusClient) =>
    Object.fromEntries([...client.state.of(Zone)].map(([key, { payload }]) => [key, payload.load]))

  it("are in the state by type, until they are removed; those of another type with the same name are others", () => {
    const world = new World()
    const { client } = live(world)
    const told: Array<string> = []
    client.onState((keys) => told.push(...keys))
    expect(client.state.of(Zone).size).toBe(0)
    expect(client.state.of(Zone)).toBe(client.state.of(Zone))
    zone(world, "z1", 1, "o1")
    zone(world, "z2", 2, "o2")
    world.socket.message("stratix:task", {}, "o3", "z1")
    const before = client.state
    zone(world, "z1", 3, "o4")
    expect(loads(client)).toEqual({ z1: 3, z2: 2 })
    expect(before.of(Zone).get("z1")?.payload.load).toBe(1)
    world.socket.message(Types.KEY_REMOVE, { eventType: Zone.eventType, key: "z1" }, "o5")
    expect(loads(client)).toEqual({ z2: 2 })
    expect(client.state.of({ eventType: "stratix:task" }).size).toBe(1)
    expect(client.state.agents.size).toBe(0)
    world.frame()
    expect(told).toEqual(["stratix:zone_update/z1", "stratix:zone_update/z2", "stratix:task/z1"])
  })

  it("that a snapshot does not have are gone, and told, its type's other keys or not", () => {
    const world = new World()
    const { client } = live(world)
    zone(world, "z1", 1, "o1")
    zone(world, "z2", 2, "o2")
    world.socket.message("stratix:task", {}, "o3", "t1")
    world.frame()
    const told: Array<string> = []
    client.onState((keys) => told.push(...keys))
    world.socket.sync("snapshot", "o4", 1)
    expect(loads(client)).toEqual({ z1: 1, z2: 2 })
    zone(world, "z2", 2, "o2")
    expect(loads(client)).toEqual({ z2: 2 })
    expect(client.state.of({ eventType: "stratix:task" }).size).toBe(0)
    world.frame()
    expect(told).toEqual(["stratix:zone_update/z1", "stratix:task/t1"])
  })
})

describe("iterating", () => {
  it("gives every event of the log and ends with the client, after what was not taken yet", async () => {
    const world = new World()
    const { client } = live(world)
    const seen: Array<string> = []
    const loop = (async () => {
      for await (const { offset } of client) seen.push(offset ?? "")
    })()
    world.socket.agent("a1", "busy", "o1")
    world.socket.agent("a1", "busy", "o2")
    client.close()
    await loop
    expect(seen).toEqual(["o1", "o2"])
    expect(await client.events().next()).toEqual({ done: true, value: undefined })
  })

  it("drops the oldest events above its capacity and counts them; the state misses nothing", async () => {
    const world = new World()
    const it = live(world)
    const events = it.client.events(2)
    for (let index = 1; index <= 5; index++) world.socket.agent(`a${index}`, "busy", `o${index}`)
    it.client.close()
    const seen: Array<string | undefined> = []
    for await (const { offset } of events) seen.push(offset)
    expect(seen).toEqual(["o4", "o5"])
    expect(events.dropped).toBe(3)
    expect(Object.keys(it.agents).length).toBe(5)
  })

  it("answers several calls of next in order, and stops for who breaks off", async () => {
    const world = new World()
    const { client } = live(world)
    const events = client.events()
    const both = [events.next(), events.next()]
    world.socket.agent("a1", "busy", "o1")
    world.socket.agent("a1", "busy", "o2")
    expect((await Promise.all(both)).map(({ value }) => value?.offset)).toEqual(["o1", "o2"])
    const last = events.next()
    await events.return?.()
    world.socket.agent("a1", "busy", "o3")
    expect(await last).toEqual({ done: true, value: undefined })
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })
})

describe("removals", () => {
  it("take an agent with its info, and a command, out of the state; what was not there changes nothing", () => {
    const world = new World()
    const { client } = live(world)
    const command = { commandId: "c1", agentId: "a1", commandStatus: "running" }
    world.socket.agent("a1", "busy", "o1")
    world.socket.agent("a2", "busy", "o2")
    world.socket.message(Types.AGENT_CREATE, { agentId: "a1", name: "Ada", type: "coder" }, "o3")
    world.socket.message(Types.COMMAND_STATUS_UPDATE, command, "o4")
    const before = client.state
    world.socket.message(Types.AGENT_REMOVE, { agentId: "a1" }, "o5")
    expect([client.state.agents.size, client.state.agentInfos.size, client.state.commands.size]).toEqual([1, 0, 1])
    world.socket.message(Types.COMMAND_REMOVE, { commandId: "c1", agentId: "a1" }, "o6")
    expect(client.state.commands.size).toBe(0)
    expect([before.agents.size, before.agentInfos.size, before.commands.size]).toEqual([2, 1, 1])
    const after = client.state
    world.socket.message(Types.AGENT_REMOVE, { agentId: "a1" }, "o7")
    expect(client.state).toBe(after)
  })

  it("events that come in one message are told of one by one", () => {
    const world = new World()
    const { client } = live(world)
    const seen: Array<string | undefined> = []
    client.onEvent(({ offset }) => seen.push(offset))
    const event = (status: string, offset: string) => ({
      eventType: Types.AGENT_STATUS_UPDATE,
      payload: { agentId: "a1", status },
      timestamp: 0,
      requestId: "r",
      offset
    })
    world.socket.message(Types.EVENTS, { events: [event("busy", "o1"), event("error", "o2")] })
    expect([seen, client.state.agents.get("a1")?.payload.status]).toEqual([["o1", "o2"], "error"])
  })

  it("the rest of a message is not told to a handler that has ended the connection", () => {
    const world = new World()
    const { client } = live(world)
    let seen = 0
    client.onEvent(() => {
      seen++
      client.close()
    })
    const event = (offset: string) => ({ eventType: "stratix:note", payload: {}, timestamp: 0, requestId: "r", offset })
    world.socket.message(Types.EVENTS, { events: [event("o1"), event("o2")] })
    expect(seen).toBe(1)
  })
})
