/** Event types of an author's own, from their declaration to clients. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { StatusEvent, StatusSync } from "../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../src/stratix-testing/index.js"
import { openApiErrors } from "../support/openapi.js"
import { request } from "./support/gateway.js"

const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, load: Schema.Number, agentId: Schema.optional(Schema.String) }),
  key: ({ zoneId }) => zoneId,
  description: "How busy a zone is."
})
const Alarm = StatusEvent.define("stratix:alarm", {
  schema: Schema.Struct({ at: Schema.DateFromString }).annotations({ parseOptions: { onExcessProperty: "error" } })
})
const events = [Zone, Alarm]
const sync = { protocols: ["stratix.sync.v1"] }

describe("a declared event type", () => {
  it.effect("is published typed, encoded by its Schema, and is the state of its key for late joiners", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      yield* service.publish(Zone, { zoneId: "z1", load: 1 })
      yield* service.publish(Zone, { zoneId: "z1", load: 2 })
      yield* service.publish(Zone, { zoneId: "z2", load: 3, agentId: "a1" })
      yield* service.publish(Alarm, { at: new Date(0) })
      const client = yield* TestClients.connect(sync)
      const late = (yield* client.takeN(4)).slice(2)
      assert.deepStrictEqual(
        late.map(({ payload }) => payload),
        [
          { zoneId: "z1", load: 2 },
          { zoneId: "z2", load: 3, agentId: "a1" }
        ]
      )
      assert.deepStrictEqual(
        late.map((event: object) => ("key" in event ? event.key : undefined)),
        ["z1", "z2"]
      )
      yield* service.publish(Alarm, { at: new Date(0) })
      assert.deepInclude(yield* client.take, {
        eventType: "stratix:alarm",
        payload: { at: "1970-01-01T00:00:00.000Z" }
      })
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ events })))
  )

  it.effect("passes filters by its type and its agent, and its removal goes where it went", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const zones = yield* TestClients.connect({ query: "events=zone_update" })
      const ofAgent = yield* TestClients.connect({ query: "agents=a1" })
      const ofAnother = yield* TestClients.connect({ query: "agents=a2" })
      yield* service.publish(Zone, { zoneId: "z1", load: 1, agentId: "a1" })
      yield* service.publish(Zone, { zoneId: "z1", load: 2, agentId: "a2" })
      yield* service.remove(Zone, "z1")
      yield* StatusSyncTest.settled
      const types = (client: TestClients.TestClient) =>
        Effect.map(client.received, (messages) => messages.slice(1).map(({ eventType }) => eventType))
      assert.deepStrictEqual(yield* types(zones), [Zone.eventType, Zone.eventType, "stratix:key_remove"])
      assert.deepStrictEqual(yield* types(ofAgent), [Zone.eventType, "stratix:key_remove"])
      assert.deepStrictEqual(yield* types(ofAnother), [Zone.eventType, "stratix:key_remove"])
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ events })))
  )

  it.effect("is checked: by its Schema, by its key, and that the gateway knows it", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const Stranger = StatusEvent.define("stratix:stranger", { schema: Schema.Struct({}) })
      const field = <A>(effect: Effect.Effect<A, StatusSync.PublishError>) =>
        Effect.map(Effect.flip(effect), (error) => error.field)
      const raw = (eventType: string, payload: object) => field(service.broadcastUnknown({ eventType, payload }))
      assert.strictEqual(yield* raw(Zone.eventType, { zoneId: "z1", load: "high" }), "payload.load")
      assert.strictEqual(yield* raw(Zone.eventType, { zoneId: "", load: 1 }), "key")
      assert.strictEqual(yield* raw(Alarm.eventType, { at: "1970-01-01T00:00:00.000Z", by: "Ada" }), "payload.by")
      assert.strictEqual(yield* field(service.publish(Stranger, {})), "eventType")
      assert.strictEqual(yield* field(service.remove(Zone, "")), "payload.key")
      assert.throws(() => StatusSyncTest.layerWith({ events: [Zone, { ...Zone }] }), /declared twice/)
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ events })))
  )

  it.effect("is refused in few words, however deep or long the value is that its Schema repeats", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const refused = (load: unknown) =>
        Effect.flip(service.broadcastUnknown({ eventType: Zone.eventType, payload: { zoneId: "z1", load } }))
      const deep: unknown = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`)
      assert.deepInclude(yield* refused(deep), { reason: "NotJson", detail: "is nested deeper than 64 levels" })
      const long = yield* refused("x".repeat(20_000))
      assert.strictEqual(long.field, "payload.load")
      assert.match(long.detail, /^Expected number, actual "x+…$/)
      assert.isBelow(long.message.length, 300)
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ events })))
  )

  it.effect("does not compile where its name is the protocol's, or its payload is another", () =>
    Effect.gen(function* () {
      // @ts-expect-error: the protocol names this type.
      assert.throws(() => StatusEvent.define("stratix:agent_create", { schema: Schema.Struct({}) }))
      const service = yield* StatusSync.StatusSync
      // @ts-expect-error: a zone has no such field.
      yield* service.publish(Zone, { zoneId: "z1", load: 1, laod: 2 })
      // @ts-expect-error: the protocol has no such type.
      yield* service.broadcast({ eventType: "stratix:agent_staus_update", payload: { agentId: "a", status: "busy" } })
      yield* service.broadcast({
        eventType: "stratix:agent_status_update",
        // @ts-expect-error: a status has no such field; `extra` takes it.
        payload: { agentId: "a", status: "busy", titel: "x" }
      })
      yield* service.broadcast({
        eventType: "stratix:agent_status_update",
        payload: { agentId: "a", status: "busy" },
        extra: { title: "Scout" }
      })
    }).pipe(Effect.provide(StatusSyncTest.layerWith({ events })))
  )
})

describe("fields beside those of the protocol", () => {
  it.effect("pass unchanged, after these, and no filter reads them", () =>
    Effect.gen(function* () {
      const service = yield* StatusSync.StatusSync
      const all = yield* TestClients.connect()
      const ofCommand = yield* TestClients.connect({ query: "commands=c1" })
      const data = { tasks: [{ name: "read" }] }
      yield* service.notifyAgentStatus("a1", "busy", { extra: { commandId: "c1", title: "Scout", data } })
      yield* all.takeN(2)
      const payload = JSON.stringify({ agentId: "a1", status: "busy", commandId: "c1", title: "Scout", data })
      assert.include((yield* all.raw)[1], `"payload":${payload},`)
      yield* StatusSyncTest.settled
      assert.strictEqual((yield* ofCommand.received).length, 1)
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})

it.live("a declared event type is checked over HTTP, removed by DELETE, and in the OpenAPI document", () =>
  Effect.gen(function* () {
    const publish = (payload: object) =>
      request("POST", "/api/stratix/events", { body: { eventType: Zone.eventType, payload } })
    assert.strictEqual((yield* publish({ zoneId: "z/1", load: 1, colour: "red" })).status, 202)
    const refused = yield* publish({ zoneId: "z1" })
    assert.strictEqual(refused.status, 400)
    assert.include(JSON.stringify(refused.body), "payload.load")
    const state = yield* request("GET", "/api/stratix/state")
    assert.include(JSON.stringify(state.body), '"colour":"red"')
    assert.include(JSON.stringify(state.body), '"key":"z/1"')
    const removed = yield* request("DELETE", `/api/stratix/events/${Zone.eventType}?key=z%2F1`)
    assert.strictEqual(removed.status, 202)
    assert.notInclude(JSON.stringify((yield* request("GET", "/api/stratix/state")).body), "colour")
    const { body } = yield* request("GET", "/openapi.json")
    const document = JSON.stringify(body)
    assert.include(document, "How busy a zone is.")
    assert.deepStrictEqual(yield* openApiErrors(document), [])
    const asyncApi = yield* request("GET", "/asyncapi.json")
    assert.nestedPropertyVal(asyncApi.body, "components.messages.stratix\\.zone_update.title", Zone.eventType)
    assert.nestedProperty(asyncApi.body, "components.schemas.stratix\\.zone_update.properties.payload")
    assert.nestedProperty(asyncApi.body, "channels.plain.messages.stratix\\.zone_update")
  }).pipe(Effect.provide(StatusSyncTest.layerWs({ events })))
)
