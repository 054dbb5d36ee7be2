import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Layer, Option, Stream, SubscriptionRef } from "effect"
import { endedKeys, eventKey, type ServerMessage } from "../../../src/stratix-core/index.js"
import { Authenticator, EventLog, Filter, StatusSync, Visibility } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agentsOf, over } from "../support/authentication.js"

const sync = { protocols: ["stratix.sync.v1"] }
const of = (...agents: ReadonlyArray<string>) => Filter.fromFields({ agents })

/** A gateway whose clients all see by this. */
const seeing = (visibility: Visibility.Visibility, principal: Partial<Authenticator.Principal> = {}) =>
  over(
    Layer.scoped(
      Authenticator.Authenticator,
      Authenticator.make({
        verifiers: [{ verify: () => Exit.succeed({ ...Authenticator.anonymous, name: "p", visibility, ...principal }) }]
      })
    )
  )

const publish = (...agents: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { notifyAgentStatus } = yield* StatusSync.StatusSync
    yield* Effect.forEach(agents, (agentId) => notifyAgentStatus(agentId, "busy"))
  })

/** What came since the last time. */
const news = (client: TestClients.TestClient) => {
  let seen = 0
  return Effect.gen(function* () {
    yield* StatusSyncTest.settled
    const all = yield* client.received
    const fresh = all.slice(seen)
    seen = all.length
    return fresh.map(({ eventType, payload }) => [eventType.replace("stratix:", ""), payload] as const)
  })
}

const kinds = (messages: ReadonlyArray<readonly [string, unknown]>) => messages.map(([eventType]) => eventType)

describe("what a principal may see, changed while it is connected", () => {
  it.effect("narrows and widens a sync connection by a snapshot, without closing it", () => {
    const visibility = Visibility.make(of("a"))
    return Effect.gen(function* () {
      yield* publish("a", "b")
      const client = yield* TestClients.connect(sync)
      const next = news(client)
      assert.deepStrictEqual(agentsOf((yield* next).map(([, payload]) => ({ payload }))), ["a"])
      yield* visibility.set(of("a", "b"))
      const wider = yield* next
      assert.deepStrictEqual(kinds(wider), ["subscribed", "sync", "agent_status_update", "agent_status_update"])
      assert.deepStrictEqual(wider[0]?.[1], { agents: ["a", "b"] })
      yield* visibility.set(of("b"))
      const narrower = yield* next
      assert.deepStrictEqual(kinds(narrower), ["subscribed", "sync", "agent_status_update"])
      yield* publish("a", "b")
      assert.deepStrictEqual(agentsOf((yield* next).map(([, payload]) => ({ payload }))), ["b"])
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("takes from a plain connection what it may not see any more, by removals", () => {
    const visibility = Visibility.make(of("a", "b"))
    return Effect.gen(function* () {
      const { notifyAgentCreate, notifyCommandStatus } = yield* StatusSync.StatusSync
      const client = yield* TestClients.connect()
      const next = news(client)
      yield* notifyAgentCreate("a", "A", "worker")
      yield* publish("a", "b")
      yield* notifyCommandStatus("c", "a", "running")
      yield* notifyCommandStatus("d", "b", "running")
      yield* next
      yield* visibility.set(of("b"))
      assert.deepStrictEqual(yield* next, [
        ["subscribed", { agents: ["b"] }],
        ["agent_remove", { agentId: "a" }],
        ["command_remove", { commandId: "c", agentId: "a" }]
      ])
      yield* publish("a")
      assert.deepStrictEqual(yield* next, [])
      // Asking does not bring it back.
      yield* client.send({ type: "subscribe", agents: ["a", "b"] })
      yield* publish("a", "b")
      assert.deepStrictEqual(agentsOf((yield* next).map(([, payload]) => ({ payload }))), ["b"])
      // What an agent's removal takes along though it stays in sight is said again.
      yield* visibility.set(of("a", "b"))
      yield* client.send({ type: "subscribe" })
      yield* next
      yield* visibility.set(Filter.fromFields({ events: ["agent_create"] }))
      assert.sameDeepMembers(
        [...(yield* next)],
        [
          ["subscribed", { events: ["stratix:agent_create"] }],
          ["agent_remove", { agentId: "a" }],
          ["agent_remove", { agentId: "b" }],
          ["command_remove", { commandId: "c", agentId: "a" }],
          ["command_remove", { commandId: "d", agentId: "b" }],
          ["agent_create", { agentId: "a", name: "A", type: "worker" }]
        ]
      )
      assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("takes effect before the next event, for thousands of events and changes in one turn", () => {
    const visibility = Visibility.make(of("a"))
    return Effect.gen(function* () {
      const clients = [yield* TestClients.connect(), yield* TestClients.connect(sync)]
      let n = 0
      const statuses = yield* StatusSync.StatusSync
      for (let round = 0; round < 300; round++) {
        const [visible, hidden] = round % 2 === 0 ? ["a", "b"] : ["b", "a"]
        yield* visibility.set(of(visible ?? ""))
        // Numbered by their reasons: an event of a hidden agent is never seen, though the next moment it may be.
        yield* statuses.notifyAgentStatus(hidden ?? "", "busy", { reason: `hidden ${n++}` })
        yield* statuses.notifyAgentStatus(visible ?? "", "busy", { reason: `shown ${n++}` })
      }
      yield* StatusSyncTest.settled
      const [plain] = clients
      const told = JSON.stringify(yield* plain?.received ?? Effect.succeed([]))
      assert.notInclude(told, "hidden")
      assert.include(told, `shown ${n - 1}`)
      for (const client of clients) assert.isTrue(yield* client.isOpen)
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("holds within its principal's own filter, and for the state by HTTP as for resumes", () => {
    const visibility = Visibility.make(of("a", "b"))
    return Effect.gen(function* () {
      const { head } = yield* EventLog.EventLog
      const { offset } = head()
      yield* publish("a", "b", "c")
      yield* visibility.set(of("b", "c"))
      const client = yield* TestClients.connect({ ...sync, query: `since=${encodeURIComponent(offset)}` })
      const messages = yield* news(client)
      assert.deepStrictEqual(kinds(messages), ["connected", "sync", "agent_status_update"])
      assert.deepInclude(messages[1]?.[1], { mode: "snapshot" })
      assert.deepStrictEqual(agentsOf(messages.map(([, payload]) => ({ payload }))), ["b"])
    }).pipe(Effect.provide(seeing(visibility, { visible: of("a", "b") })))
  })

  it.effect("a fault of it closes the connection, and nothing is seen", () => {
    let listener = () => {}
    let isBroken = false
    const visibility: Visibility.Visibility = {
      current: () => {
        if (isBroken) throw new Error("the directory is away")
        return of("a")
      },
      onChange: (changed) => {
        listener = changed
        return () => {}
      }
    }
    return Effect.gen(function* () {
      const client = yield* TestClients.connect()
      yield* publish("a")
      yield* StatusSyncTest.settled
      isBroken = true
      listener()
      yield* publish("a")
      yield* StatusSyncTest.settled
      assert.deepStrictEqual(yield* client.closed, { code: 1013, reason: "what it may see is not known" })
      assert.deepStrictEqual(agentsOf(yield* client.received), ["a"])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(TestClients.connect({ query: "snapshot=true" }))))
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("by a stream: follows it, and sees nothing once it fails", () =>
    Effect.gen(function* () {
      const team = yield* SubscriptionRef.make<Option.Option<Filter.Filter>>(Option.some(of("a")))
      const visibility = yield* Visibility.fromStream(
        Filter.none,
        Stream.mapEffect(team.changes, (filter) => filter)
      )
      const settle = Effect.repeatN(Effect.yieldNow(), 10)
      yield* settle
      yield* Effect.gen(function* () {
        const client = yield* TestClients.connect()
        yield* SubscriptionRef.set(team, Option.some(of("b")))
        yield* settle
        yield* publish("a", "b")
        yield* StatusSyncTest.settled
        assert.deepStrictEqual(agentsOf(yield* client.received), ["b"])
        yield* SubscriptionRef.set(team, Option.none())
        yield* settle
        yield* publish("a", "b")
        yield* StatusSyncTest.settled
        const messages = yield* client.received
        assert.deepStrictEqual(messages.at(-1)?.eventType, "stratix:agent_remove")
        assert.isTrue(yield* client.isOpen)
      }).pipe(Effect.provide(seeing(visibility)))
    }).pipe(Effect.scoped)
  )

  it.effect("a listener that throws keeps no other from hearing of the change", () => {
    const visibility = Visibility.make(of("a"))
    return Effect.gen(function* () {
      const heard: Array<string> = []
      visibility.onChange(() => {
        throw new Error("a fault of its own")
      })
      visibility.onChange(() => heard.push("heard"))
      const client = yield* TestClients.connect()
      assert.isTrue(Exit.isFailure(yield* Effect.exit(visibility.set(Filter.none))))
      yield* publish("a")
      yield* StatusSyncTest.settled
      assert.deepStrictEqual(heard, ["heard"])
      assert.deepStrictEqual(agentsOf(yield* client.received), [])
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("narrows an event stream as it does a WebSocket", () => {
    const visibility = Visibility.make(of("a", "b"))
    return Effect.gen(function* () {
      yield* publish("a", "b")
      const client = yield* TestClients.connect({ stream: true })
      const next = news(client)
      yield* next
      yield* visibility.set(of("b"))
      assert.deepStrictEqual(kinds(yield* next), ["subscribed", "sync", "agent_status_update"])
      yield* publish("a", "b")
      assert.deepStrictEqual(agentsOf((yield* next).map(([, payload]) => ({ payload }))), ["b"])
    }).pipe(Effect.provide(seeing(visibility)))
  })

  it.effect("listens once for each connection, until its end", () => {
    const listeners = new Set<() => void>()
    const visibility: Visibility.Visibility = {
      current: () => of("a"),
      onChange: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      }
    }
    return Effect.gen(function* () {
      const clients = yield* Effect.replicateEffect(TestClients.connect(sync), 20)
      assert.strictEqual(listeners.size, 20)
      for (const client of clients) yield* client.drop
      yield* StatusSyncTest.settled
      assert.strictEqual(listeners.size, 0)
    }).pipe(Effect.provide(seeing(visibility)))
  })

  const step = fc.oneof(
    fc.record({ t: fc.constant("agent" as const), id: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ t: fc.constant("create" as const), id: fc.integer({ min: 0, max: 2 }) }),
    fc.record({
      t: fc.constant("command" as const),
      id: fc.integer({ min: 0, max: 2 }),
      of: fc.integer({ min: 0, max: 2 })
    }),
    fc.record({ t: fc.constant("remove" as const), id: fc.integer({ min: 0, max: 2 }) }),
    fc.record({
      t: fc.constant("see" as const),
      filter: fc.constantFrom(
        Filter.all,
        Filter.none,
        of("0"),
        of("0", "1"),
        of("2"),
        Filter.fromFields({ commands: ["0", "1"] }),
        Filter.fromFields({ events: ["agent_create"] }),
        Filter.fromFields({ events: ["agent_status_update"], agents: ["1"] })
      )
    })
  )
  it.effect.prop(
    "law 3: a sync screen shows the state that may be seen, a plain one nothing else",
    [fc.array(step, { maxLength: 30 }), fc.boolean()],
    ([script, settles]) => {
      const visibility = Visibility.make(Filter.all)
      return Effect.gen(function* () {
        const statuses = yield* StatusSync.StatusSync
        const log = yield* EventLog.EventLog
        const plain = yield* TestClients.connect({ query: "snapshot=true" })
        const synced = yield* TestClients.connect(sync)
        for (const next of script) {
          if (next.t === "agent") yield* statuses.notifyAgentStatus(`${next.id}`, "busy")
          else if (next.t === "create") yield* statuses.notifyAgentCreate(`${next.id}`, "n", "t")
          else if (next.t === "command") yield* statuses.notifyCommandStatus(`${next.id}`, `${next.of}`, "running")
          else if (next.t === "remove") yield* statuses.notifyAgentRemove(`${next.id}`, { commands: true })
          else yield* visibility.set(next.filter)
          if (settles) yield* StatusSyncTest.settled
        }
        yield* StatusSyncTest.settled
        const { entries } = yield* log.latest(visibility.current())
        const truth = new Map(entries.map(({ json, key }) => [key ?? "", JSON.parse(json)]))
        const shown = fold(yield* synced.received)
        assert.deepStrictEqual([...shown].sort(byKey), [...truth].sort(byKey))
        for (const [key, event] of fold(yield* plain.received)) assert.deepStrictEqual(event, truth.get(key), key)
      }).pipe(Effect.provide(seeing(visibility)))
    },
    { timeout: 120_000, fastCheck: { numRuns: Number(process.env["STRATIX_PROPERTY_RUNS"] ?? 60) } }
  )
})

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1)

/** The state of a screen. */
const fold = (messages: ReadonlyArray<ServerMessage>): ReadonlyMap<string, unknown> => {
  const state = new Map<string, unknown>()
  for (const message of messages) {
    if (message.eventType === "stratix:sync" && message.payload.mode === "snapshot") state.clear()
    const event = JSON.parse(JSON.stringify(message))
    for (const key of endedKeys(event)) state.delete(key)
    const key = eventKey(event)
    if (key !== undefined) state.set(key, message)
  }
  return state
}
