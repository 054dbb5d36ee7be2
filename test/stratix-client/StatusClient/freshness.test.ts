import { describe, expect, it } from "vitest"
import type { StatusClientOptions } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { type Observed, World } from "../support/World.js"

const HEARTBEAT = { intervalMs: 30_000, timeoutMs: 60_000, keepAliveMs: 4000 }

/** The gateway's monotonic clock when a connection is made; its zero means nothing. */
const GATEWAY = 77_000

/** A client of a gateway that says when it sent what, live and with one agent. Its way to the gateway takes no time. */
const live = (options: StatusClientOptions = {}, log = "log-1") => {
  const world = new World()
  const observed = world.connect(options)
  const begin = world.time
  const { socket } = world
  /** A message that was sent so many milliseconds ago is processed. */
  const hear = (age: number, then: () => void = () => socket.heartbeat()) => {
    socket.sentAt = GATEWAY + world.time - begin - age
    then()
  }
  hear(0, () => socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT, log))
  hear(0, () => socket.sync("snapshot", "o1", 1))
  hear(0, () => socket.agent("a1", "busy", "o1"))
  return { world, socket, observed, client: observed.client, hear }
}

const tags = ({ freshness }: Observed) => freshness.map(({ _tag }) => _tag)

describe("lag", () => {
  it("of more than 2 s is behind, in whole seconds, until what is processed is younger again", () => {
    const { client, hear, observed, world } = live()
    world.advance(5000)
    // A millisecond less than the bound: in 5 s without an answer the clocks may have drifted apart by it.
    hear(1999)
    expect(client.freshness).toEqual({ _tag: "live" })
    hear(2001)
    expect(client.freshness).toEqual({ _tag: "behind", ms: 2000 })
    hear(2300)
    hear(4900)
    hear(30)
    expect(observed.freshness.slice(-3)).toEqual([
      { _tag: "behind", ms: 2000 },
      { _tag: "behind", ms: 5000 },
      { _tag: "live" }
    ])
  })

  it("has a bound that can be chosen", () => {
    const { client, hear, world } = live({ maxLagMs: 100 })
    world.advance(1000)
    hear(99)
    expect(client.freshness._tag).toBe("live")
    hear(101)
    expect(client.freshness._tag).toBe("behind")
  })

  it("is seen in a page that was busy from the beginning: everything in it is late by the same", () => {
    const world = new World()
    const { client } = world.connect()
    const { socket } = world
    world.suspend(5000)
    socket.sentAt = GATEWAY
    socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT)
    socket.sync("snapshot", "o0", 0)
    expect(client.freshness).toEqual({ _tag: "behind", ms: 5000 })
  })

  it("of a connection that took long to come about is not held against it after the first answer", () => {
    const world = new World()
    const { client } = world.connect()
    const { socket } = world
    world.suspend(5000)
    socket.sentAt = GATEWAY
    socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT)
    socket.sync("snapshot", "o0", 0)
    expect(socket.sent).toEqual([{ type: "ping", at: world.time }])
    const at = world.time
    world.advance(40)
    socket.sentAt = GATEWAY + 20
    socket.heartbeat(at)
    expect(client.freshness._tag).toBe("live")
  })

  it("is not moved by wall clocks: not by the gateway's timestamps, nor by this machine's being set back", () => {
    const { hear, observed, socket, world } = live()
    const before = observed.freshness.length
    world.setClock(-3_600_000)
    hear(0)
    hear(0, () =>
      socket.frame(
        JSON.stringify({
          eventType: Types.AGENT_STATUS_UPDATE,
          payload: { agentId: "a1", status: "online" },
          timestamp: 9e12,
          requestId: "r",
          offset: "o2",
          sentAt: socket.sentAt
        })
      )
    )
    world.advance(4000)
    hear(0)
    expect(observed.freshness.length).toBe(before)
  })

  it("is not moved by a wall clock that is set forward by less than the bound, in however many steps", () => {
    const { hear, observed, world } = live()
    const before = observed.freshness.length
    for (let step = 0; step < 10; step++) {
      world.setClock(2000)
      hear(0)
      world.advance(4000)
      hear(1900)
    }
    expect(observed.freshness.length).toBe(before)
  })

  it("is measured anew on each connection: another gateway's monotonic clock begins elsewhere", () => {
    const { client, world } = live()
    for (const sentAt of [5, 9e12, 0]) {
      world.socket.end(1012)
      client.retryNow()
      world.socket.sentAt = sentAt
      world.socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT, "log-1")
      world.socket.sync("resume", "o1", 0)
      expect(client.freshness._tag).toBe("live")
      world.advance(4000)
      world.socket.sentAt = sentAt + 4000 - 2500
      world.socket.heartbeat()
      expect(client.freshness).toEqual({ _tag: "behind", ms: 3000 })
    }
  })

  it("above the bound is measured again every 2 s, for it may be the clocks that are not known well", () => {
    const { hear, socket, world } = live()
    for (let word = 0; word < 4; word++) {
      world.advance(1000)
      hear(2500)
    }
    expect(socket.sent).toEqual([
      { type: "ping", at: world.time - 2000, cursor: "head" },
      { type: "ping", at: world.time, cursor: "head" }
    ])
  })

  it("follows clocks that drift apart for a day, with an answer a minute", () => {
    const world = new World()
    const { client } = world.connect()
    const { socket } = world
    socket.sentAt = 0
    socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT)
    socket.sync("snapshot", "o0", 0)
    for (let second = 0; second < 86_400; second += 4) {
      world.suspend(4000)
      // 100 parts in a million faster than this one.
      socket.sentAt = Math.round((second + 4) * 1000.1)
      socket.heartbeat(second % 60 === 0 ? world.time : undefined)
      expect(client.freshness._tag).toBe("live")
    }
    // So it still sees what is late.
    socket.sentAt = (socket.sentAt ?? 0) - 2100
    socket.heartbeat()
    expect(client.freshness._tag).toBe("behind")
  })
})

describe("silence", () => {
  it("of two and a half promised words makes it stale, and the next word live", () => {
    const { client, hear, world } = live()
    world.advance(9999)
    expect(client.freshness._tag).toBe("live")
    const heardAt = world.time - 9999
    world.advance(1)
    expect(client.freshness).toEqual({ _tag: "stale", since: heardAt })
    hear(0)
    expect(client.freshness._tag).toBe("live")
  })

  it("has a bound that follows what the welcome promises", () => {
    const world = new World()
    const { client } = world.connect()
    world.socket.welcome(Types.SYNC_PROTOCOL, { ...HEARTBEAT, keepAliveMs: 1000 })
    world.socket.sync("snapshot", "o0", 0)
    world.advance(2499)
    expect(client.freshness._tag).toBe("live")
    world.advance(1)
    expect(client.freshness._tag).toBe("stale")
  })

  it("of a gateway that stops with a word is seen within 12 s, whatever it had to say before", () => {
    const { client, hear, world } = live()
    for (let word = 0; word < 20; word++) {
      world.advance(word * 200)
      hear(0)
    }
    const stoppedAt = world.time
    while (client.freshness._tag === "live") world.advance(100)
    expect(client.freshness._tag).toBe("stale")
    expect(world.time - stoppedAt).toBeLessThanOrEqual(12_000)
  })

  it("has a bound that can be chosen", () => {
    const { observed, world } = live({ maxSilenceMs: 5000 })
    world.advance(4999)
    expect(tags(observed).at(-1)).toBe("live")
    world.advance(1)
    expect(tags(observed).at(-1)).toBe("stale")
  })

  it("ends a connection at the gateway's timeout, as before", () => {
    const { client, socket, world } = live()
    world.advance(59_999)
    expect(socket.closedWith).toBeUndefined()
    world.advance(1)
    expect(client.freshness._tag).toBe("reconnecting")
  })

  it("is seen by a throttled tab whose timers run once a minute", () => {
    const { client, hear, world } = live()
    world.suspend(50_000)
    expect(client.freshness._tag).toBe("stale")
    hear(0)
    expect(client.freshness._tag).toBe("live")
  })
})

describe("a machine that was suspended, its monotonic clock with it", () => {
  it("trusts nothing before the answer to what it asked since, for what it hears first may be old", () => {
    const { client, hear, socket, world } = live()
    world.setClock(3_600_000)
    expect(client.freshness._tag).toBe("stale")
    hear(0)
    expect(client.freshness._tag).toBe("stale")
    expect(socket.sent).toEqual([{ type: "ping", at: world.time, cursor: "head" }])
    hear(0, () => socket.heartbeat(world.time))
    expect(client.freshness._tag).toBe("live")
  })

  it("gives the connection up where no answer comes in time", () => {
    const { client, socket, world } = live()
    world.setClock(3_600_000)
    expect(client.freshness._tag).toBe("stale")
    world.advance(9999)
    expect(socket.closedWith).toBeUndefined()
    world.advance(1)
    expect(client.freshness._tag).toBe("reconnecting")
  })
})

describe("a gateway with another log", () => {
  const again = (world: World, log: string, count: number) => {
    world.socket.end(1012)
    world.advance(1000)
    world.socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT, log)
    world.socket.sync("snapshot", "p0", count)
  }

  it("that is empty has restarted, until its first event", () => {
    const { client, observed, world } = live()
    again(world, "log-2", 0)
    expect(client.freshness).toEqual({ _tag: "restarted" })
    again(world, "log-2", 0)
    expect(client.freshness).toEqual({ _tag: "restarted" })
    expect(observed.agents).toEqual({})
    world.socket.agent("a2", "online", "p1")
    expect(client.freshness).toEqual({ _tag: "live" })
  })

  it("that has events is live with them", () => {
    const { client, world } = live()
    again(world, "log-2", 1)
    world.socket.agent("a2", "online", "p1")
    expect(client.freshness).toEqual({ _tag: "live" })
  })

  it("is not one that came back with its own log", () => {
    const { client, world } = live()
    again(world, "log-1", 0)
    expect(client.freshness).toEqual({ _tag: "live", empty: true })
  })
})

it("an empty log is live and empty for a client that comes for the first time", () => {
  const world = new World()
  const { client } = world.connect()
  world.socket.welcome(Types.SYNC_PROTOCOL, HEARTBEAT, "log-1")
  world.socket.sync("snapshot", "o0", 0)
  expect(client.freshness).toEqual({ _tag: "live", empty: true })
})

describe("the next attempt", () => {
  it("is known while it is waited for, and need not be", () => {
    const { client, world } = live()
    expect(client.nextAttemptAt).toBeUndefined()
    world.socket.end()
    expect(client.nextAttemptAt).toBe(world.time + 500)
    client.retryNow()
    expect(world.sockets.length).toBe(2)
    expect(client.nextAttemptAt).toBeUndefined()
    world.socket.end()
    client.close()
    expect(client.nextAttemptAt).toBeUndefined()
  })
})

it("the gateway is told how far the screen is, with a word every 10 s", () => {
  const { hear, socket, world } = live()
  const pings = () => socket.sent.length
  for (let word = 0; word < 2; word++) {
    world.advance(4000)
    hear(0)
  }
  expect(pings()).toBe(0)
  world.advance(2000)
  hear(0, () => socket.agent("a1", "online", "o2"))
  expect(socket.sent).toEqual([{ type: "ping", at: world.time, cursor: "o2" }])
  world.advance(9999)
  hear(0)
  expect(pings()).toBe(1)
  world.advance(1)
  hear(0)
  expect(socket.sent.at(-1)).toEqual({ type: "ping", at: world.time, cursor: "head" })
})

describe("onState", () => {
  it("calls back once per frame, with the keys that changed", () => {
    const { client, hear, socket, world } = live()
    world.frame()
    const told: Array<Array<string>> = []
    client.onState((keys) => told.push([...keys]))
    for (let index = 0; index < 500; index++) hear(0, () => socket.agent(`a${index % 2}`, "busy", `p${index}`))
    expect(told).toEqual([])
    world.frame()
    world.frame()
    expect(told).toEqual([["agent:a0", "agent:a1"]])
  })

  it("calls back in an interval that can be chosen", () => {
    const { client, hear, socket, world } = live({ stateIntervalMs: 250 })
    world.advance(250)
    let calls = 0
    client.onState(() => calls++)
    hear(0, () => socket.agent("a1", "online", "p1"))
    world.advance(249)
    expect(calls).toBe(0)
    world.advance(1)
    expect(calls).toBe(1)
  })

  it("tells of commands that leave, and nothing of a snapshot that changes nothing", () => {
    const { client, hear, socket, world } = live()
    const finish = (commandId: string) =>
      hear(0, () =>
        socket.message(Types.COMMAND_STATUS_UPDATE, { commandId, agentId: "a1", commandStatus: "success" }, commandId)
      )
    finish("c1")
    world.frame()
    const told: Array<Array<string>> = []
    client.onState((keys) => told.push([...keys]))
    finish("c2")
    hear(0, () => socket.message(Types.COMMAND_REMOVE, { commandId: "c1", agentId: "a1" }, "r1"))
    world.frame()
    hear(0, () => socket.sync("snapshot", "o9", 2))
    hear(0, () => socket.agent("a1", "busy", "o1"))
    finish("c2")
    world.frame()
    expect(told).toEqual([["command:c2", "command:c1"]])
  })

  it("tells of a snapshot what differs from what was shown, and what is gone, and nothing before it is complete", () => {
    const { client, hear, socket, world } = live()
    for (const agentId of ["a2", "a3"]) hear(0, () => socket.agent(agentId, "busy", `o-${agentId}`))
    world.frame()
    const told: Array<Array<string>> = []
    client.onState((keys) => told.push([...keys].sort()))
    hear(0, () => socket.sync("snapshot", "o9", 3))
    hear(0, () => socket.agent("a1", "busy", "o1"))
    hear(0, () => socket.agent("a2", "online", "o8"))
    world.frame()
    expect(told).toEqual([])
    hear(0, () => socket.agent("a4", "busy", "o9"))
    world.frame()
    expect(told).toEqual([["agent:a2", "agent:a3", "agent:a4"]])
    hear(0, () => socket.agent("a4", "online", "o10"))
    world.frame()
    expect(told.at(-1)).toEqual(["agent:a4"])
  })

  it("gives maps that cannot be changed by mistake", () => {
    const { client } = live()
    const agents: object = client.state.agents
    for (const method of ["set", "delete", "clear"]) {
      expect(() => Reflect.apply(Reflect.get(agents, method), agents, ["a1"])).toThrow(TypeError)
    }
    expect(client.state.agents.size).toBe(1)
  })
})
