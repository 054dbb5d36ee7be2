import { describe, expect, expectTypeOf, it, vi } from "vitest"
import { connect, type EventReference, isOfType, type StatusEvent } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { live, settled, thrown, World } from "../support/World.js"

describe("handlers", () => {
  it("get the payload and the message of their type, after the state knows of it", () => {
    const world = new World()
    const { client } = live(world)
    const seen: Array<unknown> = []
    client.on("stratix:agent_status_update", ({ agentId, status }, { offset }) =>
      seen.push([agentId, status, offset, client.state.agents.get(agentId)?.payload.status])
    )
    client.on("stratix:sync", ({ mode }) => seen.push(mode))
    client.on({ eventType: "stratix:deploy" }, (payload) => seen.push(Object.values(payload)))
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
    client.on({ eventType: "stratix:deploy" }, (payload) =>
      expectTypeOf(payload).toEqualTypeOf<Readonly<Record<string, unknown>>>()
    )
    client.onEvent((event) => {
      if (isOfType(event, "stratix:command_status_update"))
        expectTypeOf(event.payload.commandId).toEqualTypeOf<string>()
    })
  })

  it("of a type without its prefix do not compile, and are as meant where nothing is compiled", () => {
    const world = new World()
    const { client } = live(world)
    let called = 0
    // @ts-expect-error: no message has such a type.
    client.on("agent_status_update", () => called++)
    world.socket.agent("a1", "busy", "o1")
    expect(called).toBe(1)
  })

  it("of a type that is misspelt or not declared do not compile, nor does a field that its payload has not", () => {
    const { client } = live()
    // @ts-expect-error: no message has such a type.
    client.on("stratix:agent_staus_update", () => undefined)
    // @ts-expect-error: what is not declared is said as an object.
    client.on("stratix:deploy", () => undefined)
    // @ts-expect-error: an agent has no such field.
    client.on("stratix:agent_status_update", ({ mood }) => mood)
    const Zone: EventReference<"stratix:zone_update", { readonly zoneId: string; readonly load: number }> = {
      eventType: "stratix:zone_update"
    }
    client.on(Zone, ({ load, zoneId }, { eventType }) => {
      expectTypeOf(load).toEqualTypeOf<number>()
      expectTypeOf(zoneId).toEqualTypeOf<string>()
      expectTypeOf(eventType).toEqualTypeOf<"stratix:zone_update">()
    })
    // @ts-expect-error: a zone has no such field.
    client.on(Zone, ({ laod }) => laod)
    for (const { payload } of client.state.of(Zone).values()) expectTypeOf(payload.load).toEqualTypeOf<number>()
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
    world.frame()
    expect(calls).toBe(2)
    remove()
    remove()
    world.socket.agent("a1", "online", "o2")
    world.frame()
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
    world.frame()
    world.socket.end()
    await settled()
    expect(seen).toEqual(["stratix:agent_status_update", "state"])
    expect([...new Set(errors.map(({ message }) => message))].sort()).toEqual(
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
    let asked = false
    client.onFreshness(({ _tag }) => {
      if (_tag !== "live" || asked) return
      asked = true
      client.subscribe({ agents: ["a1"] })
    })
    client.onFreshness(({ _tag }) => seen.push(_tag))
    world.socket.live()
    expect(seen).toEqual(["catching-up", "live", "catching-up"])
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
