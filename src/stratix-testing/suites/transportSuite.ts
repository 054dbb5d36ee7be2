import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Connections from "../../stratix-gateway/api/websocket/Connections.js"
import * as StatusSync from "../../stratix-gateway/api/websocket/StatusSync.js"
import * as StatusSyncTest from "../StatusSyncTest.js"
import * as TestClients from "../TestClients.js"
import * as assert from "./assert.js"
import type { Runner } from "./runner.js"
import { nextTurn, untilCount } from "./waiting.js"

const connected = {
  eventType: "stratix:connected",
  payload: { message: "Connected to Stratix Gateway" }
}

/** The cases of the specification, and what can go wrong with a client, as tests: the same over every transport. The layer is the whole service with
 * clients of this transport, and is built for each test; time is real.
 * @since 0.1.0
 * @category suites
 * @example
 * import * as Vitest from "@effect/vitest"
 * import { StatusSyncTest, transportSuite } from "stratix-status-sync/testing"
 *
 * transportSuite(Vitest, "ws", StatusSyncTest.layerWs({ drainTimeout: "1 second" })) */
export const transportSuite = (
  { describe, it }: Runner,
  name: string,
  layer: Layer.Layer<StatusSyncTest.Services>
): void => {
  describe(`over ${name}`, () => {
    const test = (title: string, effect: Effect.Effect<void, unknown, StatusSyncTest.Services>) =>
      it.live(title, () => Effect.provide(effect, layer))

    test(
      "a client that connects is welcomed first",
      Effect.gen(function* () {
        const client = yield* TestClients.connect()
        const welcome = yield* client.take
        assert.deepInclude(welcome, connected)
        const [raw] = yield* client.raw
        assert.match(
          raw ?? "",
          /^\{"eventType":"stratix:connected","payload":\{"message":"Connected to Stratix Gateway"\},"timestamp":\d+,"requestId":"stratix-req-\d+(-\d+)?"\}$/
        )
        const sync = yield* StatusSync.StatusSync
        assert.strictEqual(yield* sync.clientCount, 1)
      })
    )

    test(
      "a broadcast reaches every client, to the letter",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const clients = yield* Effect.replicateEffect(TestClients.connect(), 3)
        yield* sync.broadcastUnknown({
          eventType: "stratix:notice",
          payload: { text: "hé \u2028 👍", nested: { list: [1, null, true] } },
          timestamp: 1645521234567,
          requestId: "req-1"
        })
        for (const client of clients) {
          yield* client.takeN(2)
          assert.strictEqual(
            (yield* client.raw)[1],
            '{"eventType":"stratix:notice","payload":{"text":"hé \u2028 👍","nested":{"list":[1,null,true]}},"timestamp":1645521234567,"requestId":"req-1"}'
          )
        }
      })
    )

    test(
      "an agent's status is one event",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* TestClients.connect()
        yield* sync.notifyAgentStatus("agent-001", "busy")
        const [, event] = yield* client.takeN(2)
        assert.deepInclude(event, {
          eventType: "stratix:agent_status_update",
          payload: { agentId: "agent-001", status: "busy" }
        })
        assert.deepStrictEqual(Object.keys(event ?? {}), ["eventType", "payload", "timestamp", "requestId"])
      })
    )

    test(
      "a command's status is one event; absent options are absent",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* TestClients.connect()
        yield* sync.notifyCommandStatus("cmd-1", "agent-001", "running", 40)
        yield* sync.notifyCommandStatus("cmd-1", "agent-001", "success", undefined, { files: 2 })
        yield* sync.notifyCommandStatus("cmd-2", "agent-001", "failed", undefined, undefined, "no disk")
        const [, running, success, failed] = yield* client.takeN(4)
        assert.deepStrictEqual(running?.payload, {
          commandId: "cmd-1",
          agentId: "agent-001",
          commandStatus: "running",
          progress: 40
        })
        assert.deepStrictEqual(success?.payload, {
          commandId: "cmd-1",
          agentId: "agent-001",
          commandStatus: "success",
          result: { files: 2 }
        })
        assert.deepStrictEqual(failed?.payload, {
          commandId: "cmd-2",
          agentId: "agent-001",
          commandStatus: "failed",
          error: "no disk"
        })
      })
    )

    test(
      "an agent's creation is one event",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* TestClients.connect()
        yield* sync.notifyAgentCreate("agent-007", "Bond", "writer")
        const [, event] = yield* client.takeN(2)
        assert.deepInclude(event, {
          eventType: "stratix:agent_create",
          payload: { agentId: "agent-007", name: "Bond", type: "writer" }
        })
      })
    )

    test(
      "a client that leaves is out of the pool, and the others are not touched",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const connections = yield* Connections.Connections
        const [closes, vanishes, stays] = yield* Effect.all([
          TestClients.connect(),
          TestClients.connect(),
          TestClients.connect()
        ])
        const left = yield* connections.changes.pipe(
          Stream.filter((change) => change._tag === "Left"),
          Stream.map((change) => change.code),
          Stream.take(2),
          Stream.runCollect,
          Effect.fork
        )
        yield* nextTurn
        yield* closes.close(1000)
        yield* vanishes.drop
        yield* untilCount(1)
        yield* sync.notifyAgentStatus("a", "online")
        const [, event] = yield* stays.takeN(2)
        assert.strictEqual(event?.eventType, "stratix:agent_status_update")
        assert.sameMembers([...(yield* left)], [1000, 1006])
        assert.isTrue(yield* stays.isOpen)
      })
    )

    test(
      "many clients at once: each gets everything, once and in order",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const clients = yield* Effect.all(Effect.replicate(TestClients.connect(), 200), { concurrency: 20 })
        assert.strictEqual(yield* sync.clientCount, 200)
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (i) => sync.notifyAgentStatus(`agent-${i}`, "busy")
        )
        for (const client of clients) {
          const events = (yield* client.takeN(51)).slice(1)
          assert.deepStrictEqual(
            events.map((event) => event.payload),
            Array.from({ length: 50 }, (_, i) => ({ agentId: `agent-${i}`, status: "busy" }))
          )
        }
      })
    )

    test(
      "a client gets what its query asks for, and a snapshot if it asks for one",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* sync.notifyAgentStatus("a1", "online")
        yield* sync.notifyAgentStatus("a1", "busy")
        yield* sync.notifyAgentStatus("a2", "online")
        const client = yield* TestClients.connect({ query: "agents=a1&events=agent_status_update&snapshot=true" })
        yield* StatusSyncTest.settled
        yield* sync.notifyAgentStatus("a2", "offline")
        yield* sync.notifyAgentCreate("a1", "One", "writer")
        yield* sync.notifyAgentStatus("a1", "offline")
        const [, first, second] = yield* client.takeN(3)
        assert.deepStrictEqual(first?.payload, { agentId: "a1", status: "busy" })
        assert.deepStrictEqual(second?.payload, { agentId: "a1", status: "offline" })
      })
    )

    test(
      "an event type that nothing has is told, in the query and in a filter; one that was published is not",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* sync.broadcastUnknown({ eventType: "stratix:note", payload: {} })
        const client = yield* TestClients.connect({ query: "events=agent_staus_update,note,agent_create" })
        const [, told] = yield* client.takeN(2)
        assert.strictEqual(told?.eventType, "stratix:error")
        assert.deepInclude(told?.payload, { reason: "unknown event type" })
        assert.match(JSON.stringify(told?.payload), /of type \\"stratix:agent_staus_update\\";/)
        yield* client.send({ type: "subscribe", events: ["note"] })
        assert.strictEqual((yield* client.take).eventType, "stratix:subscribed")
        yield* client.send({ type: "subscribe", events: ["Note"] })
        assert.strictEqual((yield* client.take).eventType, "stratix:subscribed")
        assert.strictEqual((yield* client.take).eventType, "stratix:error")
        // What says that it wants nothing, means it.
        yield* client.send({ type: "subscribe", events: [" "] })
        yield* client.send({ type: "ping" })
        assert.deepStrictEqual(
          (yield* client.takeN(2)).map(({ eventType }) => eventType),
          ["stratix:subscribed", "stratix:heartbeat"]
        )
      })
    )

    test(
      "a client that connects after an event does not get it",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        yield* sync.notifyAgentStatus("before", "online")
        const client = yield* TestClients.connect()
        yield* sync.notifyAgentStatus("after", "online")
        const [, event] = yield* client.takeN(2)
        assert.deepStrictEqual(event?.payload, { agentId: "after", status: "online" })
      })
    )

    test(
      "subscribe replaces the filter; a message that is not understood is answered, ten of them close with 1008",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* TestClients.connect()
        yield* client.take
        yield* client.send({ type: "subscribe", agents: ["a2"], events: ["agent_status_update"] })
        const subscribed = yield* client.take
        assert.deepStrictEqual(subscribed.payload, { events: ["stratix:agent_status_update"], agents: ["a2"] })
        yield* sync.notifyAgentStatus("a1", "online")
        yield* sync.notifyAgentStatus("a2", "online")
        assert.deepStrictEqual((yield* client.take).payload, { agentId: "a2", status: "online" })
        yield* client.send({ type: "ping" })
        assert.strictEqual((yield* client.take).eventType, "stratix:heartbeat")
        // A message of another protocol is answered, and does not count.
        for (const junk of ['{"type":"dance"}', "{", '{"type":"subscribe","agents":"a1"}', "null"]) {
          yield* client.sendText(junk)
          assert.strictEqual((yield* client.take).eventType, "stratix:error")
        }
        for (let i = 3; i < 10; i++) yield* client.sendText("junk")
        assert.strictEqual((yield* client.closed).code, 1008)
        yield* untilCount(0)
      })
    )

    test(
      "a binary frame closes with 1003",
      Effect.gen(function* () {
        const client = yield* TestClients.connect()
        yield* client.sendBinary(new Uint8Array([1, 2, 3]))
        assert.strictEqual((yield* client.closed).code, 1003)
        yield* untilCount(0)
      })
    )

    test(
      "upgrades that cannot be served are refused with their reason",
      Effect.gen(function* () {
        const status = (options: TestClients.ConnectOptions) =>
          TestClients.connect(options).pipe(
            Effect.flip,
            Effect.map((refusal) => refusal.status)
          )
        assert.strictEqual(yield* status({ path: "/elsewhere" }), 404)
        assert.strictEqual(yield* status({ query: "snapshot=maybe" }), 400)
        assert.strictEqual(yield* status({ query: "agents=" }), 400)
        assert.strictEqual(yield* status({ query: "agents=%E0%A4%A" }), 400)
        assert.strictEqual(yield* status({ headers: { origin: "https://evil.example" } }), 403)
        assert.strictEqual(yield* status({ protocols: ["stratix.bearer.secret"] }), 400)
        assert.strictEqual(
          (yield* TestClients.connect({ query: "unknown=1", headers: { origin: "http://localhost:8080" } }))
            .subprotocol,
          undefined
        )
        assert.strictEqual(
          (yield* TestClients.connect({ protocols: ["stratix.plain.v1"] })).subprotocol,
          "stratix.plain.v1"
        )
        assert.strictEqual(
          (yield* TestClients.connect({ protocols: ["stratix.sync.v1"] })).subprotocol,
          "stratix.sync.v1"
        )
      })
    )

    test(
      "a frozen client holds up no other, and reads on where it stopped",
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const frozen = yield* TestClients.connect()
        const others = yield* Effect.replicateEffect(TestClients.connect(), 5)
        yield* frozen.freeze
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => i),
          (i) => sync.notifyAgentStatus(`agent-${i}`, "busy")
        )
        for (const other of others) assert.strictEqual((yield* other.takeN(101)).length, 101)
        yield* frozen.thaw
        assert.strictEqual((yield* frozen.takeN(101)).length, 101)
      })
    )
  })
}
