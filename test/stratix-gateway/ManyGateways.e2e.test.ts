import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted } from "effect"
import { WebSocket } from "ws"
import { NodeServer, StatusSync, StatusSyncServer } from "../../src/stratix-gateway/index.js"
import { quiet } from "./support/gateway.js"
import { RedisServer } from "./support/redis.js"
import { eventually, newNamespace } from "./support/redisLogs.js"
import { Wire } from "./support/wire.js"

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

/** A gateway on its own port, over the shared log. */
const gateway = (namespace: string, settings: Partial<StatusSyncServer.LoopbackSettings> = {}) =>
  StatusSyncServer.layerLoopback({
    port: 0,
    eventLog: Redacted.make(server.url),
    eventLogNamespace: namespace,
    eventLogTimeout: "30 seconds",
    ...settings
  }).pipe(
    Layer.provide(quiet),
    Layer.build,
    Effect.map((context) => {
      const address = Context.get(context, NodeServer.NodeServer).address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      return { port, url: `http://127.0.0.1:${port}`, sync: Context.get(context, StatusSync.StatusSync) }
    })
  )

interface Screen {
  readonly messages: ReadonlyArray<{ readonly eventType: string; readonly payload: Record<string, unknown> }>
  /** The newest status of each agent, and the cursor, as a sync client folds them. */
  readonly agents: Map<string, unknown>
  readonly cursor: () => string | undefined
  readonly close: () => void
}

/** A sync client, in as few lines as docs/PROTOCOL.md needs. */
const watch = (port: number, since?: string): Screen => {
  const query = since === undefined ? "?snapshot=true" : `?since=${encodeURIComponent(since)}`
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${query}`, "stratix.sync.v1")
  const messages: Array<Screen["messages"][number]> = []
  const agents = new Map<string, unknown>()
  let cursor: string | undefined
  socket.on("error", () => undefined)
  socket.on("message", (data) => {
    const message = JSON.parse(String(data))
    messages.push(message)
    if (message.eventType === "stratix:sync") {
      if (message.payload.mode === "snapshot") agents.clear()
      cursor = message.payload.to
    }
    for (const event of message.eventType === "stratix:events" ? message.payload.events : []) {
      if (event.eventType === "stratix:agent_status_update") agents.set(event.payload.agentId, event.payload.status)
      cursor = event.offset
    }
  })
  return { messages, agents, cursor: () => cursor, close: () => socket.close() }
}

const opened = (port: number, since?: string) =>
  Effect.acquireRelease(
    Effect.sync(() => watch(port, since)),
    (screen) => Effect.sync(screen.close)
  )

const shows = (screen: Screen, agentId: string, status: string) =>
  eventually(
    Effect.sync(() => screen.agents.get(agentId)),
    (shown) => shown === status
  )

const newest = (screen: Screen, type: string) => screen.messages.findLast(({ eventType }) => eventType === type)

const put = (url: string, agentId: string, status: string) =>
  Effect.promise(() =>
    fetch(`${url}/api/stratix/agents/${agentId}/status`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ status })
    })
  )

describe("clients of many gateways", () => {
  it.live("a screen at one gateway shows what is published at another", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const [one, other] = yield* Effect.all([gateway(namespace), gateway(namespace)])
      const screen = yield* opened(other.port)
      yield* one.sync.notifyAgentStatus("a", "busy")
      yield* shows(screen, "a", "busy")
      assert.strictEqual((yield* put(other.url, "a", "online")).status, 202)
      yield* shows(screen, "a", "online")
    }).pipe(Effect.scoped)
  )

  it.live("a client of a gateway that is gone resumes at another, with nothing lost and nothing twice", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const stays = yield* gateway(namespace)
      const cursor = yield* Effect.scoped(
        Effect.gen(function* () {
          const ends = yield* gateway(namespace)
          const screen = yield* opened(ends.port)
          yield* stays.sync.notifyAgentStatus("a", "busy")
          yield* shows(screen, "a", "busy")
          return screen.cursor()
        })
      )
      yield* stays.sync.notifyAgentStatus("b", "busy")
      yield* stays.sync.notifyAgentStatus("c", "online")
      const screen = yield* opened(stays.port, cursor)
      yield* shows(screen, "c", "online")
      assert.deepStrictEqual([...screen.agents.keys()], ["b", "c"])
      const sync = screen.messages.find(({ eventType }) => eventType === "stratix:sync")
      assert.deepInclude(sync?.payload, { mode: "resume", count: 2, lost: 0 })
    }).pipe(Effect.scoped)
  )
})

describe("a gateway whose Redis is slow", () => {
  it.live("says nothing of it to screens: heartbeats come, and what is published is shown", () =>
    Effect.gen(function* () {
      const wire = yield* Effect.acquireRelease(
        Effect.promise(() => Wire.open(server.port)),
        (one) => Effect.promise(() => one.close())
      )
      const { port, sync } = yield* gateway(newNamespace(), {
        eventLog: Redacted.make(wire.url),
        keepAliveInterval: "100 millis"
      })
      const screen = yield* opened(port)
      yield* eventually(
        Effect.sync(() => newest(screen, "stratix:heartbeat")),
        (heartbeat) => heartbeat !== undefined
      )
      wire.delay = 200
      const heartbeats = () => screen.messages.filter(({ eventType }) => eventType === "stratix:heartbeat")
      const { length } = heartbeats()
      yield* sync.notifyAgentStatus("a", "busy")
      yield* shows(screen, "a", "busy")
      yield* eventually(
        Effect.sync(() => heartbeats().length),
        (count) => count > length + 2
      )
      assert.isTrue(heartbeats().every(({ payload }) => payload["staleMs"] === undefined))
    }).pipe(Effect.scoped)
  )
})

describe("a gateway whose Redis is away", () => {
  it.live(
    "says so to publishers, with a time to try again, to probes, and to screens how stale they are; then it goes on",
    () =>
      Effect.gen(function* () {
        const own = yield* Effect.acquireRelease(
          Effect.promise(() => RedisServer.start({ persistence: "always" })),
          (redis) => Effect.promise(() => redis.end())
        )
        const { port, sync, url } = yield* gateway(newNamespace(), {
          eventLog: Redacted.make(own.url),
          eventLogTimeout: "1 second",
          eventLogStaleness: "500 millis",
          keepAliveInterval: "100 millis"
        })
        const ready = Effect.promise(() => fetch(`${url}/readyz`))
        yield* eventually(Effect.exit(sync.notifyAgentStatus("a", "busy")), Exit.isSuccess)
        assert.strictEqual((yield* ready).status, 200)
        const screen = yield* opened(port)
        const staleness = Effect.sync(() => newest(screen, "stratix:heartbeat")?.payload["staleMs"])
        yield* eventually(
          Effect.sync(() => newest(screen, "stratix:heartbeat")),
          (heartbeat) => heartbeat !== undefined
        )
        assert.isUndefined(yield* staleness)
        yield* Effect.promise(() => own.kill())
        const refused = yield* eventually(put(url, "b", "busy"), ({ status }) => status !== 202)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers.get("retry-after"), "1")
        const body = yield* Effect.promise(() => refused.json())
        assert.include(["Unavailable", "Uncertain"], Reflect.get(Object(body), "error"))
        const stale = yield* eventually(ready, ({ status }) => status === 503)
        assert.deepStrictEqual(yield* Effect.promise(() => stale.json()), { status: "stale" })
        const health = yield* Effect.promise(() => fetch(`${url}/healthz`))
        assert.strictEqual(health.status, 200)
        assert.isAbove(Number(Reflect.get(Object(yield* Effect.promise(() => health.json())), "staleMs")), 500)
        const state = yield* Effect.promise(() => fetch(`${url}/api/stratix/state`))
        assert.strictEqual(state.status, 200)
        assert.isAbove(Number(state.headers.get("stratix-stale-ms")), 500)
        yield* eventually(staleness, (stale) => Number(stale) > 500)
        const late = yield* opened(port)
        const welcome = yield* eventually(
          Effect.sync(() => newest(late, "stratix:connected")),
          (message) => message !== undefined
        )
        assert.isAbove(Number(welcome?.payload["staleMs"]), 500)

        yield* Effect.promise(() => own.run())
        yield* eventually(put(url, "c", "online"), ({ status }) => status === 202)
        yield* eventually(ready, ({ status }) => status === 200)
        yield* eventually(staleness, (stale) => stale === undefined)
        yield* shows(screen, "c", "online")
      }).pipe(Effect.scoped)
  )

  it.live("does not start where the URL is none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(gateway(newNamespace(), { eventLog: Redacted.make("redis://user:secret@a:b:c") }))
      )
      assert.include(error.message, "STRATIX_EVENT_LOG")
      assert.include(error.message, "redis://")
      assert.notInclude(error.message, "secret")
    })
  )
})
