/** The event stream in place of a WebSocket: when it is taken, what it carries, and when WebSockets are tried again. */
import { assert, describe, it } from "vitest"
import { connect } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, FakeStream, type Observed, settled, World } from "../support/World.js"

const challenge = { "www-authenticate": 'Bearer realm="stratix"' }

/** A gateway that promises a word every 4 s. */
const HEARTBEAT = { intervalMs: 30_000, timeoutMs: 60_000, keepAliveMs: 4000 }

/** A client whose WebSocket was refused, live over the stream. */
const fallenBack = async (world = new World()): Promise<Observed> => {
  const observed = world.connect({ transport: "auto" })
  world.socket.end()
  world.stream.sentAt = 5000
  world.stream.welcome(Types.SYNC_PROTOCOL, HEARTBEAT)
  world.stream.sync("snapshot", "o0", 0)
  await settled()
  assert.strictEqual(observed.tag, "live")
  return observed
}

/** A word of the gateway, `millis` after it was sent. The stream's gateway is at 5,000 when the client begins. */
const heartbeat = async (world: World, at: number, more: object = {}) => {
  world.stream.sentAt = at
  world.stream.message(Types.HEARTBEAT, { head: "head", ...more })
  await settled()
}

describe("falling back", () => {
  it("a WebSocket that ends before its welcome is followed by the event stream at once", async () => {
    const world = new World()
    const observed = world.connect({ transport: "auto", filter: { agents: ["a,1"] } })
    assert.strictEqual(observed.client.transport, "websocket")
    world.socket.end()
    assert.strictEqual(world.stream.url, "http://gateway.test:3001/api/stratix/stream?snapshot=true&agents=a%2C1")
    assert.strictEqual(observed.client.transport, "event-stream")
    world.stream.live()
    await settled()
    assert.strictEqual(observed.tag, "live")
    assert.deepStrictEqual(observed.errors, [])
  })

  it("so is one that says nothing until the time to connect is over", () => {
    const world = new World()
    world.connect({ transport: "auto" })
    world.advance(10_000)
    assert.instanceOf(world.socket, FakeStream)
  })

  it("a gateway that is down takes neither: after the pause a WebSocket is tried first", async () => {
    const world = new World()
    const observed = world.connect({ transport: "auto" })
    for (let attempt = 1; attempt <= 3; attempt++) {
      world.socket.end()
      world.stream.end()
      await settled()
      assert.deepStrictEqual(observed.client.freshness, { _tag: "connecting", since: BEGIN, attempt })
      assert.strictEqual(world.sockets.length, 2 * attempt)
      world.advance(world.nextTimer ?? 0)
      assert.notInstanceOf(world.socket, FakeStream)
    }
    world.socket.live()
    assert.deepStrictEqual([observed.tag, observed.client.transport], ["live", "websocket"])
  })

  it("a WebSocket that was welcomed is followed by another one", () => {
    const world = new World()
    world.connect({ transport: "auto" })
    world.socket.live()
    world.socket.end()
    world.advance(1000)
    assert.strictEqual(world.sockets.length, 2)
    assert.notInstanceOf(world.socket, FakeStream)
  })

  it("can be forbidden, and forced", async () => {
    const forbidden = new World()
    forbidden.connect({ transport: "websocket" })
    forbidden.socket.end()
    assert.strictEqual(forbidden.sockets.length, 1)

    const forced = new World()
    const observed = forced.connect({ transport: "event-stream" })
    forced.stream.live()
    await settled()
    forced.advance(600_000)
    assert.isTrue(forced.sockets.every((socket) => socket instanceof FakeStream))
    assert.strictEqual(observed.client.transport, "event-stream")
  })

  it("takes the stream where the platform has no WebSocket", () => {
    const world = new World()
    const saved = Object.getOwnPropertyDescriptor(globalThis, "WebSocket")
    Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true })
    const client = connect("ws://gateway.test:3001/", { environment: world.environment, fetch: world.fetch })
    if (saved) Object.defineProperty(globalThis, "WebSocket", saved)
    else Reflect.deleteProperty(globalThis, "WebSocket")
    assert.instanceOf(world.socket, FakeStream)
    client.close()
  })

  it("asks at another address where it is told one, with the query of the WebSocket's", () => {
    const world = new World()
    world.connect({ transport: "event-stream", streamUrl: "https://gateway.test/prefix/stream?key=1" })
    assert.strictEqual(world.stream.url, "https://gateway.test/prefix/stream?key=1&snapshot=true")
  })
})

describe("over the event stream", () => {
  it("events are folded, however the bytes are cut", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    const event = JSON.stringify({
      eventType: Types.AGENT_STATUS_UPDATE,
      payload: { agentId: "世界", status: "busy" },
      timestamp: 1,
      requestId: "r",
      offset: "o1"
    })
    const bytes = Buffer.from(`: 5000\nid: o1\ndata: ${event}\n\nretry: 10\n\nevent: x\n:\n\n`)
    for (const byte of bytes) world.stream.bytes(Uint8Array.of(byte))
    await settled()
    await settled()
    assert.deepStrictEqual(observed.agents, { 世界: "busy" })
    assert.deepStrictEqual(observed.errors, [])
  })

  it("it comes back by the stream, from where it was", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    world.stream.agent("a", "busy", "o1")
    world.stream.end()
    await settled()
    assert.strictEqual(observed.tag, "reconnecting")
    world.advance(1000)
    assert.include(world.stream.url, "since=o1")
    // Nothing answers: the next attempt begins with a WebSocket.
    world.stream.end()
    await settled()
    world.advance(world.nextTimer ?? 0)
    assert.notInstanceOf(world.socket, FakeStream)
    assert.include(world.socket.url, "since=o1")
  })

  it("a new filter is asked for by another stream, even a long one", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    const first = world.stream
    const agents = Array.from({ length: 1000 }, (_, i) => `agent-${i}`)
    observed.client.subscribe({ agents })
    assert.isDefined(first.closedWith)
    assert.include(world.stream.url, "agent-999")
    assert.notInclude(world.stream.url, "since")
    assert.strictEqual(observed.tag, "catching-up")
    world.stream.live("o5")
    await settled()
    assert.strictEqual(observed.tag, "live")
  })

  it("the gateway's word on a filter that it refuses is told", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    observed.client.subscribe({ agents: ["a"] })
    world.stream.refuse(400, {}, "too many values")
    await settled()
    await settled()
    assert.deepStrictEqual(
      observed.errors.map(({ message }) => message),
      ["ServerError: too many values"]
    )
  })

  it("a token travels in the header; a refused one ends the client, or another one is asked for", async () => {
    const world = new World()
    const observed = world.connect({ transport: "event-stream", token: "t0" })
    assert.strictEqual(world.stream.headers.get("authorization"), "Bearer t0")
    world.stream.refuse(401, challenge)
    await settled()
    assert.deepInclude(observed.client.freshness, { _tag: "closed", reason: "unauthorized" })

    const asking = new World()
    const asked: Array<boolean> = []
    asking.connect({
      transport: "event-stream",
      token: (refused) => {
        asked.push(refused)
        return `t${asked.length}`
      }
    })
    await settled()
    asking.stream.refuse(401, challenge)
    await settled()
    asking.advance(1000)
    await settled()
    assert.deepStrictEqual(asked, [false, true])
    assert.strictEqual(asking.stream.headers.get("authorization"), "Bearer t2")
  })

  it("the 401 of a proxy, or to a page that sends no token, does not end the client", async () => {
    for (const [token, headers] of [
      ["t0", { "www-authenticate": 'Basic realm="office"' }],
      [undefined, challenge]
    ] as const) {
      const world = new World()
      const observed = world.connect({ transport: "event-stream", ...(token !== undefined && { token }) })
      world.stream.refuse(401, headers)
      await settled()
      assert.strictEqual(observed.tag, "connecting")
      assert.strictEqual(world.timers.size, 1)
    }
  })

  it("a token that cannot stand in a header ends the client", () => {
    const observed = new World().connect({ transport: "event-stream", token: "a\nb" })
    assert.deepInclude(observed.client.freshness, { _tag: "closed", reason: "failed" })
  })

  it("a gateway that is full says when to come back", async () => {
    const world = new World()
    world.chance.push(0)
    world.connect({ transport: "event-stream" })
    world.stream.refuse(503, { "retry-after": "7" })
    await settled()
    assert.strictEqual(world.nextTimer, 7000)
  })

  it("close() ends it, and leaves nothing behind", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    observed.client.close()
    await settled()
    assert.isDefined(world.stream.closedWith)
    assert.deepStrictEqual([world.timers.size, world.wakers.size], [0, 0])
  })
})

describe("freshness over the event stream", () => {
  it("silence is stale, and given up after the gateway's timeout", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    world.advance(9999)
    assert.strictEqual(observed.tag, "live")
    world.advance(1)
    assert.strictEqual(observed.tag, "stale")
    world.advance(50_000)
    assert.strictEqual(observed.tag, "reconnecting")
  })

  it("a page that reads old events is behind, by what the comment before them says; it asks by another stream", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    world.advance(9000)
    // Sent 5 s ago.
    world.stream.write(": 9000\n")
    world.stream.sentAt = undefined
    world.stream.agent("a", "busy", "o1")
    await settled()
    assert.deepStrictEqual(observed.client.freshness, { _tag: "behind", ms: 5000 })
    const first = world.stream
    world.advance(1000)
    assert.notStrictEqual(world.stream, first)
    assert.include(world.stream.url, "since=o1")
    world.stream.sentAt = 15_000
    world.stream.welcome()
    world.stream.sync("resume", "o1", 0)
    await settled()
    assert.strictEqual(observed.tag, "live")
  })

  it("after the machine was suspended, what comes in is not believed: another stream is asked", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    const first = world.stream
    world.setClock(30_000)
    world.stream.agent("a", "busy", "o1")
    await settled()
    assert.notStrictEqual(world.stream, first)
    assert.strictEqual(observed.tag, "catching-up")
  })

  it("when the page may be back, the next heartbeat must come in time", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    world.advance(3000)
    world.wake()
    await heartbeat(world, 8000)
    world.advance(8000)
    assert.strictEqual(observed.tag, "live")
    world.wake()
    world.advance(10_000)
    assert.strictEqual(observed.tag, "reconnecting")
  })
})

describe("WebSockets again", () => {
  const INTERVAL = 300_000

  /** Time goes on, and the gateway says something every 4 s. */
  const goOn = async (world: World, millis: number) => {
    const end = world.time + millis
    const stream = world.stream
    while (world.time < end) {
      world.advance(Math.min(4000, end - world.time))
      stream.sentAt = 5000 + world.time - BEGIN
      stream.message(Types.HEARTBEAT, { head: "head" })
      await settled()
    }
  }

  it("are tried beside the stream every five minutes, and a failure changes nothing", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    const { stream } = world
    await goOn(world, INTERVAL)
    assert.strictEqual(world.sockets.length, 3)
    const scout = world.sockets[2]
    assert.include(scout?.url, "?events=%20")
    scout?.end()
    assert.deepStrictEqual([observed.tag, stream.closedWith], ["live", undefined])
    assert.deepStrictEqual(observed.freshness.map(({ _tag }) => _tag).slice(-1), ["live"])
  })

  it("take over from the stream, from its cursor, at the first word", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    const { stream } = world
    stream.agent("a", "busy", "o1")
    await goOn(world, INTERVAL)
    const scout = world.sockets[2]
    scout?.welcome()
    assert.isDefined(stream.closedWith)
    assert.isDefined(scout?.closedWith)
    assert.include(world.socket.url, "since=o1")
    assert.strictEqual(observed.client.transport, "websocket")
    world.socket.welcome()
    world.socket.sync("resume", "o1", 0)
    assert.strictEqual(observed.tag, "live")
    world.socket.end()
    world.advance(1000)
    assert.notInstanceOf(world.socket, FakeStream)
  })

  it("are not tried once the client is closed", async () => {
    const world = new World()
    const observed = await fallenBack(world)
    await goOn(world, INTERVAL)
    const scout = world.sockets[2]
    observed.client.close()
    assert.isDefined(scout?.closedWith)
    scout?.welcome()
    world.advance(INTERVAL)
    assert.strictEqual(world.sockets.length, 3)
  })
})
