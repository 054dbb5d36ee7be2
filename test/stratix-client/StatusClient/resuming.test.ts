import { describe, expect, it } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { live, World } from "../support/World.js"

describe("resuming", () => {
  const since = (world: World) => /since=(.*)$/.exec(world.socket.query)?.[1]
  const reconnected = (world: World) => {
    world.socket.end()
    world.advance(40_000)
    return since(world)
  }

  it("asks for what comes after the last live event", () => {
    const world = new World()
    live(world)
    world.socket.agent("a1", "busy", "1,2 3")
    expect(reconnected(world)).toBe("1%2C2%203")
  })

  it("asks for what comes after the snapshot if nothing came since", () => {
    const world = new World()
    live(world)
    expect(reconnected(world)).toBe("o0")
  })

  it("asks for what comes after the last event it got of a chunk", () => {
    const world = new World()
    world.connect()
    world.socket.welcome()
    world.socket.sync("snapshot", "o9", 3)
    world.socket.agent("a1", "busy", "o4")
    world.socket.agent("a2", "busy", "o5")
    expect(reconnected(world)).toBe("o5")
  })

  it("asks for what comes after a complete chunk that another one follows", () => {
    const world = new World()
    world.connect()
    world.socket.welcome()
    world.socket.sync("snapshot", "o9", 1, true)
    world.socket.agent("a1", "busy", "o4")
    expect(reconnected(world)).toBe("o9")
  })

  it("moves on with a resume of nothing", () => {
    const world = new World()
    live(world)
    expect(reconnected(world)).toBe("o0")
    world.socket.welcome()
    world.socket.sync("resume", "o7", 0)
    expect(reconnected(world)).toBe("o7")
  })

  it("asks for a snapshot again if nothing of one had come", () => {
    const world = new World()
    live(world)
    world.socket.sync("snapshot", "o9", 3)
    expect(reconnected(world)).toBeUndefined()
  })

  it("is not live again before the sync that follows the welcome", () => {
    const world = new World()
    const it = live(world)
    reconnected(world)
    world.socket.welcome()
    expect(it.tag).toBe("catching-up")
    world.socket.sync("resume", "o0", 0)
    expect(it.tag).toBe("live")
  })

  it("keeps its place if the connection ends before the sync", () => {
    const world = new World()
    live(world)
    world.socket.agent("a1", "busy", "o1")
    expect(reconnected(world)).toBe("o1")
    world.socket.welcome()
    expect(reconnected(world)).toBe("o1")
  })

  it("goes on with a snapshot that was interrupted: what it had stays, and is shown when the rest is there", () => {
    const world = new World()
    const it = live(world)
    world.socket.agent("gone", "busy", "o1")
    world.socket.sync("snapshot", "o9", 2)
    world.socket.agent("a1", "online", "o4")
    expect(reconnected(world)).toBe("o4")
    expect(it.agents).toEqual({ gone: "busy" })
    world.socket.welcome()
    world.socket.sync("resume", "o9", 1)
    expect(it.agents).toEqual({ gone: "busy" })
    world.socket.agent("a2", "online", "o9")
    expect(it.agents).toEqual({ a1: "online", a2: "online" })
    expect(it.tag).toBe("live")
  })

  it("forgets what it knew when the gateway answers with a snapshot", () => {
    const world = new World()
    const it = live(world)
    world.socket.agent("gone", "busy", "o1")
    reconnected(world)
    world.socket.live("other-1")
    expect(it.agents).toEqual({})
    expect(reconnected(world)).toBe("other-1")
  })

  it("takes the same event twice without harm", () => {
    const world = new World()
    const it = live(world)
    world.socket.agent("a1", "busy", "o1")
    world.socket.agent("a1", "busy", "o1")
    expect(it.agents).toEqual({ a1: "busy" })
    expect(it.tag).toBe("live")
  })
})

describe("subscribing", () => {
  it("sends the filter, is catching up until its snapshot is complete, and keeps it for reconnects", () => {
    const world = new World()
    const it = live(world)
    world.socket.agent("a1", "busy", "o1")
    it.client.subscribe({ agents: ["a2"] })
    expect(world.socket.sent).toEqual([{ type: "subscribe", agents: ["a2"] }])
    expect(it.tag).toBe("catching-up")
    world.socket.message(Types.SUBSCRIBED, { agents: ["a2"] })
    expect(it.agents).toEqual({ a1: "busy" })
    world.socket.sync("snapshot", "o2", 1)
    world.socket.agent("a2", "online", "o2")
    expect(it.agents).toEqual({ a2: "online" })
    expect(it.tag).toBe("live")
    world.socket.end()
    world.advance(1000)
    expect(world.socket.query).toBe("snapshot=true&agents=a2&since=o2")
  })

  it("does not resume with a place that belongs to another filter", () => {
    for (const answered of [false, true]) {
      const world = new World()
      const { client } = live(world)
      world.socket.agent("a1", "busy", "o1")
      client.subscribe({ agents: ["a2"] })
      if (answered) world.socket.message(Types.SUBSCRIBED, { agents: ["a2"] })
      // Still of the old filter: it was on its way.
      world.socket.agent("a1", "online", "o2")
      world.socket.end()
      world.advance(1000)
      expect(world.socket.query).toBe("snapshot=true&agents=a2")
    }
  })

  it("asks for the newest of several filters", () => {
    const world = new World()
    const it = live(world)
    it.client.subscribe({ agents: ["a1"] })
    it.client.subscribe({ agents: ["a2"] })
    world.socket.message(Types.SUBSCRIBED, { agents: ["a1"] })
    world.socket.sync("snapshot", "o1", 0)
    expect(it.tag).toBe("catching-up")
    world.socket.end()
    world.advance(1000)
    expect(world.socket.query).toBe("snapshot=true&agents=a2")
  })

  it("asks with the new filter when it was away meanwhile", () => {
    const world = new World()
    const { client } = live(world)
    world.socket.end()
    client.subscribe({ agents: ["a1"] })
    client.subscribe({ agents: ["a2"] })
    world.advance(1000)
    expect(world.socket.query).toBe("snapshot=true&agents=a2")
  })

  it("connects anew with the new filter when there was no welcome yet", () => {
    const world = new World()
    const { client } = world.connect()
    const first = world.socket
    client.subscribe({ agents: ["a1"] })
    expect(first.closedWith).toBe(1000)
    expect(world.socket.query).toBe("snapshot=true&agents=a1")
  })

  it("stays with the old filter and its place if the gateway refuses the new one", () => {
    const world = new World()
    const it = live(world)
    world.socket.agent("a1", "busy", "o1")
    it.client.subscribe({ agents: ["a2"] })
    world.socket.message(Types.ERROR, { reason: "filter too large", detail: "1 value too many" })
    expect(it.tag).toBe("live")
    expect(it.errors.map(({ message }) => message)).toEqual(["ServerError: filter too large: 1 value too many"])
    world.socket.end()
    world.advance(1000)
    expect(world.socket.query).toBe("snapshot=true&since=o1")
  })

  it("throws for a filter that cannot be encoded, and changes nothing", () => {
    const world = new World()
    const it = live(world)
    expect(() => it.client.subscribe({ agents: ["\udfff"] })).toThrow(URIError)
    expect(it.tag).toBe("live")
  })
})
