import { describe, expect, expectTypeOf, it, vi } from "vitest"
import { connect, isOfType, type StatusEvent } from "../../src/stratix-client/StatusClient.js"
import * as Types from "../../src/stratix-core/event-types.js"
import { BEGIN, World } from "./support/World.js"

/** A client that is live. */
const live = (world = new World(), options: Parameters<World["connect"]>[0] = {}) => {
  const it = world.connect(options)
  world.socket.live()
  return it
}

/** Lets promises that are ready go on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("connecting", () => {
  it("offers the sync protocol first, plain beside it, and asks for a snapshot from a plain gateway", () => {
    const world = new World()
    world.connect()
    expect(world.socket.protocols).toEqual([Types.SYNC_PROTOCOL, Types.PLAIN_PROTOCOL])
    expect(world.socket.url).toBe("ws://gateway.test:3001/?snapshot=true")
  })

  it("takes a page's http address and keeps its parameters", () => {
    const world = new World()
    connect("https://gateway.test/stratix?room=1#top", { WebSocket: world.WebSocket, environment: world.environment })
    expect(world.socket.url).toBe("wss://gateway.test/stratix?room=1&snapshot=true")
  })

  it("writes the filter with every value encoded by itself", () => {
    const world = new World()
    world.connect({ filter: { events: ["agent_status_update", "stratix:x"], agents: ["a,b", "c d&e=ü"] } })
    expect(world.socket.query).toBe(
      "snapshot=true&events=agent_status_update,stratix%3Ax&agents=a%2Cb,c%20d%26e%3D%C3%BC"
    )
  })

  it("writes a filter with an empty list as one that lets nothing through", () => {
    const world = new World()
    world.connect({ filter: { agents: [] } })
    expect(world.socket.query).toBe("snapshot=true&events=%20")
  })

  it("sends a filter too long for a URL as a message, and does not show the nothing it asked for meanwhile", () => {
    const world = new World()
    const { client } = live(world)
    world.socket.agent("a1", "busy", "o1")
    const agents = Array.from({ length: 500 }, (_, index) => `agent-with-a-long-name-${index}`)
    client.subscribe({ agents })
    world.socket.end()
    world.advance(1000)
    expect(world.socket.query).toBe("snapshot=true&events=%20")
    world.socket.live("o1")
    expect(world.socket.sent).toEqual([{ type: "subscribe", agents }])
    expect(client.freshness._tag).toBe("catching-up")
    expect(client.state.agents.size).toBe(1)
    world.socket.message(Types.SUBSCRIBED, { agents })
    world.socket.sync("snapshot", "o2", 0)
    expect(client.freshness._tag).toBe("live")
    expect(client.state.agents.size).toBe(0)
  })

  it("throws at once for an address that is none and a filter that cannot be encoded", () => {
    const { WebSocket, environment } = new World()
    expect(() => connect("no address", { WebSocket, environment })).toThrow(TypeError)
    expect(() => connect("ws://x/", { WebSocket, environment, filter: { agents: ["\ud800"] } })).toThrow(URIError)
  })

  it("throws at once where there is no WebSocket", () => {
    const saved = Object.getOwnPropertyDescriptor(globalThis, "WebSocket")
    Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true })
    expect(() => connect("ws://x/")).toThrow("there is no WebSocket here")
    if (saved) Object.defineProperty(globalThis, "WebSocket", saved)
    else Reflect.deleteProperty(globalThis, "WebSocket")
  })

  it("is closed as failed when the platform refuses the token or the address", () => {
    const world = new World()
    class Refusing extends world.WebSocket {
      constructor(url: string, protocols: Array<string>) {
        super(url, protocols)
        throw new SyntaxError("bad subprotocol")
      }
    }
    const { client, errors } = world.connect({ WebSocket: Refusing, token: "a/b=" })
    expect(client.freshness).toEqual({ _tag: "closed", reason: "failed", detail: "SyntaxError: bad subprotocol" })
    expect(errors.map(({ reason }) => reason)).toEqual(["SocketFailed"])
    expect(world.timers.size).toBe(0)
    expect(world.wakers.size).toBe(0)
  })

  it("gives up a connection that has no welcome within the connect timeout, and tries again", () => {
    const world = new World()
    const { client, freshness } = world.connect()
    const first = world.socket
    world.advance(9999)
    expect(first.closedWith).toBeUndefined()
    world.advance(1)
    expect(first.closedWith).toBe(null)
    expect(client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN, attempt: 1 })
    world.advance(500)
    expect(world.sockets.length).toBe(2)
    first.live()
    expect(freshness.map(({ _tag }) => _tag)).toEqual(["reconnecting"])
  })
})

describe("what is shown", () => {
  it("is live after the sync and the events it announced, not before", () => {
    const world = new World()
    const it = world.connect()
    expect(it.tag).toBe("catching-up")
    world.socket.welcome()
    expect(it.tag).toBe("catching-up")
    world.socket.sync("snapshot", "o2", 2)
    world.socket.agent("a1", "busy", "o1")
    expect(it.tag).toBe("catching-up")
    world.socket.agent("a2", "online", "o2")
    expect(it.tag).toBe("live")
    expect(it.freshness).toEqual([{ _tag: "live" }])
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
    it.client.onState(() => seen.push(it.agents))
    world.socket.sync("snapshot", "o5", 2, true)
    world.socket.agent("a1", "online", "o3")
    world.socket.agent("a2", "online", "o4")
    world.socket.sync("conflated", "o5", 1)
    expect(it.agents).toEqual({ gone: "busy" })
    world.socket.agent("a3", "online", "o5")
    expect(seen).toEqual([{ a1: "online", a2: "online", a3: "online" }])
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

  it("holds a bounded number of finished commands: the one that finished first leaves", () => {
    const world = new World()
    const { client } = live(world, { maxFinishedCommands: 2 })
    const command = (commandId: string, commandStatus: string) =>
      world.socket.message(Types.COMMAND_STATUS_UPDATE, { commandId, agentId: "a", commandStatus }, commandId)
    command("c1", "success")
    command("c2", "failed")
    command("c1", "running")
    command("c3", "success")
    expect([...client.state.commands.keys()].sort()).toEqual(["c1", "c2", "c3"])
    command("c1", "success")
    expect([...client.state.commands.keys()].sort()).toEqual(["c1", "c3"])
  })
})

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
    expect(freshness).toEqual([
      { _tag: "live" },
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

  it("waits with the pause it has when the clock is set back", () => {
    const world = new World()
    world.connect()
    world.suspend(-3_600_000)
    world.advance(10_000)
    expect(world.socket.closedWith).toBeUndefined()
    const timer = [...world.timers][0]
    world.timers.clear()
    timer?.task()
    expect(world.socket.closedWith).toBe(null)
  })
})

describe("tokens", () => {
  it("travel as a subprotocol", () => {
    const world = new World()
    world.connect({ token: "t.0-k" })
    expect(world.socket.protocols).toEqual([Types.SYNC_PROTOCOL, Types.PLAIN_PROTOCOL, "stratix.bearer.t.0-k"])
  })

  it("are asked for before every attempt, and told when the last one was refused", async () => {
    const world = new World()
    const asked: Array<boolean> = []
    world.connect({
      token: (refused) => {
        asked.push(refused)
        return Promise.resolve(`t${asked.length}`)
      }
    })
    await settled()
    expect(world.socket.protocols).toContain("stratix.bearer.t1")
    world.socket.live()
    world.socket.end(4401, "expired")
    world.advance(1000)
    await settled()
    expect(world.socket.protocols).toContain("stratix.bearer.t2")
    world.socket.live()
    world.advance(61_000)
    await settled()
    expect(asked).toEqual([false, true, false])
  })

  it("that cannot be had are asked for again after a pause", async () => {
    for (const token of [() => Promise.reject(new Error("offline")), () => thrown(new Error("offline"))]) {
      const world = new World()
      const { client, errors } = world.connect({ token })
      await settled()
      expect(errors.map(({ message }) => message)).toEqual(["TokenFailed: offline"])
      expect(client.freshness).toEqual({ _tag: "reconnecting", since: BEGIN, attempt: 1 })
      expect(world.nextTimer).toBe(500)
      expect(world.sockets.length).toBe(0)
    }
  })

  it("that come too late are not used", async () => {
    const world = new World()
    let give: (token: string) => void = () => undefined
    const { client } = world.connect({
      token: () =>
        new Promise((resolve) => {
          give = resolve
        })
    })
    await settled()
    world.advance(10_000)
    expect(client.freshness).toMatchObject({ attempt: 1 })
    give("late")
    await settled()
    expect(world.sockets.length).toBe(0)
  })
})

const thrown = (error: Error): never => {
  throw error
}

describe("silence", () => {
  it("of a sync gateway makes it stale half-way between interval and timeout, and lets it go at the timeout", () => {
    const world = new World()
    const { client, freshness } = live(world)
    const { socket } = world
    world.advance(44_999)
    expect(socket.sent).toEqual([])
    world.advance(1)
    expect(freshness.at(-1)).toEqual({ _tag: "stale", since: BEGIN })
    expect(socket.sent).toEqual([{ type: "ping" }])
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
    expect(it.freshness.map(({ _tag }) => _tag)).toEqual(["live", "stale", "live"])
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
    expect(it.freshness).toEqual([{ _tag: "live" }])
    expect(world.sockets.length).toBe(1)
    expect(world.socket.sent).toEqual([])
  })

  it("is noticed by who looks before any timer runs", () => {
    const world = new World()
    const it = live(world)
    world.sleep(45_000)
    expect(it.client.freshness).toEqual({ _tag: "stale", since: BEGIN })
    expect(it.freshness.length).toBe(1)
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
    expect(it.freshness.map(({ _tag }) => _tag)).toEqual(["live", "reconnecting"])
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
    expect(socket.sent).toEqual([{ type: "ping" }])
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

  it("does not begin anew for ever when the clock is set back", () => {
    const world = new World()
    const it = live(world)
    world.time -= 3_600_000
    const [timer] = world.timers
    world.timers.clear()
    timer?.task()
    world.advance(45_000)
    expect(it.tag).toBe("stale")
  })
})

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
    expect(world.socket.sent).toEqual([{ type: "ping" }])
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
    expect(world.socket.sent).toEqual([{ type: "ping" }])
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

describe("handlers", () => {
  it("get the payload and the message of their type, after the state knows of it", () => {
    const world = new World()
    const { client } = live(world)
    const seen: Array<unknown> = []
    client.on("stratix:agent_status_update", ({ agentId, status }, { offset }) =>
      seen.push([agentId, status, offset, client.state.agents.get(agentId)?.payload.status])
    )
    client.on("stratix:sync", ({ mode }) => seen.push(mode))
    client.on("stratix:deploy", (payload) => seen.push(Object.values(payload)))
    world.socket.agent("a1", "busy", "o1")
    world.socket.sync("conflated", "o1", 0)
    world.socket.message("stratix:deploy", { version: 3 }, "o2")
    expect(seen).toEqual([["a1", "busy", "o1", "busy"], "conflated", [3]])
  })

  it("are typed by the protocol", () => {
    const { client } = live()
    client.on("stratix:agent_status_update", ({ status }, message) => {
      expectTypeOf(status).toEqualTypeOf<"online" | "offline" | "busy" | "error">()
      expectTypeOf(message.eventType).toEqualTypeOf<"stratix:agent_status_update">()
    })
    client.on("stratix:sync", ({ mode }) => expectTypeOf(mode).toEqualTypeOf<"snapshot" | "resume" | "conflated">())
    client.on("stratix:deploy", (payload) => expectTypeOf(payload).toEqualTypeOf<Readonly<Record<string, unknown>>>())
    client.onEvent((event) => {
      if (isOfType(event, "stratix:command_status_update"))
        expectTypeOf(event.payload.commandId).toEqualTypeOf<string>()
    })
  })

  it("of all events get events of the log only", () => {
    const world = new World()
    const { client } = live(world)
    const seen: Array<string> = []
    client.onEvent(({ eventType }) => seen.push(eventType))
    world.socket.agent("a1", "busy", "o1")
    world.socket.heartbeat()
    world.socket.message("stratix:deploy", {}, "o2")
    expect(seen).toEqual(["stratix:agent_status_update", "stratix:deploy"])
  })

  it("that are added twice are called twice, and not after they were removed", () => {
    const world = new World()
    const { client } = live(world)
    let calls = 0
    const handler = () => calls++
    const remove = client.onState(handler)
    client.onState(handler)
    world.socket.agent("a1", "busy", "o1")
    expect(calls).toBe(2)
    remove()
    remove()
    world.socket.agent("a1", "online", "o2")
    expect(calls).toBe(3)
  })

  it("that throw or reject are reported and stop nothing", async () => {
    const world = new World()
    const { client, errors } = live(world)
    const seen: Array<string> = []
    client.onEvent(() => thrown(new Error("one")))
    client.onEvent(() => Promise.reject(new Error("two")))
    client.onEvent(({ eventType }) => seen.push(eventType))
    client.onState(() => thrown(new Error("three")))
    client.onState(() => seen.push("state"))
    client.onFreshness(() => thrown(new Error("four")))
    world.socket.agent("a1", "busy", "o1")
    world.socket.end()
    await settled()
    expect(seen).toEqual(["stratix:agent_status_update", "state"])
    expect(errors.map(({ message }) => message).sort()).toEqual(
      ["one", "three", "four", "two"].map((text) => `HandlerFailed: ${text}`).sort()
    )
  })

  it("of errors may throw too", () => {
    const world = new World()
    const it = live(world, { onError: () => thrown(new Error("worse")) })
    world.socket.frame("{")
    expect(it.tag).toBe("live")
  })

  it("of freshness may change it: everybody hears the newest last", () => {
    const world = new World()
    const { client } = world.connect()
    const seen: Array<string> = []
    client.onFreshness(({ _tag }) => {
      if (_tag === "live" && seen.length === 0) client.subscribe({ agents: ["a1"] })
    })
    client.onFreshness(({ _tag }) => seen.push(_tag))
    world.socket.live()
    expect(seen).toEqual(["live", "catching-up"])
  })

  it("may close the client: nothing comes after", () => {
    const world = new World()
    const it = live(world)
    const seen: Array<unknown> = []
    it.client.on("stratix:agent_status_update", () => it.client.close())
    it.client.onFreshness((freshness) => seen.push(freshness))
    world.socket.agent("a1", "busy", "o1")
    world.socket.agent("a1", "online", "o2")
    expect(seen).toEqual([{ _tag: "closed", reason: "asked", detail: "" }])
    expect(it.agents).toEqual({ a1: "busy" })
  })

  it("without onError are reported to the platform, and nothing ends", () => {
    const world = new World()
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined)
    const client = connect("ws://x/", { WebSocket: world.WebSocket, environment: world.environment })
    world.socket.live()
    client.onEvent(() => thrown(new Error("oops")))
    world.socket.agent("a1", "busy", "o1")
    expect(warned.mock.calls.map(([warning]) => String(warning))).toEqual(["StatusClientError: HandlerFailed: oops"])
    expect(client.freshness._tag).toBe("live")
    warned.mockRestore()
  })
})

describe("frames that are none", () => {
  it.each([
    ["no JSON", "{"],
    ["binary", new ArrayBuffer(2)],
    ["null", "null"],
    ["an array", "[]"],
    ["no payload", '{"eventType":"stratix:sync","timestamp":0,"requestId":"r"}'],
    ["a payload that is a list", '{"eventType":"x","payload":[],"timestamp":0,"requestId":"r"}'],
    [
      "a sync without its place",
      '{"eventType":"stratix:sync","payload":{"mode":"snapshot","count":0},"timestamp":0,"requestId":"r"}'
    ],
    ["an offset that is a number", '{"eventType":"stratix:x","payload":{},"timestamp":0,"requestId":"r","offset":1}'],
    ["a type of every object", '{"eventType":"constructor","payload":{"agentId":1},"timestamp":0,"requestId":1}']
  ])("%s: left out and reported", (_, data) => {
    const world = new World()
    const it = live(world)
    world.socket.agent("a1", "busy", "o1")
    world.socket.frame(data)
    expect(it.errors.map(({ reason }) => reason)).toEqual(["MalformedFrame"])
    expect(it.tag).toBe("live")
    expect(it.agents).toEqual({ a1: "busy" })
  })

  it("an event without its key is reported, and still counts as one of its chunk", () => {
    const world = new World()
    const it = world.connect()
    const seen: Array<StatusEvent> = []
    it.client.onEvent((event) => seen.push(event))
    world.socket.welcome()
    world.socket.sync("snapshot", "o2", 2)
    world.socket.message(Types.AGENT_STATUS_UPDATE, { status: "busy" }, "o1")
    world.socket.agent("a2", "busy", "o2")
    expect(it.tag).toBe("live")
    expect(it.agents).toEqual({ a2: "busy" })
    expect(it.errors.length).toBe(1)
    expect(seen.length).toBe(1)
  })

  it("a message of the gateway that this client does not know is no event", () => {
    const world = new World()
    const it = world.connect()
    world.socket.welcome()
    world.socket.sync("snapshot", "o1", 1)
    world.socket.message("stratix:new_control", {})
    expect(it.tag).toBe("catching-up")
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

describe("closing", () => {
  it("closes the socket with 1000 and leaves no timer and no listener", () => {
    const world = new World()
    const it = live(world)
    it.client.close()
    it.client.close()
    expect(world.socket.closedWith).toBe(1000)
    expect(world.timers.size + world.wakers.size).toBe(0)
    expect(it.freshness).toEqual([{ _tag: "live" }, { _tag: "closed", reason: "asked", detail: "" }])
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
