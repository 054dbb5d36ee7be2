import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import { vi } from "vitest"
import { Connections, EventLog, StatusSync } from "../../../src/stratix-gateway/index.js"
import { Broadcast, Metrics } from "../../../src/stratix-gateway/internals.js"
import { nextTurn } from "../../../src/stratix-gateway/runtime/EventLoop.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { untilCount } from "../../support/waiting.js"
import { quiet } from "../support/gateway.js"

/** Throws at the n-th of the calls that a flush or a catch-up makes. */
const fault = vi.hoisted(() => {
  const state = { armed: false, at: 0, calls: 0, thrown: 0 }
  const around = <A>(call: () => A): A => {
    if (state.armed && ++state.calls === state.at) {
      state.thrown++
      throw new Error(`fault at call ${state.at}`)
    }
    return call()
  }
  return {
    state,
    around,
    /** Every function of a module or a service, wrapped. */
    wrapped: <M extends object>(module: M, ...only: ReadonlyArray<string>): M =>
      new Proxy(
        { ...module },
        {
          get: (target, name, receiver) => {
            const value: unknown = Reflect.get(target, name, receiver)
            if (typeof value !== "function" || (only.length > 0 && !only.includes(String(name)))) return value
            return (...args: ReadonlyArray<unknown>) => around(() => Reflect.apply(value, undefined, [...args]))
          }
        }
      )
  }
})

vi.mock("../../../src/stratix-gateway/transport/Frame.js", async (original) =>
  fault.wrapped(await original<object>(), "text", "texts", "compressedText")
)
vi.mock("../../../src/stratix-gateway/fanout/EventBatch.js", async (original) =>
  fault.wrapped(await original<object>())
)
vi.mock("../../../src/stratix-gateway/log/Filter.js", async (original) =>
  fault.wrapped(await original<object>(), "matches")
)
vi.mock("../../../src/stratix-gateway/log/EventLogMemory.js", async (original) => {
  const { layer } = await original<{ layer: Layer.Layer<EventLog.EventLog> }>()
  return {
    layer: Layer.map(layer, (context) =>
      Context.add(context, EventLog.EventLog, fault.wrapped(Context.get(context, EventLog.EventLog), "tail", "since"))
    )
  }
})

/** Of every key the newest event that a client has. */
const screenOf = (client: TestClients.TestClient) =>
  Effect.map(client.received, (messages) => {
    const screen = new Map<unknown, string>()
    for (const { eventType, payload, requestId } of messages) {
      if (eventType === "stratix:agent_status_update") screen.set(Reflect.get(payload, "agentId"), requestId)
    }
    return screen
  })

const queries = ["", "agents=a0,a1", "events=agent_status_update"]

/** A gateway with six clients, a flush that concerns them all, a catch-up of one of them; the n-th call throws. Answers how many calls there were. */
const run = (at: number) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    const broadcast = yield* Broadcast.Broadcast
    const log = yield* EventLog.EventLog
    const connections = yield* Connections.Connections
    const clients: Array<TestClients.TestClient> = []
    for (const query of queries) {
      for (const more of [{ protocols: ["stratix.sync.v1"] }, {}]) {
        clients.push(yield* TestClients.connect({ query, ...more }))
      }
    }
    yield* untilCount(clients.length)
    yield* StatusSyncTest.settled
    for (const { socket } of yield* connections.all) {
      const write = socket.write.bind(socket)
      vi.spyOn(socket, "write").mockImplementation((frames) => fault.around(() => write(frames)))
    }
    const publish = Effect.forEach([0, 1, 2], (id) => sync.notifyAgentStatus(`a${id}`, "busy"), { discard: true })
    const [slow] = clients
    Object.assign(fault.state, { at, calls: 0, thrown: 0 })
    const faulty = (effect: Effect.Effect<void>) =>
      Effect.suspend(() => {
        fault.state.armed = true
        return effect
      }).pipe(Effect.ensuring(Effect.sync(() => Object.assign(fault.state, { armed: false }))))

    yield* publish
    yield* faulty(broadcast.flush)
    yield* faulty(broadcast.caughtUp)
    if (slow !== undefined) {
      yield* slow.freeze
      for (let i = 0; i < 4; i++) {
        yield* publish
        yield* faulty(broadcast.flush)
      }
      yield* slow.thaw
      yield* faulty(broadcast.caughtUp)
    }
    const { calls, thrown } = fault.state

    // Whatever happened: from now on nothing throws, and nobody who is still there may miss anything.
    yield* publish
    yield* StatusSyncTest.settled
    const { entries } = yield* log.latest()
    const newest = entries.map(({ json, key }) => [key, /"requestId":"([^"]+)"/.exec(json)?.[1]])
    let open = 0
    for (const [i, client] of clients.entries()) {
      const whole = (screen: ReadonlyMap<unknown, string>) =>
        newest.every(([key, id]) => (i < 4 && i > 1 && key === "agent:a2") || screen.get(`${key}`.slice(6)) === id)
      // The end of a connection takes a while to reach its client.
      const isOpen = yield* Effect.repeat(
        Effect.zipRight(
          nextTurn,
          Effect.zipWith(client.isOpen, screenOf(client), (on, screen) => ({ on, screen }))
        ),
        { until: ({ on, screen }) => !on || whole(screen) }
      ).pipe(Effect.map(({ on }) => on))
      if (!isOpen) continue
      open++
      const offsets = [...(yield* client.raw).join("\n").matchAll(/"offset":"[^-"]+-([0-9a-z]+)-/g)].map(([, seq]) =>
        Number.parseInt(seq ?? "", 36)
      )
      for (let n = 1; n < offsets.length; n++) assert.isAbove(offsets[n] ?? 0, offsets[n - 1] ?? 0)
    }
    // A write of which nobody knows what it wrote ends its connection; any other fault ends none.
    assert.isAtLeast(open, clients.length - 1)
    return { calls, thrown }
  })

/** `stride`: real sockets take their time, so there only every so many calls throw. */
const faultSuite = (name: string, layer: typeof StatusSyncTest.layerWith, stride: number) => {
  describe(`a fault while events are written, over ${name}`, () => {
    it.live(
      "leaves every connection complete, or caught up, whatever call throws; each is counted",
      () =>
        Effect.gen(function* () {
          const once = (at: number) =>
            Effect.scoped(Effect.provide(run(at), Layer.fresh(layer({ highWaterMark: 300, historyCapacity: 8 })))).pipe(
              Effect.timeoutFail({
                duration: "10 seconds",
                onTimeout: () => new Error(`a client waits for ever after a fault at call ${at}`)
              })
            )
          const { calls } = yield* once(0)
          assert.isAbove(calls, 20)
          for (let at = 1; at <= calls; at += stride) {
            const before = (yield* Metric.value(Metrics.fanoutFaults)).count
            const { thrown } = yield* once(at)
            assert.strictEqual((yield* Metric.value(Metrics.fanoutFaults)).count - before, thrown, `at call ${at}`)
          }
        }).pipe(Effect.provide(quiet)),
      120_000
    )
  })
}

faultSuite("memory", StatusSyncTest.layerWith, 1)
faultSuite("ws", StatusSyncTest.layerWs, 7)
