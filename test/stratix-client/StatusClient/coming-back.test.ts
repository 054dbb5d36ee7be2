import { describe, expect, it } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, live, settled, World } from "../support/World.js"

describe("coming back", () => {
  it("waits a random part of a time that doubles up to the cap", () => {
    for (const part of [0, 0.5, 0.999]) {
      const world = new World()
      world.connect()
      for (const ceiling of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
        world.chance.push(part)
        const before = world.sockets.length
        world.socket.end()
        expect(world.nextTimer).toBe(ceiling * part)
        world.advance(Math.max(0, ceiling * part - 1))
        if (part > 0) expect(world.sockets.length).toBe(before)
        world.advance(1)
        expect(world.sockets.length).toBe(before + 1)
      }
    }
  })

  it("counts attempts and says since when it is not true any more", () => {
    const world = new World()
    const { freshness } = live(world)
    world.advance(7000)
    world.socket.heartbeat()
    world.advance(100)
    world.socket.end()
    world.advance(500)
    world.socket.end()
    expect(freshness.slice(1)).toEqual([
      { _tag: "live", empty: true },
      { _tag: "reconnecting", since: BEGIN + 7000, attempt: 1 },
      { _tag: "reconnecting", since: BEGIN + 7000, attempt: 2 }
    ])
  })

  it("was not true again when it was cut off while catching up", () => {
    const world = new World()
    const { client } = live(world)
    world.socket.end()
    world.advance(500)
    world.socket.welcome()
    world.socket.sync("resume", "o9", 2)
    world.socket.agent("a1", "busy", "o8")
    world.socket.end(1012)
    expect(client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN, attempt: 2 })
  })

  it("takes a close frame for a sign of life", () => {
    const world = new World()
    const { client } = live(world)
    world.advance(7000)
    world.socket.end(1012)
    expect(client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN + 7000, attempt: 1 })
  })

  it("begins with short pauses again only after a connection that lasted", () => {
    const world = new World()
    world.connect()
    world.socket.end()
    world.advance(500)
    world.socket.live()
    world.advance(4999)
    world.socket.end()
    expect(world.nextTimer).toBe(1000)
    world.advance(1000)
    world.socket.live()
    world.advance(5000)
    world.socket.end()
    expect(world.nextTimer).toBe(500)
  })

  it("stays away for as long as the gateway asked, even if the page becomes visible", () => {
    const world = new World()
    live(world)
    world.socket.message(Types.CLOSING, { reason: "drain", retryAfterMs: 3000 })
    world.socket.end(1001)
    expect(world.nextTimer).toBe(3500)
    world.advance(1000)
    world.wake()
    expect(world.sockets.length).toBe(1)
    expect(world.nextTimer).toBe(2000)
    world.advance(2000)
    expect(world.sockets.length).toBe(2)
    world.socket.end()
    expect(world.nextTimer).toBe(1000)
  })

  it.each([1001, 1005, 1006, 1011, 1012, 1013, 4999])("comes back after %i", (code) => {
    const world = new World()
    const it = live(world)
    world.socket.end(code)
    expect(it.tag).toBe("reconnecting")
    world.advance(1000)
    expect(world.sockets.length).toBe(2)
  })

  it.each([
    [1000, "ended"],
    [1003, "rejected"],
    [1007, "rejected"],
    [1008, "rejected"],
    [1009, "rejected"],
    [4403, "forbidden"],
    [4401, "unauthorized"]
  ])("stays away after %i", (code, reason) => {
    const world = new World()
    const { client } = live(world)
    world.socket.end(code, "why")
    expect(client.freshness).toEqual({ _tag: "closed", reason, code, detail: "why" })
    expect(world.timers.size + world.wakers.size).toBe(0)
  })

  it("tries at once when the network or the page is back", () => {
    const world = new World()
    world.connect()
    world.chance.push(0.9)
    world.socket.end()
    world.wake()
    expect(world.sockets.length).toBe(2)
    world.wake()
    expect(world.sockets.length).toBe(2)
    world.chance.push(0.9)
    world.socket.end()
    expect(world.nextTimer).toBe(1800)
  })

  it("does not wait for an attempt that a suspension has outlived", () => {
    const world = new World()
    world.connect()
    world.suspend(60_000)
    world.wake()
    expect(world.sockets.length).toBe(2)
  })

  it.each([-3_600_000, 3_600_000])("waits as long as before when the wall clock is set by %i ms", (millis) => {
    const world = new World()
    world.connect()
    world.setClock(millis)
    world.advance(9999)
    expect(world.socket.closedWith).toBeUndefined()
    world.advance(1)
    expect(world.socket.closedWith).toBe(null)
  })
})

describe("closing", () => {
  it("closes the socket with 1000 and leaves no timer and no listener", () => {
    const world = new World()
    const it = live(world)
    it.client.close()
    it.client.close()
    expect(world.socket.closedWith).toBe(1000)
    expect(world.timers.size + world.wakers.size).toBe(0)
    expect(it.freshness.slice(1)).toEqual([
      { _tag: "live", empty: true },
      { _tag: "closed", reason: "asked", detail: "" }
    ])
    it.client.subscribe({})
    world.socket.end()
    expect(world.sockets.length).toBe(1)
  })

  it("works at any moment: while connecting, while waiting, while asking for a token", async () => {
    const connecting = new World()
    connecting.connect().client.close()
    expect(connecting.socket.closedWith).toBe(1000)
    const waiting = new World()
    const { client } = waiting.connect()
    waiting.socket.end()
    client.close()
    const asking = new World()
    asking.connect({ token: () => Promise.resolve("t") }).client.close()
    await settled()
    expect(asking.sockets.length).toBe(0)
    for (const { timers, wakers } of [connecting, waiting, asking]) expect(timers.size + wakers.size).toBe(0)
  })
})
