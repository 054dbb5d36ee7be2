import { describe, expect, it } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, live, World } from "../support/World.js"

describe("a plain gateway", () => {
  it.each(["", Types.PLAIN_PROTOCOL])(
    "selected %j: live after the welcome, and whatever it knew is forgotten with the next one",
    (protocol) => {
      const world = new World()
      const it = world.connect()
      world.socket.welcome(protocol)
      expect(it.tag).toBe("live")
      world.socket.agent("a1", "busy")
      expect(it.agents).toEqual({ a1: "busy" })
      world.socket.end()
      world.advance(1000)
      expect(world.socket.query).toBe("snapshot=true")
      expect(it.agents).toEqual({ a1: "busy" })
      world.socket.welcome(protocol)
      expect(it.agents).toEqual({})
    }
  )

  it("that is asked with a filter too long for an address shows what comes for it, and nothing of before", () => {
    const world = new World()
    const it = world.connect({ filter: { agents: Array.from({ length: 1000 }, (_, i) => `agent-${i}`) } })
    world.socket.welcome(Types.PLAIN_PROTOCOL)
    world.socket.message(Types.SUBSCRIBED, {})
    world.socket.agent("agent-1", "busy")
    expect(it.agents).toEqual({ "agent-1": "busy" })
    world.socket.end()
    world.advance(1000)
    world.socket.welcome(Types.PLAIN_PROTOCOL)
    expect(it.agents).toEqual({})
  })

  it("is asked without subprotocols in plain mode, or with plain beside the token", () => {
    const world = new World()
    world.connect({ mode: "plain" })
    expect(world.socket.protocols).toEqual([])
    world.connect({ mode: "plain", token: "t" })
    expect(world.socket.protocols).toEqual([Types.PLAIN_PROTOCOL, "stratix.bearer.t"])
  })

  it("that answers pings is let go at the timeout like any other", () => {
    const world = new World()
    const it = world.connect({ mode: "plain" })
    world.socket.welcome("")
    world.advance(30_000)
    expect(world.socket.sent).toMatchObject([{ type: "ping" }])
    world.socket.heartbeat()
    world.advance(45_000)
    expect(it.tag).toBe("stale")
    world.advance(15_000)
    expect(it.tag).toBe("reconnecting")
  })

  it("that never answers is stale while it is silent, and not let go", () => {
    const world = new World()
    const it = world.connect({ mode: "plain" })
    world.socket.welcome("")
    world.advance(45_000)
    expect(it.freshness.at(-1)).toEqual({ _tag: "stale", since: BEGIN })
    world.advance(3_600_000)
    expect(it.tag).toBe("stale")
    expect(world.socket.sent).toMatchObject([{ type: "ping" }])
    world.socket.agent("a1", "busy")
    expect(it.tag).toBe("live")
    expect(world.sockets.length).toBe(1)
  })

  it("is connected to anew for another filter: it would send no snapshot for it", () => {
    const world = new World()
    const { client } = world.connect()
    world.socket.welcome("")
    client.subscribe({ agents: ["a1"] })
    expect(world.sockets.length).toBe(2)
    expect(world.socket.query).toBe("snapshot=true&agents=a1")
  })

  it("after a sync one: no place to resume from", () => {
    const world = new World()
    live(world)
    world.socket.agent("a1", "busy", "o1")
    world.socket.end()
    world.advance(1000)
    world.socket.welcome("")
    world.socket.end()
    world.advance(2000)
    expect(world.socket.query).toBe("snapshot=true")
  })
})
