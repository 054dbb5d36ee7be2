import { describe, expect, it } from "vitest"
import { connect } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, live, settled, thrown, World } from "../support/World.js"

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
    for (const options of [{ transport: "websocket" }, { mode: "plain" }] as const)
      expect(() => connect("ws://x/", options)).toThrow("no WebSocket here")
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
    expect(client.freshness).toEqual({ _tag: "connecting", since: BEGIN, attempt: 1 })
    world.advance(500)
    expect(world.sockets.length).toBe(2)
    first.live()
    expect(freshness.map(({ _tag }) => _tag)).toEqual(["connecting"])
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
      expect(client.freshness).toEqual({ _tag: "connecting", since: BEGIN, attempt: 1 })
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
    expect(client.freshness).toMatchObject({ _tag: "connecting", attempt: 1 })
    give("late")
    await settled()
    expect(world.sockets.length).toBe(0)
  })
})
