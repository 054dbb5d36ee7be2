import { describe, expect, it } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, live, World } from "../support/World.js"

describe("silence", () => {
  it("of a sync gateway makes it stale half-way between interval and timeout, and lets it go at the timeout", () => {
    const world = new World()
    const { client, freshness } = live(world)
    const { socket } = world
    world.advance(44_999)
    expect(socket.sent).toEqual([])
    world.advance(1)
    expect(freshness.at(-1)).toEqual({ _tag: "stale", since: BEGIN })
    expect(socket.sent).toMatchObject([{ type: "ping" }])
    world.advance(14_999)
    expect(socket.closedWith).toBeUndefined()
    world.advance(1)
    expect(socket.closedWith).toBe(null)
    expect(client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN, attempt: 1 })
    expect(socket.sent.length).toBe(1)
  })

  it("that is broken makes it live again", () => {
    const world = new World()
    const it = live(world)
    world.advance(50_000)
    world.socket.heartbeat()
    expect(it.freshness.map(({ _tag }) => _tag)).toEqual(["catching-up", "live", "stale", "live"])
    world.advance(44_999)
    expect(it.tag).toBe("live")
    world.advance(1)
    expect(it.tag).toBe("stale")
  })

  it("is measured by what the welcome says", () => {
    const world = new World()
    const it = world.connect()
    world.socket.welcome(Types.SYNC_PROTOCOL, { intervalMs: 100, timeoutMs: 300 })
    world.socket.sync("snapshot", "o0", 0)
    world.advance(199)
    expect(it.tag).toBe("live")
    world.advance(1)
    expect(it.tag).toBe("stale")
    world.advance(100)
    expect(it.tag).toBe("reconnecting")
  })

  it("never comes with heartbeats, however long the tab is throttled", () => {
    const world = new World()
    const it = live(world)
    for (let minute = 0; minute < 60; minute++) {
      world.suspend(30_000)
      world.socket.heartbeat()
      world.suspend(30_000)
      world.socket.heartbeat()
      world.resume()
    }
    expect(it.freshness.map(({ _tag }) => _tag)).toEqual(["catching-up", "live"])
    expect(world.sockets.length).toBe(1)
    expect(world.socket.sent.length).toBe(120)
  })

  it("is noticed by who looks before any timer runs", () => {
    const world = new World()
    const it = live(world)
    world.sleep(45_000)
    expect(it.client.freshness).toEqual({ _tag: "stale", since: BEGIN })
    expect(it.freshness.length).toBe(2)
    world.advance(0)
    expect(it.freshness.at(-1)).toEqual({ _tag: "stale", since: BEGIN })
  })

  it("is noticed by a throttled timer at once", () => {
    const world = new World()
    const it = live(world)
    world.suspend(3_600_000)
    expect(it.tag).toBe("stale")
    world.resume()
    expect(it.tag).toBe("reconnecting")
    expect(it.freshness.map(({ _tag }) => _tag)).toEqual(["catching-up", "live", "reconnecting"])
  })

  it("that a suspension explains does not let frames from before it count", () => {
    const world = new World()
    const it = live(world)
    const { socket } = world
    world.suspend(60_000)
    socket.agent("a1", "busy", "o1")
    expect(it.tag).toBe("reconnecting")
    expect(it.agents).toEqual({})
    expect(socket.closedWith).toBe(null)
  })

  it("is not waited for on waking up: back at once after a long suspension", () => {
    const world = new World()
    const it = live(world)
    world.suspend(60_000)
    world.wake()
    expect(world.sockets.length).toBe(2)
    expect(it.tag).toBe("reconnecting")
  })

  it("after a wake-up ends the connection when the probe is not answered in time", () => {
    const world = new World()
    const it = live(world)
    const { socket } = world
    world.advance(5000)
    world.wake()
    world.wake()
    expect(socket.sent).toMatchObject([{ type: "ping" }])
    world.advance(9999)
    expect(it.tag).toBe("live")
    world.advance(1)
    expect(it.client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN, attempt: 1 })
    expect(socket.closedWith).toBe(null)
  })

  it("after a wake-up is over with the answer to the probe", () => {
    const world = new World()
    const it = live(world)
    world.wake()
    world.socket.heartbeat()
    world.advance(30_000)
    expect(it.tag).toBe("live")
    world.wake()
    expect(world.socket.sent.length).toBe(2)
  })

  it("is measured the same when the wall clock is set back", () => {
    const world = new World()
    const it = live(world)
    world.setClock(-3_600_000)
    world.advance(44_999)
    expect(it.tag).toBe("live")
    world.advance(1)
    expect(it.tag).toBe("stale")
  })
})
